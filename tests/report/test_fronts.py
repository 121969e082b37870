"""Pareto front as text."""

from __future__ import annotations

from dataclasses import replace

from harness import frame
from harness.decide.fronts import fronts
from harness.report.fronts import front_lines
from harness.schema import OBJECTIVES
from tests.factories import digits


def test_the_front_has_its_cases_and_the_hypervolume():
    """Objectives, counts, hypervolume, then each case with its share of resamples, the largest first."""
    (front,) = fronts(frame.cases([digits()]), OBJECTIVES)
    head, counts, *rest = front_lines(front, OBJECTIVES)
    assert head == f"front of energy, quality, latency: {front.name}"
    assert counts.startswith(f"  {len(front.on)} of {len(front.rows)} cases on it (point estimates)") and "of the box" in counts
    shares = [int(line.split("%")[0]) for line in rest if "%" in line]
    assert len(shares) == len(front.on) and shares == sorted(shares, reverse=True)


def test_groups_and_a_missing_hypervolume():
    """Cases that are not separated are one line; too many points have no hypervolume."""
    (front,) = fronts(frame.cases([digits()]), OBJECTIVES)
    text = front_lines(replace(front, groups=[front.rows[:2]], hypervolume=None), OBJECTIVES)
    assert "not computed, too many points" in text[1]
    assert text[-1].startswith("  not separated: ") and text[-1].count(";") == 1
