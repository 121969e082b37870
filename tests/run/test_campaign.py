"""A run from its suite to its records: every case once, whatever interrupts it."""

from __future__ import annotations

import numpy as np
import pytest

from harness import frame, plugins
from harness.artifacts import Cache
from harness.errors import EngineError, WorkerError
from harness.run import campaign, runner, start
from harness.schema import Record, Sample, Task, Trace
from harness.store import Store, journal, read_run, read_trace, with_outputs
from tests import factories, tiny
from tests.campaigns import Watcher, done, problems, run, run_request

pytestmark = pytest.mark.usefixtures("elsewhere")
ONE = tiny.SUITE.replace("[1, 4]", "[1]")
"""A suite of a single case."""


def test_a_users_own_model_is_measured(tmp_path):
    """Every repetition has a record with energy, latency and quality of the same process, its trace on disk, and a row in the table."""
    folder = run(run_request(tmp_path))
    stored = read_run(folder)
    assert [r.status for r in stored.records] == ["ok"] * 5, [r.reason for r in stored.records]
    for record in stored.records[1:]:
        assert record.quality
        assert (record.quality.value, record.quality.samples) == (1.0, 50)
        assert record.latency
        assert record.latency.queries > 0
        assert record.inferences
        assert record.trace
        assert (folder / record.trace).exists()
        assert {p.name for p in record.phases} == {"load", "idle", "warmup", "steady", "quality"}
        assert all(m.inferences and m.gross_j for m in record.measurements if m.phase == "steady")
    cases = frame.cases([stored])
    assert cases["energy_j"].gt(0).all()
    assert cases["quality"].eq(1).all()
    assert problems(folder) == []


def test_a_case_that_the_card_cannot_run_is_refused_before_its_child_starts(tmp_path, monkeypatch):
    """With the sentence of its engine; one that is only slow there runs."""
    for refused, statuses in ((True, {"refused"}), (False, {"ok"})):
        error = EngineError("CUDA 13 needs driver 580", "update it", refused=refused)
        monkeypatch.setattr(campaign.preconditions, "examine", lambda *_, error=error: error)
        folder = tmp_path / str(refused)
        folder.mkdir()
        cases = [r for r in read_run(run(run_request(folder, ONE))).records if r.case_id]
        assert {r.status for r in cases} == statuses
        assert not refused or all(r.reason == "CUDA 13 needs driver 580\nupdate it" and not r.phases for r in cases)


class Clearer(Watcher):
    """Clears the cache after each record."""

    def record(self, record: Record) -> None:
        """Keep it, and clear the cache."""
        super().record(record)
        Cache().clear()


@pytest.mark.slow
def test_without_labels_the_quality_is_agreement_even_if_the_cache_is_cleared(tmp_path):
    """Dense and float16 answer the same inputs in the first repetition; artifacts that the run needs stay in the cache."""
    suite = tiny.SUITE.replace(', labels: "data.npz:y"', "").replace("[dense]", "[dense, float16]").replace("[1, 4]", "[4]")
    folder = run(run_request(tmp_path, suite), Clearer())
    stored = with_outputs(read_run(folder))
    assert [r.status for r in stored.records] == ["ok"] * 6, [r.reason for r in stored.records]
    assert all(len(answers.outputs) == 50 for answers in stored.outputs.values())
    cases = frame.cases([stored])
    assert cases["quality_metric"].tolist() == ["agreement", "agreement"]
    assert cases["quality"].tolist() == [1, pytest.approx(1, abs=0.1)]
    assert 0 < cases["output_max_diff"][1] < 0.1
    assert Cache().clear() > 0


def test_the_second_run_builds_nothing(tmp_path):
    """It copies the record of the build in the cache."""
    request = run_request(tmp_path, ONE)
    folders = run(request), run(request)
    assert problems(folders[1]) == []
    first, second = map(read_run, folders)
    assert (first.records[0].cached, second.records[0].cached) == (False, True)
    assert second.records[0].phases == first.records[0].phases
    assert second.records[0].artifact.sha256 == first.records[0].artifact.sha256
    assert first.header.run_id != second.header.run_id


@pytest.mark.slow
def test_the_records_of_a_cached_artifacts_ancestors_are_copied(tmp_path):
    """They need not be built, but the payback counts their energy."""
    request = run_request(tmp_path, tiny.SUITE.replace("[dense]", "[dynamic_int8]").replace("[1, 4]", "[1]"))
    first, second = ([r for r in read_run(run(request)).records if r.task == "build"] for _ in range(2))
    assert len(first) == len(request.suite.builds) == 2
    assert [r.build_id for r in second] == [r.build_id for r in first]
    assert all(r.cached for r in second)


def test_a_killed_harness_leaves_a_record_on_resume(tmp_path):
    """The task under way is stored with its energy so far, and run again."""
    folder = run(run_request(tmp_path), Watcher(interrupt_after=2))
    header = read_run(folder).header
    case = header.suite.cases[0]
    samples = {d.name: Sample(np.arange(100.0, 104), np.arange(100.0, 104), np.full(4, 7.0)) for d in header.domains}
    log = journal.Journal(folder, Task(case=case, repetition=1), "boot")
    log.samples({f"{journal.PHASE}load": Sample(*np.full((3, 1), 100.5))})
    log.samples(samples)
    with start.resume(folder, plugins.catalogue(), Watcher()) as running:
        running.run()
    stored = read_run(folder)
    lost = [r for r in stored.records if r.status == "killed"]
    assert [(r.case_id, r.repetition, r.boot_id) for r in lost] == [(case.case_id, 1, "boot")]
    assert [(p.name, p.start_s, p.end_s) for p in lost[0].phases] == [("load", 100.5, 103.0)]
    energies = {m.domain: m.gross_j for m in lost[0].measurements}
    powers = {d.name for d in header.domains if d.quantity in ("power", "mean_power")}
    assert powers
    assert all(energies[name] == pytest.approx(7.0 * 2.5) for name in powers)
    assert read_trace(stored, lost[0]).samples[min(powers)].value.tolist() == [7.0] * 4
    assert len(done(folder)) == 4
    assert problems(folder) == []


def test_a_task_whose_record_is_stored_was_not_lost(elsewhere_begun, monkeypatch):
    """A power cut after its record may bring back its journal: it is not stored twice, and its raw data stay."""
    resume, first, folder = elsewhere_begun
    ended = next(r for r in factories.digits().records if r.case_id and r.status == "ok")
    stored = Store(folder).append(ended, Trace({}, {}), np.ones((3, 2), np.int64), np.zeros(0))
    case = next(c for c in factories.digits().header.suite.cases if c.case_id == ended.case_id)
    monkeypatch.setattr(campaign.plan, "next_block", lambda *_, **__: [])
    for attempt, records in ((ended.attempt, 1), (ended.attempt + 1, 2)):
        journal.Journal(folder, Task(case=case, repetition=ended.repetition, block=ended.block, attempt=attempt), "boot")
        resume(first).run()
        assert len(read_run(folder).records) == records
        assert journal.lost(folder) is None
    assert read_run(folder).records[0] == stored
    assert [path.suffixes[0] for path in (folder / "traces").iterdir()] == [".completions"]


def test_a_model_that_does_not_load_gives_records_with_the_reason(tmp_path):
    """The build fails, each of its cases has the reason, and the others are measured."""
    suite = ONE.replace("matrices:", "  - {name: broken, path: broken.onnx}\nmatrices:")
    (tmp_path / "broken.onnx").write_bytes(b"\x00garbage")
    folder = run(run_request(tmp_path, suite))
    stored = read_run(folder)
    assert problems(folder) == []
    reasons = [r.reason for r in stored.records if r.status != "ok"]
    assert reasons
    assert all("broken.onnx" in reason and "Traceback" not in reason for reason in reasons), reasons
    assert {r.case_id.split("/")[0] for r in stored.records if r.case_id and r.status == "ok"} == {"product"}


def test_a_case_whose_child_cannot_be_started_fails_alone(tmp_path, monkeypatch):
    """Its record has the reason, and the campaign continues."""

    def refuse(request):
        raise WorkerError("no process left")

    with start.begin(run_request(tmp_path, ONE), plugins.catalogue(), Watcher()) as running:
        monkeypatch.setattr(runner, "Child", refuse)
        running.run()
    (build,) = [r for r in read_run(running.store.folder).records if r.task == "build"]
    assert (build.status, build.reason) == ("failed", "no process left")
    assert [r.status for r in running.records if r.case_id] == ["failed"] * 2


@pytest.mark.slow
def test_a_test_double_is_simulated_everywhere(tmp_path):
    """In records and in tables."""
    folder = run(run_request(tmp_path, tiny.SUITE.replace("[onnxruntime]", '["null"]')))
    stored = read_run(folder)
    assert problems(folder) == []
    assert {m.kind for r in stored.records if r.case_id for m in r.measurements if m.gross_j} == {"simulated"}
    assert set(frame.cases([stored])["energy_kind"]) == {"simulated"}
