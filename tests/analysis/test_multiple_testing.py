"""Verdicts that hold together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.multiple_testing import holm, p_values, shaffer, verdicts

MARGIN = float(np.log1p(0.01))
ALPHAS = (0.05, 0.01)
FAMILIES = st.lists(st.tuples(*[st.floats(0, 1) | st.floats(0, 0.02)] * 2), max_size=4)


def test_holm_by_hand():
    """Smallest times m, the next times m - 1, never falling (Holm 1979): .01, .04, .03, .005."""
    assert np.ravel(holm([(0.01, 0.04), (0.03, 0.005)])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_shaffer_by_hand():
    """Times the number of ratios with a test left: both tests of the second ratio are decided before the first one's equivalence."""
    assert np.ravel(shaffer([(0.02, 0.3), (0.001, 0.01)])) == pytest.approx([0.02, 0.3, 0.002, 0.02])
    assert shaffer([(0.03, 0.9)]) == [(0.03, 0.9)], "one ratio is not corrected: only one of its hypotheses can be true"
    assert shaffer([]) == []


@given(FAMILIES)
def test_shaffer_is_never_more_conservative_than_holm(p):
    """Each adjusted p-value is at most Holm's, and at least the raw one."""
    for mine, holms, raw in zip(shaffer(p), holm(p), p, strict=True):
        assert all(a <= b + 1e-12 for a, b in zip(mine, holms, strict=True))
        assert all(a >= b - 1e-12 for a, b in zip(mine, raw, strict=True))


def closed(p, ratio, kind):
    """Adjusted p-value of one hypothesis by the closed test with Bonferroni over every set of hypotheses that can be true together."""
    worst = 0.0
    for choice in itertools.product((0, 1, None), repeat=len(p)):  # of each ratio: the difference is null, the non-equivalence, or neither
        if choice[ratio] == kind:
            true = [pair[each] for pair, each in zip(p, choice, strict=True) if each is not None]
            worst = max(worst, min(1.0, len(true) * min(true)))
    return worst


@given(FAMILIES)
def test_shaffer_rejects_nothing_that_the_closed_test_does_not(p):
    """The closed test over the logically possible sets controls the familywise error (Marcus, Peritz & Gabriel 1976), and so does its shortcut."""
    for ratio, pair in enumerate(shaffer(p)):
        for kind, adjusted in enumerate(pair):
            assert adjusted >= closed(p, ratio, kind) - 1e-12


def test_each_verdict():
    """By sign where it is separated; same only inside the margin; else nothing."""
    found = verdicts([(-0.2, 0.01, 20), (0.2, 0.01, 20), (0.0, 0.001, 20), (0.05, 0.05, 20)], 0.01)
    assert found == ["better", "worse", "same", "not separated"]


def test_a_ratio_that_holm_did_not_separate_is_separated():
    """0.557 [0.472, 0.656] among ten after a stopping rule: the factor is the number of ratios, not of tests."""
    ratio = (float(np.log(0.557)), float(np.log(0.656 / 0.557)) / 2.776, 4.0)
    unclear = [(0.0, 0.05, 4.0)] * 9
    assert 0.01 / 20 < p_values(*ratio, MARGIN)[0] < 0.01 / 10
    assert verdicts([ratio, *unclear], MARGIN, 0.01, holm)[0] == "not separated"
    assert verdicts([ratio, *unclear], MARGIN, 0.01)[0] == "better"


def is_wrong(truth: float, verdict: str) -> bool:
    """Whether a verdict on a true logarithm of a ratio is wrong, by its sign too."""
    return {"better": truth >= 0, "worse": truth <= 0, "same": abs(truth) >= MARGIN, "not separated": False}[verdict]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("u", [0.02, 0.002])
@pytest.mark.parametrize(
    "truths",
    [[0.0] * 8, [MARGIN] * 8, [0.0, MARGIN] * 4, [1e-4, MARGIN / 2] * 4, [0.0] * 4 + [0.08] * 4],
    ids=["equal", "at the margin", "equal or at the margin", "almost equal", "equal or different"],
)
def test_families_are_rarely_wrong(truths, u, alpha):
    """Of 250 simulated families with common noise at most alpha, up to the error of the simulation, hold a wrong verdict."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(250):
        noise = (rng.standard_normal() + rng.standard_normal(len(truths))) / np.sqrt(2)
        scatter = np.sqrt(rng.chisquare(8, len(truths)) / 8)
        ratios = [(float(t + u * n), float(u * s), 8.0) for t, n, s in zip(truths, noise, scatter, strict=True)]
        wrong += any(map(is_wrong, truths, verdicts(ratios, MARGIN, alpha)))
    assert wrong <= 250 * alpha + 3 * np.sqrt(250 * alpha)


def test_uncorrected_half_of_the_families_would_be_wrong():
    """The simulation finds errors: of 400 families of 12 equal ratios each test alone errs in 46 %."""
    rng = np.random.default_rng(0)
    families = [[(float(d), 0.05, 1e6) for d in rng.normal(0, 0.05, 12)] for _ in range(400)]

    def errs(adjust):
        return sum(bool({"better", "worse"} & set(verdicts(family, 1e-4, adjust=adjust))) for family in families)

    assert errs(list) > 150
    assert errs(shaffer) <= 0.07 * 400
