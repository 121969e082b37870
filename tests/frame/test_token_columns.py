"""Columns of text generation are declared once."""

from harness.frame.token_columns import LATENCIES, TOKEN_CASES


def test_each_latency_has_median_bounds_and_percentiles():
    """And no name comes twice."""
    names = [column.name for column in TOKEN_CASES]
    assert len(set(names)) == len(names)
    for stem in LATENCIES:
        assert {f"{stem}_p50_s", f"{stem}_p50_low_s", f"{stem}_p50_high_s", f"{stem}_p90_s", f"{stem}_p99_s"} <= set(names)
    assert all(column.null for column in TOKEN_CASES)
