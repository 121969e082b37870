"""Starting and resuming a run: its header, its overhead, and what prevents a resume."""

from __future__ import annotations

import shutil

import pytest

from harness import plugins
from harness.errors import SuiteError
from harness.run import start
from harness.run.conversation import Conversation
from harness.store import Store, manifest, read_run
from tests import factories
from tests.campaigns import Watcher, done, problems, run, run_request

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_the_header_has_the_overhead_of_the_harness(tmp_path):
    """Of the sampler alone, and of the parent in a window of the null engine, as shares of a core."""
    with start.begin(run_request(tmp_path), plugins.catalogue(), Watcher()) as running:
        cost = read_run(running.store.folder).header.probe["sampler"]
    assert 0 <= cost["slow_share"] < 1
    assert 0 < cost["window_share"] < 1
    assert cost["window_s"] >= 0.06
    assert cost["edge_share"] is None or 0 < cost["edge_share"] <= 1.1


def test_an_interruption_before_the_first_case_leaves_no_run(tmp_path, monkeypatch):
    """There is nothing to resume."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Conversation, "listen", interrupted)
    with pytest.raises(KeyboardInterrupt), start.begin(run_request(tmp_path), plugins.catalogue(), Watcher()):
        pass
    assert list((tmp_path / "results").iterdir()) == []


@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_run_is_resumed_without_gaps_or_doubles(tmp_path, after):
    """Stored records stay unchanged."""
    request = run_request(tmp_path)
    folder = run(request, Watcher(interrupt_after=after))
    before = (folder / "records.jsonl").read_bytes()
    with start.resume(folder, plugins.catalogue(), Watcher()) as running:
        running.run()
    assert (folder / "records.jsonl").read_bytes().startswith(before)
    assert done(folder) == sorted((case.case_id, r) for case in request.suite.cases for r in range(2))
    assert problems(shutil.move(folder, tmp_path / "elsewhere")) == []


def test_only_the_same_suite_on_the_same_files_is_resumed(tmp_path):
    """Another suite, or a model file that has changed, is refused before anything runs."""
    request = run_request(tmp_path)
    folder = run(request, Watcher(interrupt_after=2))
    other = request.suite.model_copy(update={"sha256": "another"})
    with pytest.raises(SuiteError, match="another suite"), start.resume(folder, plugins.catalogue(), Watcher(), other):
        pass
    (tmp_path / "product.onnx").write_bytes(b"changed")
    with pytest.raises(SuiteError, match="changed"), start.resume(folder, plugins.catalogue(), Watcher()):
        pass


def test_a_run_is_not_resumed_on_another_machine(elsewhere_begun):
    """It is not resumed with other versions either; the message lists the differences."""
    resume, first, _ = elsewhere_begun
    for name in ("cpu", "kernel", "versions"):
        with pytest.raises(SuiteError, match=rf"another machine or with other versions \(different: {name}\)\n"):
            resume(first.model_copy(update={"environment_id": "other", name: {"numpy": "3"} if name == "versions" else "another"}))


def test_a_run_is_not_resumed_with_other_sensors(elsewhere_begun):
    """Its records could not be compared with each other."""
    resume, first, _ = elsewhere_begun
    with pytest.raises(SuiteError, match="other sensors: dram"):
        resume(first, [d for d in read_run(elsewhere_begun[2]).header.domains if d.name != "dram"])
    with pytest.raises(SuiteError, match="other sensors: dram"):
        resume(
            first,
            [d.model_copy(update={"kind": "counter"}) if d.name == "dram" else d for d in read_run(elsewhere_begun[2]).header.domains],
        )


@pytest.mark.parametrize(("now", "problem"), [("GPU-other", "would now run on GPU-other"), (None, "no GPU can be read for gpu now")])
def test_a_run_is_not_resumed_on_another_gpu(elsewhere_begun, now, problem):
    """The error names both, and the variable that selects the first, even if the environment differs for that reason alone."""
    resume, first, folder = elsewhere_begun
    header = read_run(folder).header
    Store(folder).write_header(header.model_copy(update={"domains": (*header.domains, *factories.CARD)}))
    here = [factories.CARD[0].model_copy(update={"detail": {**factories.CARD[0].detail, "uuid": now}})] if now else []
    with pytest.raises(SuiteError, match=f"started on GPU-4090, and .*{problem}\nresume it with CUDA_VISIBLE_DEVICES=GPU-4090"):
        resume(first.model_copy(update={"environment_id": "other"}), (*header.domains, *here))


def test_a_resume_after_a_reboot_keeps_both_boots(elsewhere_begun):
    """The manifest covers the new header, but does not hide that someone has changed the old one."""
    resume, first, folder = elsewhere_begun
    resume(first.model_copy(update={"boot_id": "second"}))
    assert [e.boot_id for e in read_run(folder).header.environments] == [first.boot_id, "second"]
    assert manifest.differences(folder) == (True, {})
    (folder / "run.json").write_text((folder / "run.json").read_text().replace('"box-1"', '"box-2"'))
    resume(first.model_copy(update={"boot_id": "third"}))
    assert list(manifest.differences(folder)[1]) == ["run.json"]
