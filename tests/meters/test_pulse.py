"""A known load is found in the power of a meter."""

from __future__ import annotations

import numpy as np
import pytest

from harness.meters.pulse import find_pulse


@pytest.mark.parametrize("watts", [[], [0.0] * 9, [5.0, np.nan] * 5, [1e29, 3.0] * 8, [np.inf] * 6, list(range(40))])
@pytest.mark.parametrize("period_s", [0.0, 0.5, 90.0])
def test_the_search_for_the_load_never_warns(watts, period_s):
    """NumPy's warnings are errors here."""
    spans = [(0.0, 1.0, 0.0), (1.0, 2.0, 1.0), (2.0, 2.5, 0.0)]
    t_s = np.arange(len(watts)) * period_s
    with np.errstate(all="raise"):
        pulse = find_pulse(t_s, np.array(watts, dtype=float), spans)
    assert pulse is None or np.isfinite([pulse.offset_s, pulse.u_s, pulse.correlation]).all()


def test_evenly_spaced_loads_are_ambiguous(tmp_path):
    """A log with more repetitions at one rate than the run has: every shift fits."""
    spans = [(20.0 * k, 20.0 * k + 5, 1.0) for k in range(3)] + [(20.0 * k + 6, 20.0 * k + 19, 0.0) for k in range(3)]
    t_s = np.arange(0, 400, 0.5)
    pulse = find_pulse(t_s, np.where(t_s % 20 < 5, 2.0, 1.0), spans)
    assert pulse.correlation > 0.9
    assert not pulse.sure
    assert find_pulse(t_s, np.ones(len(t_s)), [(0.0, 1.0, 1.0)]) is None
