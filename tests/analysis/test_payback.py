"""Payback: Fieller's interval covers, and has no upper bound where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.analysis.payback import Saving, payback

launches = st.lists(st.floats(0.9, 1.1), min_size=2, max_size=8)


def covered(saving: float, sd: float, sessions: int = 4000, n: int = 5) -> tuple[float, dict[str | None, int]]:
    """(share of sessions whose interval holds the truth, how often each verdict came); 100 J of build, baseline 1 J."""
    rng = np.random.default_rng(7)
    truth, hits, verdicts = 100 / saving, 0, dict.fromkeys(["pays_back", "not_separated", "no_saving"], 0)
    for baseline, values in zip(rng.normal(1, sd, (sessions, n)), rng.normal(1 - saving, sd, (sessions, n)), strict=True):
        found = payback(100.0, Saving.of_launches(list(values), list(baseline)))
        verdicts[found.verdict] += 1
        hits += found.verdict != "no_saving" and found.low <= truth <= (found.high or np.inf)
    return hits / sessions, verdicts


@pytest.mark.parametrize("sd", [0.02, 0.1, 0.3])
def test_the_interval_covers_the_truth(sd):
    """95 % whether the saving (0.2 J) is clear, doubtful or drowned in scatter; the delta method fails in the last."""
    assert covered(0.2, sd)[0] == pytest.approx(0.95, abs=0.012)


def test_a_clear_saving_pays_back():
    """Both bounds are finite, and hold the estimate."""
    found = payback(100.0, Saving.of_launches([0.5, 0.51, 0.49], [1.0, 1.01, 0.99]))
    assert found.verdict == "pays_back"
    assert found.inferences == pytest.approx(200)
    assert found.low < 200 < found.high


def test_a_doubtful_saving_has_no_upper_bound():
    """At least so many inferences; where the mean is a loss there is no estimate either."""
    found = payback(100.0, Saving.of_launches([0.9, 1.1, 0.95], [1.0, 1.2, 0.9]))
    assert (found.verdict, found.high) == ("not_separated", None)
    assert 0 < found.low < found.inferences
    loss = payback(100.0, Saving.of_launches([1.0, 1.2, 0.9], [0.9, 1.1, 0.95]))
    assert (loss.verdict, loss.inferences, loss.high) == ("not_separated", None, None)
    assert loss.low > 0


def test_a_loss_is_never_paid_back():
    """No number at all."""
    found = payback(100.0, Saving.of_launches([1.0, 1.01, 0.99], [0.5, 0.51, 0.49]))
    assert (found.verdict, found.inferences, found.low, found.high) == ("no_saving", None, None, None)


def test_one_launch_has_an_estimate_and_no_verdict():
    """Its scatter is unknown."""
    found = payback(100.0, Saving.of_launches([0.5], [1.0, 1.0]))
    assert (found.inferences, found.low, found.high, found.verdict) == (200, None, None, None)


@given(launches, launches, st.floats(0, 0.2), st.floats(0, 30), st.floats(-1, 1))
def test_the_bounds_solve_fiellers_equation(values, baseline, offset_j, u_build_j, r):
    """At each bound B - N d is t standard uncertainties from 0, covariance included."""
    saving = Saving.of_launches([v / 2 for v in values], baseline, offset_j)
    covariance = r * u_build_j * saving.u_j
    found = payback(100.0, saving, 0.975, u_build_j, covariance)
    t = stats.t.ppf(0.975, saving.nu)
    for n in filter(None, (found.low, found.high)):
        u = np.sqrt(max(u_build_j**2 - 2 * n * covariance + n**2 * saving.u_j**2, 0.0))
        assert abs(100 - n * saving.joules) == pytest.approx(t * u, rel=1e-5, abs=1e-4 * 100)


def test_the_saving_is_welchs():
    """Standard error and degrees of freedom as SciPy has them; the offset is known, so it adds to both."""
    a, b = [0.5, 0.6, 0.55, 0.52], [1.0, 1.3, 1.1]
    saving, expected = Saving.of_launches(a, b), stats.ttest_ind(b, a, equal_var=False)
    assert (saving.joules / saving.u_j, saving.nu) == pytest.approx((expected.statistic, expected.df))
    wider = Saving.of_launches(a, b, 0.2)
    assert wider.u_j == pytest.approx(np.hypot(saving.u_j, 0.2))
    assert wider.nu > saving.nu
