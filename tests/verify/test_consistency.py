"""Records that do not belong to the run, and headers that do not belong to their suite."""

from __future__ import annotations

import shutil

import pytest

from harness.verify import verify
from tests.verify.forgery import CELLS, assert_problem, last, problems_after, replace_text, reseal

FORGERIES = {
    "it belongs to the run other": lambda one: one.update(run_id="other"),
    "its environment other is not in run.json": lambda one: one.update(environment_id="other"),
    "copied from the cache": lambda one: (one.update(cached=True), last(one).update(gross_j=1e-3)),
    "its quality is accuracy, lower is better": lambda one: one["quality"].update(direction="lower"),
    "its quality is f1": lambda one: one["quality"].update(metric="f1"),
    "it ran the build other": lambda one: (one["artifact"].update(build_id="other"), one["artifact"]["facts"].update(macs=1)),
}


@pytest.mark.parametrize("words", FORGERIES)
def test_a_record_that_does_not_belong_to_the_run_is_reported(folder, words):
    """And no other record."""
    assert_problem(problems_after(folder, FORGERIES[words]), words)


def test_a_case_that_the_suite_does_not_have_is_reported(folder):
    """By its name."""
    problems = problems_after(folder, lambda one: one.update(case_id="other"))
    assert "other, repetition 2, attempt 1: the suite has no such case" in problems


def test_an_environment_that_does_not_have_its_id_is_reported(folder):
    """Another processor."""
    replace_text(folder / "run.json", "AMD EPYC 7763", "AMD EPYC 9965")
    reseal(folder)
    assert any("run.json, environment of box-1: its id" in each for each in verify(folder).problems)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"quality_margin": 0.02', '"quality_margin": 0.2', "quality_margin of the suite is stored as 0.2, recomputed as 0.02"),
        ('"domains": null', '"domains": ["dram"]', "domains of the suite"),
        ("margin: 0.02", "margin: 0.2", "sha256 of the suite"),
        ('"format": "workload"', '"format": "onnx"', "sha256 of the suite"),
    ],
)
def test_a_suite_that_is_not_that_of_its_source_is_reported(folder, old, new, words):
    """A wider margin, other domains, another source, another model."""
    replace_text(folder / "run.json", old, new)
    reseal(folder)
    assert any(words in each for each in verify(folder).problems)


def test_a_source_that_cannot_be_read_is_a_note(folder):
    """An earlier version had another grammar."""
    replace_text(folder / "run.json", "matrices: [", "matrix: [")
    shutil.rmtree(folder / "report")
    reseal(folder)
    result = verify(folder)
    assert result.problems == [] and any("the suite was not compared with its source" in note for note in result.notes)


def rewrite_records(folder, change):
    """Problems after a change of the lines of the records."""
    path = folder / "records.jsonl"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    reseal(folder)
    return verify(folder).problems


@pytest.mark.parametrize("with_its_traces", [True, False])
def test_a_removed_launch_is_reported(folder, with_its_traces):
    """It is in the plan; and its raw data, if they are still there, belong to no record."""
    if with_its_traces:
        for trace in folder.glob("traces/*int8*-r2-a1*"):
            trace.unlink()
    problems = rewrite_records(folder, lambda lines: lines[:-1])
    assert f"{CELLS[1].case_id}, repetition 2: it is in the plan, but has no record" in problems
    assert any("has no record: a record" in each for each in problems) is not with_its_traces


def test_a_repeated_record_is_reported(folder):
    """A launch has one record per attempt."""
    problems = rewrite_records(folder, lambda lines: [*lines, lines[-1]])
    assert f"{CELLS[1].case_id}, repetition 2, attempt 1 has 2 records" in problems


def test_a_launch_that_is_a_copy_of_another_is_reported(folder):
    """The best of three put in the place of the worst, with all its raw data."""
    for trace in folder.glob("traces/*int8*-r0-a1*"):
        shutil.copyfile(trace, trace.with_name(trace.name.replace("-r0-", "-r2-")))
    copy = ('"repetition":0', '"repetition":2'), ("-r0-a1", "-r2-a1")
    problems = rewrite_records(folder, lambda lines: [*lines[:7], lines[3].replace(*copy[0]).replace(*copy[1])])
    assert any("repetition 2" in each and "it was measured at the same time as" in each for each in problems)
