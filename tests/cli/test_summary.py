"""What `harness run` prints at its end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness import frame, plugins
from harness.cli.summary import failed, interval_widths, minutes, print_summary, shortened, unmeasured, warning_lines
from tests import factories
from tests.cli.helpers import CELLS, measured


@pytest.fixture(scope="module")
def run():
    """A run with warnings and a failed case."""
    return factories.digits()


@pytest.fixture(scope="module")
def cases(run):
    """Its table of cases."""
    return frame.cases([run])


def test_the_summary_has_table_sentences_warnings_and_widths(run, cases, capsys):
    """In this order."""
    print_summary(run, cases, plugins.catalogue())
    lines = capsys.readouterr().out.splitlines()
    table = next(k for k, line in enumerate(lines) if "dense" in line)
    warning = next(k for k, line in enumerate(lines) if line.startswith("! "))
    preface = next(k for k, line in enumerate(lines) if line.startswith("Variants against dense"))
    assert table < preface < warning < len(lines) - 1
    assert [line[:3] for line in lines[preface + 1 : warning]] == ["-  "] * 10
    assert lines[preface + 9] == "-  ... and 4 more in the report"
    assert lines[warning - 1].startswith("-  outputs of dense against those on litert (cpu): onnxruntime (cpu) agrees on 100 %")
    assert lines[-1].startswith("95 % intervals on energy: median half-width")


def test_many_sentences_are_shortened():
    """To eight, and how many more there are."""
    assert shortened(["a"] * 8) == ["a"] * 8
    assert shortened(["a"] * 10) == [*["a"] * 8, "... and 2 more in the report"]


def test_each_warning_is_printed_once_with_its_number_of_cases(run, cases):
    """With the sentence and the remedy."""
    (line,) = [each for each in warning_lines(run, cases) if each.startswith("! foreign_load")]
    assert f", 1 of {len(run.header.suite.cases)} cases: {factories.WARNING.sentence}; {factories.WARNING.remedy}" in line


def test_a_warning_of_several_cases_shows_the_first_one(run, cases):
    """And that it does: the values of the others differ."""
    completed = {record.case_id: record for record in run.records if record.case_id and record.status == "ok"}
    first, other = list(completed.values())[:2]
    found = [factories.WARNING.model_copy(update={"sentence": f"{cores} cores"}) for cores in (1, 2)]
    changed = [record.model_copy(update={"warnings": (each,)}) for record, each in zip((first, other), found, strict=True)]
    (line,) = warning_lines(replace(run, records=tuple(changed)), cases)
    assert f", 2 of {len(run.header.suite.cases)} cases, the first: 1 cores; " in line


def test_the_widths_have_the_least_number_of_launches():
    """Not that of the profile, if some launches failed."""
    run = measured(CELLS[:2], launches=3)
    lost = run.records[-1].model_copy(update={"status": "failed"})
    part = replace(run, records=(*run.records[:-1], lost))
    widths = [interval_widths(each, frame.cases([each]), plugins.catalogue()) for each in (run, part)]
    assert "from at least 3 launches" in widths[0] and "from at least 2 launches" in widths[1]


def test_the_widths_end_with_the_duration_of_the_next_profile(run, cases):
    """Not after the longest profile; a run without an interval has no width."""
    catalogue = plugins.catalogue()
    assert "; for narrower intervals: --profile standard, about " in interval_widths(run, cases, catalogue)
    longest = factories.digits(profile="publish")
    assert "narrower" not in interval_widths(longest, frame.cases([longest]), catalogue)
    single = measured(launches=1)
    assert interval_widths(single, frame.cases([single]), catalogue).startswith("no case has an interval")


def test_modelled_energies_are_not_measured(cases):
    """A counter is."""
    assert set(unmeasured(cases)) == set(cases["case_id"])
    assert unmeasured(frame.cases([measured()])) == []


def test_a_run_has_failed_if_a_last_attempt_has():
    """A later attempt that is ok counts."""
    run = measured(CELLS[:1], launches=2)
    first, second = run.records
    lost = second.model_copy(update={"status": "killed"})
    assert not failed(run)
    assert failed(replace(run, records=(first, lost)))
    again = second.model_copy(update={"attempt": 2})
    assert not failed(replace(run, records=(first, lost, again)))


def test_minutes_are_rounded_up():
    """A range has two."""
    assert (minutes(61), minutes(10, 50), minutes(60, 600)) == ("2", "1", "1 to 10")


def test_a_finding_of_a_case_is_a_warning(run):
    """A dense case that differs from the reference, which no record holds."""
    wrong = "digits-cnn dense onnxruntime cpu b1 t1 single_stream"
    run = replace(run, outputs={**run.outputs, wrong: replace(run.outputs[wrong], outputs=-run.outputs[wrong].outputs)})
    (line,) = [each for each in warning_lines(run, frame.cases([run])) if each.startswith("! differs_from_reference, 1 of 19 cases: ")]
    assert "; run the model before and after its export on one input" in line
