"""Files that were changed, lost or added."""

from __future__ import annotations

import pytest

from harness.store import Store, manifest, read_run
from harness.verify import Verification, verify
from harness.verify.files import check_files
from tests.verify.forgery import CELLS, DISTURBED, EMPTY, draw, flip_bit, launch, replace_text

KINDS = ("run.json", "records.jsonl", "traces/*.completions.parquet", "traces/*.quality.parquet", "report/table.csv",
         "report/table.md", "report/index.html", "report/pareto.png", "report/pareto.svg", "manifest.json")  # fmt: skip


@pytest.mark.parametrize("pattern", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.37, 0.999])
def test_one_changed_byte_in_any_file_is_reported(folder, pattern, share):
    """At the beginning, in the middle and at the end of each kind of file."""
    path, result = sorted(folder.glob(pattern))[0], Verification()
    flip_bit(path, int(share * (path.stat().st_size - 1)))
    check_files(folder, (), result)
    assert any(str(path.relative_to(folder)) in problem for problem in result.problems)


def test_a_changed_trace_is_reported_with_its_record(folder):
    """The file, the case and the repetition."""
    one = read_run(folder).records[5]
    flip_bit(folder / one.trace, 200)
    problems = verify(folder).problems
    assert any(one.trace in each and f"{one.case_id}, repetition {one.repetition}" in each for each in problems)


def test_a_changed_record_is_reported_with_its_line(folder):
    """The second case of the first block."""
    path = folder / "records.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b'"accuracy"', b'"accurate"')
    path.write_bytes(b"\n".join(lines))
    assert "records.jsonl was changed: line 4" in verify(folder).problems


def test_lost_and_added_files_are_reported(folder):
    """A file on which no figure depends is a note."""
    trace = sorted(folder.glob("traces/*.quality.parquet"))[0]
    trace.rename(trace.with_name("stray.parquet"))
    (folder / "notes.txt").write_text("of somebody else")
    result = verify(folder)
    assert f"{trace.relative_to(folder)} is missing" in " ".join(result.problems)
    assert "traces/stray.parquet is not in the manifest" in result.problems
    assert any(note.startswith("notes.txt is not in the manifest") for note in result.notes)


def test_without_a_manifest_the_figures_are_recomputed_and_the_run_fails(folder):
    """An interrupted run, or a removed manifest."""
    (folder / manifest.NAME).unlink()
    result = verify(folder)
    assert len(result.problems) == 1
    assert "manifest.json is missing" in result.problems[0]
    assert result.recomputed.total() > 500


def tear(folder):
    """Cut the last line, as a killed writer leaves it: the raw data, and half of the line."""
    path = folder / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-300])


def test_a_torn_line_and_its_traces_are_reported(folder):
    """The run has not ended: it has no manifest."""
    tear(folder)
    (folder / manifest.NAME).unlink()
    problems = " ".join(verify(folder).problems)
    assert "records.jsonl:8 is torn" in problems
    assert "-r2-a1.parquet has no record" in problems


def test_a_torn_line_in_a_run_that_was_continued_is_a_note(folder):
    """Its launch was run again, and its raw data were replaced."""
    (folder / manifest.NAME).unlink()
    tear(folder)
    Store(folder).append(*launch(*DISTURBED, 11.2))
    draw(folder, ended=True)
    result = verify(folder)
    assert result.problems == []
    assert any("records.jsonl:8 is damaged" in note for note in result.notes)


def test_the_raw_data_of_a_killed_launch_are_not_those_of_its_successor(folder):
    """A killed launch has only its trace: completions and answers of the same name are removed."""
    one, trace, *_ = launch(*DISTURBED, 11.2)
    Store(folder).append(one.model_copy(update={"status": "killed"}), trace, *EMPTY[1:])
    assert len(list(folder.glob(f"{one.trace or 'traces/*int8*-r2-a1'}*"))) == 1


def test_resuming_a_run_accepts_no_earlier_change(folder):
    """New lines and files are entered; what was changed before stays a problem, also when the report is drawn again."""
    late = launch(CELLS[0], 3, 10.0)
    Store(folder).append(late[0].model_copy(update={"status": "failed", "quality": None}), *late[1:])
    draw(folder, ended=True)
    assert verify(folder).problems == []
    replace_text(folder / "run.json", "abcdef0", "abcdef1")
    draw(folder, ended=True)
    draw(folder)
    assert any(each.startswith("run.json was changed") for each in verify(folder).problems)
