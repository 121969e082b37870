"""Cells of a case."""

from harness import frame
from harness.frame.rows import rows_of
from harness.report.cells import case_text, failed_launches, kind_of, quality_text, ratio_text, remarks, short_remark
from tests import factories, generating


def test_a_case_is_named_by_its_batch_or_by_its_load():
    """`c4/in16/out48` is what a reader of text generation looks for."""
    query, text = rows_of(frame.cases([factories.digits()]))[0], rows_of(frame.cases([generating.sweep()]))[1]
    assert case_text(query) == "dense · litert cpu · batch 1"
    assert case_text(text) == "q8_0 · openai-server cpu · c1/in16/out48"


def test_the_remarks_have_place_and_warnings():
    """A share of resamples, and codes; one word in a narrow table."""
    row = rows_of(frame.cases([generating.sweep()]))[1] | {"p_front": 0.5, "warnings": "cost_only"}
    assert remarks(row) == "front 50%; cost_only"
    assert short_remark(row) == "front? !"


def test_quality_ratio_and_kind():
    """Both bounds of a quality; dense is 1; a calibration is named."""
    row = rows_of(frame.cases([factories.digits(factories.COUNTERS)]))[0]
    assert quality_text(row) == "0.972 [0.950 0.985]"
    assert ratio_text(row) == "1"
    assert kind_of(row | {"calibrated": "package"}) == "counter, calibrated"
    assert failed_launches(row | {"repetitions": 2, "failed_repetitions": 1}) == "1 of 3 launches failed"
