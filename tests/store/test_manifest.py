"""The manifest of a run: what was entered once is never entered anew by accident."""

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


def test_what_is_as_it_was_entered_differs_in_nothing(folder):
    """Sealed again too."""
    assert manifest.differences(folder) == (True, {})
    seal(folder)
    assert manifest.differences(folder) == (True, {})


def test_a_resumed_run_adds_its_records_and_traces(folder):
    """They are entered beside the old ones."""
    with (folder / "records.jsonl").open("a") as stream:
        stream.write("three\n")
    (folder / "traces" / "b.parquet").write_text("raw")
    assert manifest.differences(folder)[1] == {"records.jsonl": "was changed: line 3", "traces/b.parquet": manifest.UNKNOWN}
    seal(folder)
    assert manifest.differences(folder) == (True, {})


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("records.jsonl", "ONE\ntwo\nthree\n", "was changed: line 1, 3"),
        ("records.jsonl", "two\nthree\n", "was changed: line 1, 2"),
        ("traces/a.parquet", "changed", "was changed"),
        ("run.json", "[]", "was changed"),
    ],
)
def test_sealing_again_blesses_nothing_that_was_changed(folder, name, content, told):
    """Whoever resumes a run that somebody has touched does not vouch for it."""
    (folder / name).write_text(content)
    seal(folder)
    assert manifest.differences(folder)[1] == {name: told}
    assert not manifest.intact(folder, name)


def test_a_report_may_be_drawn_again(folder):
    """It follows from the rest."""
    (folder / "report" / "index.html").write_text("another page")
    assert list(manifest.differences(folder)[1]) == ["report/index.html"]
    (folder / manifest.NAME).write_text(manifest.redrawn(folder))
    assert manifest.differences(folder) == (True, {})


def test_a_file_that_was_rightly_written_anew_is_entered_by_name(folder):
    """That one and no other."""
    for name in ("run.json", "traces/a.parquet"):
        (folder / name).write_text("anew")
    (folder / manifest.NAME).write_text(manifest.redrawn(folder, "run.json"))
    assert manifest.differences(folder)[1] == {"traces/a.parquet": "was changed"}


def test_a_manifest_that_was_touched_or_is_missing_is_told(folder):
    """It has a checksum of its own; a file that is gone stays missed when it is sealed again."""
    text = (folder / manifest.NAME).read_text()
    (folder / manifest.NAME).write_text(text.replace('"report"', '"Report"'))
    assert "damaged" in manifest.differences(folder)[1][manifest.NAME]
    (folder / manifest.NAME).write_text(text)
    (folder / "traces" / "a.parquet").unlink()
    seal(folder)
    assert manifest.differences(folder)[1] == {"traces/a.parquet": "is missing"}
    (folder / manifest.NAME).unlink()
    assert manifest.differences(folder) == (False, {})
