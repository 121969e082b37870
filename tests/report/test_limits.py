"""Text of a constraint that a case does not satisfy."""

from __future__ import annotations

import pytest

from harness.decide.limits import Miss
from harness.report.limits import miss_text

ROW = {"quality_metric": "accuracy", "quality_direction": "higher", "quality_verdict": None}


@pytest.mark.parametrize(
    ("miss", "text"),
    [
        (Miss("energy_j", 4e-4, 5e-4, 5.1e-4, 0.1), "energy 500 µJ, upper 95 % bound 510 µJ: at most 400 µJ required"),
        (Miss("memory_bytes", 1e6, 2e6, 2e6, 1.0), "peak memory 2000 kB: at most 1000 kB required"),
        (Miss("latency_p99_s", 1e-3, None, None), "latency p99 unknown (a launch had fewer than 368 queries)"),
        (Miss("energy_j", 1.0, 2.0, None), "energy has no upper bound: the spread of a single launch is unknown"),
        (
            Miss("rate_per_s", 100.0, 105.0, 95.0, 0.05),
            "throughput 105 inferences/s, lower 95 % bound 95.0 inferences/s: at least 100 inferences/s",
        ),
        (Miss("quality", 0.97, 0.98, 0.96, 0.01), "accuracy 0.9800, lower 95 % bound 0.96000: at least 0.9700 required"),
        (Miss("quality", 0.97, None, None), "accuracy unknown"),
        (Miss("quality", 0.97, 0.98, None), "accuracy 0.9800 has no lower bound"),
        (Miss("non_inferior", 0.0, None, None), "quality was not compared with dense"),
    ],
)
def test_value_bound_and_limit_are_in_the_text(miss, text):
    """Each with its unit."""
    assert miss_text(ROW, miss).startswith(text)


def test_lower_quality_is_compared_by_the_upper_bound():
    """The direction of the metric decides the side."""
    text = miss_text({**ROW, "quality_metric": "rmse", "quality_direction": "lower"}, Miss("quality", 0.1, 0.15, 0.2, 1.0))
    assert text == "rmse 0.1500, upper 95 % bound 0.20000: at most 0.1000 required"


def test_an_undecided_difference_has_the_samples_needed():
    """An inferior case does not."""
    differing = {**ROW, "quality_verdict": "undecided", "quality_diff": -0.01, "quality_diff_low": -0.02, "quality_diff_high": 0.001}
    text = miss_text({**differing, "quality_samples_needed": 2480}, Miss("non_inferior", 0.0, -0.01, -0.02, 0.02))
    assert text == (
        "accuracy may be worse than dense by more than the margin (-0.01 [-0.02, +0.001], 90 %; about 2,480 test samples would be needed to decide this for two equal models)"
    )
    inferior = {**differing, "quality_verdict": "inferior", "quality_samples_needed": None}
    assert "worse than dense by more than the margin" in miss_text(inferior, Miss("non_inferior", 0.0, -0.01, -0.02, 0.02))
