"""The manifest of a run: an entry is never replaced by accident."""

from __future__ import annotations

import pytest

from harness.store import manifest


@pytest.fixture
def folder(tmp_path):
    """A run that has ended, sealed."""
    (tmp_path / "traces").mkdir()
    (tmp_path / "report").mkdir()
    for name, content in (("run.json", "{}"), ("records.jsonl", "one\ntwo\n"), ("traces/a.parquet", "raw"), ("report/index.html", "page")):
        (tmp_path / name).write_text(content)
    seal(tmp_path)
    return tmp_path


def seal(folder) -> None:
    """As the store writes it."""
    (folder / manifest.NAME).write_text(manifest.seal(folder))


def test_unchanged_files_do_not_differ(folder):
    """Also after sealing again."""
    assert manifest.differences(folder) == (True, {})
    seal(folder)
    assert manifest.differences(folder) == (True, {})


def test_a_resumed_run_adds_its_records_and_traces(folder):
    """In addition to the old entries."""
    with (folder / "records.jsonl").open("a") as stream:
        stream.write("three\n")
    (folder / "traces" / "b.parquet").write_text("raw")
    assert manifest.differences(folder)[1] == {"records.jsonl": "was changed: line 3", "traces/b.parquet": manifest.UNKNOWN}
    seal(folder)
    assert manifest.differences(folder) == (True, {})


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("records.jsonl", "ONE\ntwo\nthree\n", "was changed: line 1, 3"),
        ("records.jsonl", "two\nthree\n", "was changed: line 1, 2"),
        ("traces/a.parquet", "changed", "was changed"),
        ("run.json", "[]", "was changed"),
    ],
)
def test_sealing_again_does_not_accept_changes(folder, name, content, problem):
    """Resuming a run that was changed keeps the old entries."""
    (folder / name).write_text(content)
    seal(folder)
    assert manifest.differences(folder)[1] == {name: problem}
    assert not manifest.intact(folder, name)


def test_a_report_may_be_drawn_again(folder):
    """It follows from the other files."""
    (folder / "report" / "index.html").write_text("another page")
    assert list(manifest.differences(folder)[1]) == ["report/index.html"]
    (folder / manifest.NAME).write_text(manifest.redrawn(folder))
    assert manifest.differences(folder) == (True, {})


def test_a_file_rewritten_by_the_harness_is_entered_by_name(folder):
    """No other file is."""
    for name in ("run.json", "traces/a.parquet"):
        (folder / name).write_text("other")
    (folder / manifest.NAME).write_text(manifest.redrawn(folder, "run.json"))
    assert manifest.differences(folder)[1] == {"traces/a.parquet": "was changed"}


def test_a_changed_or_missing_manifest_is_reported(folder):
    """It has a checksum of its own; a missing file is still reported after sealing again."""
    text = (folder / manifest.NAME).read_text()
    (folder / manifest.NAME).write_text(text.replace('"report"', '"Report"'))
    assert "damaged" in manifest.differences(folder)[1][manifest.NAME]
    (folder / manifest.NAME).write_text(text)
    (folder / "traces" / "a.parquet").unlink()
    seal(folder)
    assert manifest.differences(folder)[1] == {"traces/a.parquet": "is missing"}
    (folder / manifest.NAME).unlink()
    assert manifest.differences(folder) == (False, {})
