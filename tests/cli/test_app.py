"""How the commands read and redraw runs, and check their options."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness import frame
from harness.cli.app import check_names, checked_window, read_stored, update_manifest, write_report
from harness.errors import HarnessError, SuiteError
from harness.store import manifest
from tests.cli.helpers import keep, measured

OLD = Path(__file__).parent.parent / "runs" / "schema-1"
COMMANDS = [
    ("report", ()), ("export", ("--table", "builds")), ("history", ("dense",)), ("select", ("--min-quality", "0.5")),
    ("gate", ("--against", "old")), ("compare", ("old", "--anyway")), ("verify", ()),
]  # fmt: skip


@pytest.mark.parametrize(("command", "more"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_every_command_reads_a_run_of_schema_1(harness, tmp_path, command, more):
    """No command fails with a traceback, even if fields are missing in the records."""
    shutil.copytree(OLD, tmp_path / "old")
    first, rest = (("dense",), ("old",)) if command == "history" else (("old",), more)
    done = harness(command, *first, *rest)
    assert done.returncode in (0, 1), done.stderr
    assert "bug of harness" not in done.stderr
    assert done.stdout


def test_the_problems_of_a_run_are_warnings(tmp_path, capsys):
    """A line that cannot be read."""
    run = keep(measured(), tmp_path, "run-a")
    with (Path(run.folder) / "records.jsonl").open("a") as stream:
        stream.write("{torn")
    assert len(read_stored("run-a", tmp_path).records) == len(run.records)
    assert capsys.readouterr().err.startswith("warning: records.jsonl:")


def test_a_redrawn_report_is_entered_in_the_manifest(tmp_path):
    """A file that was not written by the command keeps its entry."""
    run = keep(measured(), tmp_path, "run-a")
    folder = Path(run.folder)
    write_report(run, frame.tables([run]))
    assert not (folder / manifest.NAME).exists(), "it is written when the run has ended"
    update_manifest(folder, ended=True)
    (folder / "report" / "table.md").write_text("changed")
    (folder / "run.json").write_text("changed")
    update_manifest(folder)
    assert manifest.differences(folder) == (True, {"run.json": "was changed"})


@pytest.mark.parametrize("window_s", [0, -1, 86_401, float("nan"), float("inf")])
def test_a_window_is_longer_than_zero_and_at_most_a_day(window_s):
    """In seconds."""
    assert checked_window(86_400) == 86_400
    with pytest.raises(SuiteError, match="out of range"):
        checked_window(window_s)


@pytest.mark.parametrize(
    ("name", "hint"), [("enrgy", "did you mean 'energy'?"), ("ENERGY", "available: energy"), ("xyz", "available: energy, latency")]
)
def test_an_unknown_name_is_an_error_with_the_nearest_one(name, hint):
    """A name in another letter case is suggested too; without a near match all names are listed."""
    check_names(["energy"], ["energy", "latency"], "column", "--columns")
    with pytest.raises(HarnessError) as error:
        check_names(["energy", name], ["energy", "latency"], "column", "--columns")
    assert (error.value.what, error.value.hint) == (f"unknown column {name!r} (--columns)", hint)
