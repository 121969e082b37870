"""Text generation through the real parent and child, with an engine whose pace is known."""

from __future__ import annotations

import numpy as np
import psutil
import pytest

from harness.channel import Request
from harness.run.runner import Outcome, RunContext, run
from harness.schema import PROFILES, Case, Limits, Task
from harness.schema.served import TokenLoad
from harness.schema.worker import Evaluation, ModelFile, ServeTask
from tests import fake_lm_eval, simulated, writer
from tests.asked import asked
from tests.launch import PidKeeper

PROFILE = PROFILES["quick"].model_copy(update={"idle_s": 0.1, "token_window_s": 2.0, "token_window_requests": 2})
LOAD = TokenLoad(concurrency=4, input_tokens=16, output_tokens=20)
WATTS = 40.0


def generated(
    tmp_path, load=LOAD, counter=None, timeout_s=60.0, profiled=True, evaluation=None, **options
) -> tuple[Outcome, np.ndarray, int]:
    """One launch: its outcome, the arrivals of all tokens as the writer knows them in ns, and the id of its process."""
    log = tmp_path / "arrivals.npy"
    case = Case(
        case_id="c", model="m", variant="dense", steps=(), engine="writer", device="cpu", batch_size=1, threads=1, scenario="closed", build_id="b",
        baseline_case_id=None, load=load,
    )  # fmt: skip
    task = ServeTask(
        engine="writer", engine_options={"log": str(log), **options}, device="cpu", threads=1, scenario="closed", load=load,
        artifact=ModelFile(path="/", format="none"), warm_s=timeout_s, drain_s=timeout_s, evaluation=evaluation,
    )  # fmt: skip
    keeper = PidKeeper()
    sensors = [(keeper, ())] + ([(counter, counter.open())] if counter else [])
    context = RunContext(sensors, PROFILE, Limits(timeout_s=timeout_s), "run", "environment", None)
    request = Request("harness.worker.serve", task, environment=writer.install(tmp_path / "plugin"))
    outcome = run(Task(case=case, profiled=profiled), request, context)
    return outcome, np.load(log) if log.exists() else np.zeros(0), keeper.pid


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    """A first launch on a square wave, with a counter of 20 ms: outcome, arrivals, process id and counter."""
    counter = simulated.SimulatedCounter(simulated.square(20.0, 60.0, 0.3), 0.02)
    return *generated(tmp_path_factory.mktemp("serve"), counter=counter), counter


def test_energy_per_token_against_the_truth(launch):
    """Energy and tokens of the window are those that happened in it."""
    outcome, arrivals, _, counter = launch
    record = outcome.record
    assert record.status == "ok", record.reason
    (steady,) = [m for m in record.measurements if m.phase == "steady"]
    truth_j = counter.truth_j(steady.start_s, steady.end_s)
    truth_n = ((arrivals * 1e-9 > steady.start_s) & (arrivals * 1e-9 <= steady.end_s)).sum()
    assert steady.end_s - steady.start_s >= 2.0
    assert steady.gross_j == pytest.approx(truth_j, rel=2e-3)
    assert steady.inferences == pytest.approx(truth_n, abs=4)  # one step of each stream
    assert steady.edge_j > steady.gross_j * 3.0 / steady.inferences  # with the term of the tokens in progress
    assert record.tokens.concurrency == pytest.approx(4.0, abs=0.1)
    assert record.tokens.tpot.p50_s == pytest.approx(0.01, rel=0.2)
    assert record.latency.p50_s == record.tokens.tpot.p50_s
    assert [phase.name for phase in record.phases] == ["load", "idle", "warmup", "steady", "drain", "quality", "idle"]


def test_the_answers_are_kept_and_repeated(launch):
    """Greedy answers of the first launch, with the agreement of a second round; the facts of the end are in the record."""
    outcome, _, pid, _ = launch
    facts = outcome.record.engine_facts
    assert outcome.outputs.shape == (16, 32)
    assert (facts["repeat_agreement"], facts["mean_logprob"]) == (1.0, -1.0)
    assert facts["server_stop_s"] == 0.01
    assert facts["vocabulary"] == 26
    assert outcome.requests.shape[1] > 0
    assert not psutil.pid_exists(pid)


def test_a_later_launch_keeps_no_answers(tmp_path):
    """They are the same in each; the server ends properly all the same."""
    outcome, _, _ = generated(tmp_path, profiled=False)
    assert outcome.outputs.size == 0
    assert outcome.record.engine_facts["server_stop_s"] == 0.01


@pytest.mark.parametrize(
    ("what", "status", "sentence"),
    [
        ("dies", "failed", "the server died: exit code 139"),
        ("refused", "refused", "the writer cannot open this"),
        ("slow", "failed", "not every one of 4 streams has finished a request"),
    ],
)
def test_what_goes_wrong_is_a_sentence_in_the_record(tmp_path, what, status, sentence):
    """And leaves no process."""
    outcome, _, pid = generated(tmp_path, what=what, timeout_s=2.0)
    assert outcome.record.status == status
    assert sentence in outcome.record.reason
    assert not psutil.pid_exists(pid)


def test_requests_that_fail_invalidate_the_energy(tmp_path):
    """A tenth of them: their energy is in the window, their tokens are not."""
    outcome, arrivals, _ = generated(tmp_path, what="fails")
    record = outcome.record
    assert "too_many_requests_failed" in [finding.code for finding in record.warnings]
    (steady,) = [phase for phase in record.phases if phase.name == "steady"]
    truth_n = ((arrivals * 1e-9 > steady.start_s) & (arrivals * 1e-9 <= steady.end_s)).sum()
    assert record.inferences == pytest.approx(truth_n, abs=4)


@pytest.fixture
def answering():
    """A server that another client can ask."""
    with asked() as running:
        yield running


def evaluated(tmp_path, answering, task, profiled=True) -> Outcome:
    """One launch with an evaluation, whose requests are answered."""
    python = fake_lm_eval.install(tmp_path / "env") / "bin" / "python"
    evaluation = Evaluation(task=task, limit=8, python=str(python), timeout_s=30.0)
    return generated(
        tmp_path, profiled=profiled, evaluation=evaluation, url=f"http://127.0.0.1:{answering.server_address[1]}/v1/completions"
    )[0]


def test_the_quality_is_that_of_lm_eval(tmp_path, answering):
    """Value, interval of its standard error, samples; the results are kept as they were written, the answers too."""
    outcome = evaluated(tmp_path, answering, "copy")
    quality = outcome.record.quality
    assert (quality.metric, quality.direction, quality.value, quality.samples) == ("lm_eval/copy/exact_match", "higher", 0.75, 8)
    assert (quality.low, quality.high) == (pytest.approx(0.75 - 1.96 * quality.evaluated.stderr), 1.0)
    assert outcome.per_sample.tolist() == [0, 1, 1, 1, 0, 1, 1, 1]
    assert '"lm_eval_version": "0.4.13"' in outcome.evaluation
    assert outcome.record.engine_facts["lm_eval_task_version"] == 1.0
    assert outcome.outputs.shape == (16, 32)


def test_a_later_launch_is_not_evaluated(tmp_path, answering):
    """Its quality is that of the first one."""
    outcome = evaluated(tmp_path, answering, "copy", profiled=False)
    assert (outcome.record.quality, outcome.evaluation, answering.seen) == (None, "", [])


def test_an_evaluation_that_fails_leaves_the_energy(tmp_path, answering):
    """With a finding in place of the quality."""
    record = evaluated(tmp_path, answering, "nonesuch").record
    assert (record.status, record.quality) == ("ok", None)
    (found,) = [finding for finding in record.warnings if finding.code == "not_evaluated"]
    assert found.sentence.startswith("lm_eval measured no quality: it has no task nonesuch (list its tasks")
    assert not found.invalid
