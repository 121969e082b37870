"""Whole verifications of a run."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.verify import verify


def test_an_unchanged_run_passes(folder):
    """A copy too; every file and every kind of figure is checked."""
    result = verify(folder)
    assert result.problems == []
    assert result.files == len([p for p in folder.rglob("*") if p.is_file()]) - 1
    assert set(result.recomputed) == {
        "energy", "throughput and latency", "quality", "conditions", "findings", "artifacts", "environments", "the suite", "the report",
    }  # fmt: skip
    assert result.recomputed.total() > 500
    assert [line.split()[0] for line in result.lines()] == ["recomputed:", "note", "note", "note", "verify:"]


def test_a_run_of_schema_2_passes(tmp_path):
    """Its energies are recomputed between its stored edges; its findings follow from other rules and are not compared."""
    shutil.copytree(Path(__file__).parent.parent / "runs" / "schema-2", tmp_path / "run")
    result = verify(tmp_path / "run")
    assert result.problems == []
    assert result.recomputed["energy"] > 1000
    assert any("older schema" in note for note in result.notes)


def test_a_folder_without_a_run_is_a_problem(tmp_path):
    """No traceback."""
    (tmp_path / "run.json").write_text("{")
    assert any("cannot be read" in problem for problem in verify(tmp_path).problems)
