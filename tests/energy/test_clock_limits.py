"""Share of a window in which a card's clock was limited: counted by the driver, else sampled."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy.clock_limits import clock_limits, gained
from harness.schema import Domain, Sample, Trace

T_S = np.arange(0, 4, 0.25)


def trace(flags=None, **times: np.ndarray) -> Trace:
    """The flags of one card, and its counters of time."""
    named = {f"gpu:0 {name}": values for name, values in times.items()}
    domains = {n: Domain(name=n, sensor="nvml", quantity="duration", unit="s", device="gpu") for n in named}
    samples = {n: Sample(T_S, T_S, np.asarray(v, dtype=float)) for n, v in named.items()}
    if flags is not None:
        domains["gpu:0 event_reasons"] = Domain(name="gpu:0 event_reasons", sensor="nvml", quantity="flags", unit="1", device="gpu")
        samples["gpu:0 event_reasons"] = Sample(T_S, T_S, np.asarray(flags, dtype=float))
    return Trace(domains, samples)


def test_a_counter_gives_the_share_of_the_window():
    """0.3 s in 2 s, also between two readings, where no flag was seen."""
    counter = np.interp(T_S, [1.5, 1.8], [7.0, 7.3])
    found = clock_limits(trace(0 * T_S, slowed_time=counter), 1.0, 3.0)["gpu:0 slowed"]
    assert found.share == pytest.approx(0.15) and found.counted and found.reasons == 0


def test_without_a_counter_it_is_the_share_of_the_readings():
    """The reasons are kept, and set clocks and the power cap are separate."""
    flags = np.where((T_S >= 1) & (T_S < 2), 0x44, 0x2)
    found = clock_limits(trace(flags), 1.0, 2.9)
    assert found["gpu:0 slowed"] == (0.5, False, 0x40)
    assert found["gpu:0 power_capped"] == (0.5, False, 0x4)
    assert found["gpu:0 clocks_set"] == (0.5, False, 0x2)


@pytest.mark.parametrize(
    "counter",
    [np.full(len(T_S), 5.0), 1e3 * T_S, 5.0 - T_S, np.full(len(T_S), np.nan)],
    ids=["stands still", "in another unit", "runs backwards", "failed"],
)
def test_a_counter_that_contradicts_its_flags_is_ignored(counter):
    """Thermal slowdown in every reading is one, whatever a counter gives that does not count it."""
    found = clock_limits(trace(np.full(len(T_S), 0x40), slowed_time=counter), 1.0, 3.0)["gpu:0 slowed"]
    assert found == (1.0, False, 0x40)


def test_one_reading_of_a_flag_is_outvoted_by_a_counter():
    """A moment between two readings is not a tenth of the window."""
    flags = np.where(T_S == 2.0, 0x20, 0)
    found = clock_limits(trace(flags, slowed_time=np.where(T_S >= 2.0, 0.002, 0.0)), 1.0, 3.0)["gpu:0 slowed"]
    assert found.counted and found.share == pytest.approx(0.001)


def test_a_window_that_is_not_covered_has_no_limits():
    """That would be extrapolation."""
    sample = Sample(T_S, T_S, T_S)
    assert gained(sample, -1.0, 2.0) is None and gained(sample, 1.0, 9.0) is None and gained(sample, 2.0, 2.0) is None
    assert clock_limits(trace(slowed_time=T_S), 1.0, 9.0) == {}
