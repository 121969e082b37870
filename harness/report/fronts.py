"""Pareto front as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from harness.decide.fronts import Front
from harness.frame.rows import Row
from harness.report.cells import case_text
from harness.schema import Objective
from harness.text import number


def front_lines(front: Front, objectives: Sequence[Objective]) -> list[str]:
    """The front's cases with their shares of resamples, groups that are not separated, and hypervolume."""
    lost = sum(bool(row["dominated"]) for row in front.rows)
    volume = (
        "not computed, too many points" if front.hypervolume is None else f"{number(front.hypervolume)} of the box to the reference point"
    )
    return [
        f"front of {', '.join(each.name for each in objectives)}: {front.name}",
        f"  {len(front.on)} of {len(front.rows)} cases on it (point estimates), {lost} dominated at 95 % confidence; hypervolume {volume}",
        *(f"  {row['p_front']:.0%} {_case(row)}" for row in sorted(front.on, key=lambda row: -row["p_front"])),
        *(f"  not separated: {'; '.join(map(_case, members))}" for members in front.groups),
    ]


def _case(row: Row) -> str:
    threads = "" if row["threads"] == 1 else f" · {row['threads']} threads"
    return f"{case_text(row)}{threads}"
