"""A run from its suite to its records: every case, once, whatever comes between."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import frame, plugins
from harness.artifacts import Cache
from harness.errors import SuiteError, WorkerError
from harness.run import campaign, checks, machine, runner, timing
from harness.schema import PROFILES, Domain, Environment, Record, Sample, Task, Trace
from harness.store import Store, journal, manifest, read_run, read_trace, with_answers, write_atomically
from harness.suite import load_suite
from harness.verify import verify
from tests import factories, tiny

PROFILE = PROFILES["quick"].model_copy(update={"first": 2, "cap": 2, "window_s": 0.4, "idle_s": 0.05})


class Watcher:
    """An observer that keeps what it is told, and may interrupt after so many records."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.told: list[tuple[str, Any]] = []
        self.records: list[Record] = []
        self.interrupt_after = interrupt_after

    def record(self, record: Record) -> None:
        """Keep it."""
        self.records.append(record)
        if len(self.records) == self.interrupt_after:
            raise KeyboardInterrupt

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.told.append((name, values))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """A cache and a machine lock of the test's own, and no second lost on the lead-in."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(timing, "LEAD_IN_S", 0.05)
    monkeypatch.setattr(campaign, "COST_S", 0.06)


def wish(folder: Path, suite: str = tiny.SUITE) -> campaign.RunRequest:
    """A run of the tiny suite."""
    path = tiny.write(folder, suite)
    return campaign.RunRequest(load_suite(path, plugins.catalogue()), suite, PROFILE, folder / "results")


def run(wanted: campaign.RunRequest, watcher: Watcher | None = None) -> Path:
    """Run it; returns its folder."""
    with campaign.begin(wanted, plugins.catalogue(), watcher or Watcher()) as running:
        folder = running.store.folder
        with contextlib.suppress(KeyboardInterrupt):
            running.run()
    return folder


def done(folder: Path) -> list[tuple[str, int]]:
    """The repetitions that went well."""
    return sorted((r.case_id, r.repetition) for r in read_run(folder).records if r.case_id and r.status == "ok")


def wrong(folder: Path) -> list[str]:
    """What a verification has against a run that has ended and was sealed."""
    write_atomically(folder / manifest.NAME, manifest.seal(folder))
    return verify(folder, cache=Cache()).problems


def test_a_users_own_model_goes_the_whole_way(tmp_path):
    """Every repetition has a record with energy, latency and quality of the same process, its trace on disk, and a row in the table."""
    folder = run(wish(tmp_path))
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
    assert wrong(folder) == []


class Clearer(Watcher):
    """Clears the cache whenever something has been stored."""

    def record(self, record: Record) -> None:
        """Keep it, and clear."""
        super().record(record)
        Cache().clear()


def test_without_labels_agreement_is_the_quality_and_a_cleared_cache_breaks_nothing(tmp_path):
    """Dense and float16 answer the same inputs after the window of the first repetition; what the run needs stays in the cache until it ends."""
    suite = tiny.SUITE.replace(', labels: "data.npz:y"', "").replace("[dense]", "[dense, float16]").replace("[1, 4]", "[4]")
    folder = run(wish(tmp_path, suite), Clearer())
    stored = with_answers(read_run(folder))
    assert [r.status for r in stored.records] == ["ok"] * 6, [r.reason for r in stored.records]
    assert all(len(answers.outputs) == 50 for answers in stored.answers.values())
    cases = frame.cases([stored])
    assert cases["quality_metric"].tolist() == ["agreement", "agreement"]
    assert cases["quality"].tolist() == [1, pytest.approx(1, abs=0.1)]
    assert 0 < cases["output_max_diff"][1] < 0.1
    assert Cache().clear() > 0


def test_the_second_run_builds_nothing(tmp_path):
    """It quotes the record of the build in the cache."""
    wanted = wish(tmp_path)
    folders = run(wanted), run(wanted)
    assert wrong(folders[1]) == []
    first, second = map(read_run, folders)
    assert (first.records[0].cached, second.records[0].cached) == (False, True)
    assert second.records[0].phases == first.records[0].phases
    assert second.records[0].artifact.sha256 == first.records[0].artifact.sha256
    assert first.header.run_id != second.header.run_id


def test_every_step_behind_a_cached_artifact_is_quoted(tmp_path):
    """Also those that the cache makes needless: what they cost was spent, and the payback counts it."""
    wanted = wish(tmp_path, tiny.SUITE.replace("[dense]", "[dynamic_int8]").replace("[1, 4]", "[1]"))
    first, second = ([r for r in read_run(run(wanted)).records if r.task == "build"] for _ in range(2))
    assert len(first) == len(wanted.suite.builds) == 2
    assert [r.build_id for r in second] == [r.build_id for r in first]
    assert all(r.cached for r in second)


def test_a_run_tells_what_measuring_costs(tmp_path):
    """The sampler alone, and the parent in a window of the null engine: shares of a core, in the header before the first case."""
    with campaign.begin(wish(tmp_path), plugins.catalogue(), Watcher()) as running:
        cost = read_run(running.store.folder).header.probe["sampler"]
    assert 0 <= cost["slow_share"] < 1
    assert 0 < cost["window_share"] < 1
    assert cost["window_s"] >= 0.06
    assert cost["edge_share"] is None or 0 < cost["edge_share"] <= 1.1


@pytest.mark.parametrize(("window_s", "refused"), [(0.7, True), (5.11, False), (5.05, False), (1.5, False)])
def test_a_window_too_short_for_a_counter_is_refused_with_the_length_that_would_do(window_s, refused):
    """Where the user asks for it, and the next probe may find a period 1 % longer; the profile's own is lengthened instead."""
    profile = PROFILES["quick"].model_copy(update={"window_s": window_s})
    counter = Domain(name="gpu:0", sensor="nvml", quantity="energy", unit="J", kind="counter", update_period_s=1.0201)
    with pytest.raises(SuiteError, match=r"(?s)gpu:0.*--window 5\.11") if refused else contextlib.nullcontext():
        checks.check_window(profile, [counter])


def test_an_interruption_before_the_first_case_leaves_no_run(tmp_path, monkeypatch):
    """There is nothing to resume yet."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner._Repetition, "_listen", interrupted)
    with pytest.raises(KeyboardInterrupt), campaign.begin(wish(tmp_path), plugins.catalogue(), Watcher()):
        pass
    assert list((tmp_path / "results").iterdir()) == []


@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_run_is_resumed_without_gaps_or_doubles(tmp_path, after):
    """What was stored stays as it was, byte for byte."""
    wanted = wish(tmp_path)
    folder = run(wanted, Watcher(interrupt_after=after))
    before = (folder / "records.jsonl").read_bytes()
    with campaign.resume(folder, plugins.catalogue(), Watcher()) as running:
        running.run()
    assert (folder / "records.jsonl").read_bytes().startswith(before)
    assert done(folder) == sorted((case.case_id, r) for case in wanted.suite.cases for r in range(2))
    assert wrong(shutil.move(folder, tmp_path / "elsewhere")) == []


def test_a_killed_harness_leaves_a_record_on_resume(tmp_path):
    """What was running when it died is told with its energy so far, and done again."""
    folder = run(wish(tmp_path), Watcher(interrupt_after=2))
    header = read_run(folder).header
    case = header.suite.cases[0]
    seen = {d.name: Sample(np.arange(100.0, 104), np.arange(100.0, 104), np.full(4, 7.0)) for d in header.domains}
    log = journal.Journal(folder, Task(case=case, repetition=1), "boot")
    log.samples({f"{journal.PHASE}load": Sample(*np.full((3, 1), 100.5))})
    log.samples(seen)
    with campaign.resume(folder, plugins.catalogue(), Watcher()) as running:
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
    assert wrong(folder) == []


def test_only_the_same_suite_on_the_same_files_is_resumed(tmp_path):
    """Another suite, or a model file that has changed, is refused before anything runs."""
    wanted = wish(tmp_path)
    folder = run(wanted, Watcher(interrupt_after=2))
    other = wanted.suite.model_copy(update={"sha256": "another"})
    with pytest.raises(SuiteError, match="another suite"), campaign.resume(folder, plugins.catalogue(), Watcher(), other):
        pass
    (tmp_path / "product.onnx").write_bytes(b"changed")
    with pytest.raises(SuiteError, match="changed"), campaign.resume(folder, plugins.catalogue(), Watcher()):
        pass


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run that was begun on another machine, by hand; and resuming it as if on a machine with this environment and these domains."""
    header = factories.digits().header
    folder = Store.create(tmp_path / "results", header).folder
    write_atomically(folder / manifest.NAME, manifest.seal(folder))

    def resume(here: Environment, domains=header.domains):
        monkeypatch.setattr(campaign, "opened_sensors", lambda *_: contextlib.nullcontext(([(None, domains)], {}, {})))
        monkeypatch.setattr(campaign, "environment_here", lambda *_: here)
        with campaign.resume(folder, plugins.catalogue(), Watcher()) as running:
            return running

    return resume, header.environments[0], folder


def test_another_machine_cannot_go_on(begun):
    """Nor other versions on the same: what differs is named."""
    resume, first, _ = begun
    for name in ("cpu", "kernel", "versions"):
        with pytest.raises(SuiteError, match=f"another machine or with other versions: {name}\n"):
            resume(first.model_copy(update={"environment_id": "other", name: {"numpy": "3"} if name == "versions" else "another"}))


def test_other_sensors_cannot_go_on(begun):
    """Half of a run would be measured by one, half by another."""
    resume, first, _ = begun
    with pytest.raises(SuiteError, match="other sensors: dram"):
        resume(first, [d for d in read_run(begun[2]).header.domains if d.name != "dram"])
    with pytest.raises(SuiteError, match="other sensors: dram"):
        resume(first, [d.model_copy(update={"kind": "counter"}) if d.name == "dram" else d for d in read_run(begun[2]).header.domains])


@pytest.mark.parametrize(("now", "said"), [("GPU-other", "would now run on GPU-other"), (None, "no card is read for gpu now")])
def test_another_card_cannot_go_on_and_the_message_names_both(begun, now, said):
    """Also where the environment differs because of that alone; the next step is the variable that brings the card back."""
    resume, first, folder = begun
    header = read_run(folder).header
    Store(folder).write_header(header.model_copy(update={"domains": (*header.domains, *factories.CARD)}))
    here = [factories.CARD[0].model_copy(update={"detail": {**factories.CARD[0].detail, "uuid": now}})] if now else []
    with pytest.raises(SuiteError, match=f"begun on the card GPU-4090, and .*{said}\nresume it with CUDA_VISIBLE_DEVICES=GPU-4090"):
        resume(first.model_copy(update={"environment_id": "other"}), (*header.domains, *here))


def test_another_boot_of_the_machine_is_kept_beside_the_first(begun):
    """Its monotonic times are other times; the manifest knows the header as it is now, and blesses none that somebody changed."""
    resume, first, folder = begun
    resume(first.model_copy(update={"boot_id": "second"}))
    assert [e.boot_id for e in read_run(folder).header.environments] == [first.boot_id, "second"]
    assert manifest.differences(folder) == (True, {})
    (folder / "run.json").write_text((folder / "run.json").read_text().replace('"box-1"', '"box-2"'))
    resume(first.model_copy(update={"boot_id": "third"}))
    assert list(manifest.differences(folder)[1]) == ["run.json"]


def test_a_task_whose_record_is_stored_was_not_lost(begun, monkeypatch):
    """A power cut right after its record may bring back the note that it was running: nothing is told twice, and its raw data stay."""
    resume, first, folder = begun
    done = next(r for r in factories.digits().records if r.case_id and r.status == "ok")
    stored = Store(folder).append(done, Trace({}, {}), np.ones((3, 2), np.int64), np.zeros(0))
    case = next(c for c in factories.digits().header.suite.cases if c.case_id == done.case_id)
    monkeypatch.setattr(campaign.plan, "next_block", lambda *_, **__: [])
    for attempt, told in ((done.attempt, 1), (done.attempt + 1, 2)):
        journal.Journal(folder, Task(case=case, repetition=done.repetition, block=done.block, attempt=attempt), "boot")
        resume(first).run()
        assert len(read_run(folder).records) == told
        assert journal.lost(folder) is None
    assert read_run(folder).records[0] == stored
    assert [path.suffixes[0] for path in (folder / "traces").iterdir()] == [".completions"]


def test_a_model_that_does_not_load_is_a_record_with_its_reason(tmp_path):
    """The build fails with a sentence, each case says whose fault it was, and the others go on."""
    suite = tiny.SUITE.replace("matrices:", "  - {name: broken, path: broken.onnx}\nmatrices:")
    (tmp_path / "broken.onnx").write_bytes(b"\x00garbage")
    folder = run(wish(tmp_path, suite))
    stored = read_run(folder)
    assert wrong(folder) == []
    reasons = [r.reason for r in stored.records if r.status != "ok"]
    assert reasons
    assert all("broken.onnx" in reason and "Traceback" not in reason for reason in reasons), reasons
    assert {r.case_id.split("/")[0] for r in stored.records if r.case_id and r.status == "ok"} == {"product"}


def test_a_case_whose_child_cannot_be_started_fails_alone(tmp_path, monkeypatch):
    """Its record says why, and the campaign goes on."""

    def refuse(request):
        raise WorkerError("no process left")

    with campaign.begin(wish(tmp_path, tiny.SUITE.replace("[1, 4]", "[1]")), plugins.catalogue(), Watcher()) as running:
        monkeypatch.setattr(runner, "Child", refuse)
        running.run()
    (told,) = [r for r in read_run(running.store.folder).records if r.task == "build"]
    assert (told.status, told.reason) == ("failed", "no process left")
    assert [r.status for r in running.records if r.case_id] == ["failed"] * 2


def test_a_test_double_is_simulated_wherever_it_is_told(tmp_path):
    """The null engine's energy never passes for a real one."""
    folder = run(wish(tmp_path, tiny.SUITE.replace("[onnxruntime]", '["null"]')))
    stored = read_run(folder)
    assert wrong(folder) == []
    assert {m.kind for r in stored.records if r.case_id for m in r.measurements if m.gross_j} == {"simulated"}
    assert set(frame.cases([stored])["energy_kind"]) == {"simulated"}


def test_two_runs_do_not_measure_at_once(tmp_path):
    """The second waits, and says for whom."""
    entered, leave, second = threading.Event(), threading.Event(), Watcher()

    def first() -> None:
        with machine.machine_lock("first-run", Watcher().waiting):
            entered.set()
            leave.wait(20)

    def other() -> None:
        with machine.machine_lock("second-run", second.waiting):
            second.told.append(("in", ()))

    threads = [threading.Thread(target=first), threading.Thread(target=other)]
    threads[0].start()
    assert entered.wait(20)
    threads[1].start()
    while not second.told:
        threads[1].join(0.05)
    assert second.told[0][0] == "waiting"
    assert "first-run" in second.told[0][1][0]
    leave.set()
    for thread in threads:
        thread.join(20)
    assert second.told[-1][0] == "in"
