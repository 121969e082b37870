"""Cells of the tables that people read."""

from __future__ import annotations

from harness import frame
from harness.frame.rows import rows_of
from harness.report.tables import caption, case_cells, failures, remarks
from tests.factories import COUNTERS, case, digits, record, stored


def test_the_remarks_have_the_reason_for_a_missing_figure(tables):
    """Failed, refused or invalid."""
    headings, cells = case_cells(rows_of(tables["cases"]))
    texts = [row[headings.index("remarks")] for row in cells]
    assert sum("failed: tensor 12 | has no <kernel> `x`" in text for text in texts) == 1
    assert sum("refused: no GPU is visible to tensorflow" in text for text in texts) == 1
    assert sum("invalid: sensor_gap" in text for text in texts) == 1


def test_the_model_is_a_column_only_if_there_are_several():
    """A value shared by all cases has no column."""
    one, two = case("dense"), case("dense", model="mobilenet")
    assert "model" not in case_cells(rows_of(frame.cases([stored([one], [record(one)])])))[0]
    assert "model" in case_cells(rows_of(frame.cases([stored([one, two], [record(one), record(two)])])))[0]


def test_values_that_distinguish_two_rows_are_shown():
    """The options of an engine, and its threads where they vary."""
    one = case("dense", "tensorflow").model_copy(update={"case_id": "digits-cnn/dense/tensorflow(xla=true)/cpu/b1/t1/single_stream"})
    two = case("dense", "tensorflow").model_copy(update={"threads": 2})
    headings, cells = case_cells(rows_of(frame.cases([stored([one, two], [record(one), record(two)])])))
    assert [row[headings.index("engine")] for row in cells] == ["tensorflow(xla=true)", "tensorflow"]
    assert [row[headings.index("threads")] for row in cells] == ["1", "2"]
    assert "threads" not in case_cells(rows_of(frame.cases([stored([one], [record(one)])])))[0]


def test_qualities_of_several_metrics_have_their_names():
    """In each cell; a single metric is the heading."""
    one, two = case("dense"), case("dense", model="detector")
    other = record(two).quality.model_copy(update={"metric": "reconstruction_auc"})
    assert "accuracy" in case_cells(rows_of(frame.cases([stored([one], [record(one)])])))[0]
    headings, cells = case_cells(
        rows_of(frame.cases([stored([one, two], [record(one), record(two, quality=None).model_copy(update={"quality": other})])]))
    )
    at = headings.index("quality")
    assert [row[at].rsplit(" ", 1)[1] for row in cells] == ["accuracy", "reconstruction_auc"]


def test_the_caption_has_every_kind_with_its_scope():
    """Also that no energy is there."""
    assert "modelled (package+dram)" in caption(rows_of(frame.cases([digits()])))
    assert "counter (package+dram)" in caption(rows_of(frame.cases([digits(COUNTERS)])))
    assert "absent" in caption([])


def test_the_lines_of_a_reason_are_separated_by_semicolons():
    """The cause, and the next step."""
    assert remarks({"status": "refused", "reason": "no head is known\nadd a threshold"}) == "refused: no head is known; add a threshold"


def test_failed_launches_of_a_completed_case_are_in_the_remarks():
    """In the table, with a mark and a line below on a terminal: its interval is from fewer launches."""
    dense, int8 = case("dense"), case("int8")
    lost = record(int8, {}, repetition=0).model_copy(update={"status": "failed", "reason": "no device"})
    run = stored([dense, int8], [lost, *(record(each, repetition=k) for each in (dense, int8) for k in (1, 2))])
    rows = rows_of(frame.cases([run]))
    assert remarks(rows[1]).startswith("1 of 3 launches failed")
    assert failures(rows) == [f"1 of 3 launches failed: {int8.case_id}: no device"]
    headings, cells = case_cells(rows, marks=True)
    assert [row[headings.index("remarks")].endswith("!") for row in cells] == [False, True]
