"""Settings of a row by its unit."""

from harness.frame.settings import by_unit, concurrency_text, is_text, lengths_text, setting_text, timing_of

QUERY = {"unit": "inference", "batch_size": 32, "device": "gpu", "copies": "outside", "in_flight": 4, "load": None}
TEXT = {**QUERY, "unit": "output_token", "load": "r0.5/in16/out48/spread_0"}


def test_a_query_has_a_batch_and_text_a_load():
    """The batch of a case that generates text is that of its requests, not of the suite."""
    assert (is_text(QUERY), setting_text(QUERY), timing_of(QUERY)) == (False, "batch 32", "copies outside, 4 in flight")
    assert (is_text(TEXT), setting_text(TEXT)) == (True, "r0.5/in16/out48/spread_0")
    assert (concurrency_text(TEXT), lengths_text(TEXT), timing_of(TEXT)) == ("r0.5", *["in16/out48/spread_0"] * 2)
    assert by_unit([TEXT, QUERY]) == ([QUERY], [TEXT])
