"""A front -> the lines that a person reads of it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.decide.fronts import Front
from harness.frame.rows import Row
from harness.schema import Objective
from harness.text import engine_text, number


def lines(found: Front, objectives: Sequence[Objective]) -> list[str]:
    """What a person reads of a front."""
    lost = sum(bool(row["dominated"]) for row in found.rows)
    volume = "not counted, too many points" if found.hypervolume is None else f"{number(found.hypervolume)} of the box to the reference"
    said = [
        f"front of {', '.join(each.name for each in objectives)}: {found.name}",
        f"  {len(found.on)} of {len(found.rows)} cases on it by the estimates, {lost} shown to be dominated; hypervolume {volume}",
    ]
    said += [f"  {row['p_front']:.0%} {_case(row)}" for row in sorted(found.on, key=lambda row: -row["p_front"])]
    said += [f"  not separated: {'; '.join(map(_case, members))}" for members in found.groups]
    return said


def _case(row: Row) -> str:
    threads = "" if row["threads"] == 1 else f" · {row['threads']} threads"
    return f"{row['variant']} · {engine_text(row)} {row['device']} · batch {row['batch_size']}{threads}"
