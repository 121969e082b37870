"""Words of the units."""

from harness.report.words import words_of, words_of_units


def test_a_row_has_the_words_of_its_unit():
    """An energy per inference is never called one per token."""
    assert (words_of({"unit": "inference"}).many, words_of({"unit": "output_token"}).many) == ("inferences", "output tokens")
    assert words_of({"unit": "output_token"}).latency == "TPOT"


def test_two_units_are_both_named():
    """In a heading above rows of both; without a row it is the inference."""
    assert words_of_units([]).many == "inferences"
    assert words_of_units(["output_token", "output_token"]).many == "output tokens"
    assert words_of_units(["output_token", "inference"]).many == "inferences or output tokens"
