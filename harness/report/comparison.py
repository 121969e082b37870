"""Ratios between machines as lines of text, with verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from harness.decide.compare import Comparison, aligned, compare
from harness.frame.baseline import JOINT_ALPHA, MARGIN, STOPPED_ALPHA
from harness.frame.cases import case_row
from harness.report.tables import NOT_SEPARATED, NS
from harness.schema import StoredRun
from harness.text import NONE, number

PREFIX = "[NOT COMPARABLE] "
"""Prefix of each line with a figure of machines that are not comparable."""


def ratio_lines(runs: Sequence[StoredRun]) -> Iterator[str]:
    """Ratio, interval and verdict of energy and latency of each case on each machine to the base."""
    comparisons = compare(runs)
    if not comparisons:
        yield "no case was measured on the base and on another machine"
        return
    stopped = any(run.header.profile.half_width is not None for run in runs)
    cells = [
        (c.case_id, (f"{letter(c.run)}/A", _quantity(c), number(c.ratio.value), _interval(c), _verdict(c), c.kind)) for c in comparisons
    ]
    yield from table_lines(("machine", "quantity", "ratio", "95 % interval", "verdict", "kind"), cells)
    yield from load_lines(runs)
    yield ""
    yield (
        f"better = less energy, shorter latency (median); same = within {MARGIN:.0%}; {NOT_SEPARATED}. Intervals are individual; the verdicts "
        f"hold jointly: Shaffer's correction over all of them at {STOPPED_ALPHA if stopped else JOINT_ALPHA:g}{' (after a stopping rule)' if stopped else ''}. "
        "Energy ratios include the gain uncertainty of both machines' sensors, which does not cancel."
    )
    if any(c.verdict is None for c in comparisons):
        yield (
            "none = no verdict: energies that are modelled, or from a sensor with unknown gain, have no absolute interval; "
            "the spread of a single launch, or of identical launches, is unknown."
        )


def load_lines(runs: Sequence[StoredRun]) -> Iterator[str]:
    """Mean lengths and concurrency of each case that generates text on each machine, without which an energy per token means nothing."""
    of_runs = [{name: case_row(result) for name, result in each.items() if result.case.load} for each in aligned(runs)]
    names = [name for name in of_runs[0] if any(name in each for each in of_runs[1:])]
    if names:
        yield from ["", "Loads of generated text as measured (J/token is the energy per output token, prompts included):"]
    cells = [
        (name, (letter(k), *(number(row.get(column)) for column in ("input_tokens", "output_tokens", "concurrency", "energy_j"))))
        for name in names
        for k, each in enumerate(of_runs)
        if (row := each.get(name))
    ]
    if cells:
        yield from table_lines(("machine", "input", "output", "concurrency", "J/token"), cells)


def _quantity(c: Comparison) -> str:
    """`energy`, `latency`; of generated text `J/token`, `TPOT`."""
    return {"energy": "J/token", "latency": "TPOT"}[c.quantity] if c.unit == "output_token" else c.quantity


def letter(k: int) -> str:
    """Name of a machine by the number of its run: A, B, ..., Z, machine 27."""
    return chr(ord("A") + k) if k < 26 else f"machine {k + 1}"


def table_lines(headings: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """A table of (case, cells) with each row below the name of its case."""
    from tabulate import tabulate

    # Headings as rows: as headings they would be two blanks wider each, too wide for a narrow terminal.
    columns = zip(headings, *(row for _, row in rows), strict=True)
    cells = [headings, ["-" * max(map(len, column)) for column in columns], *(row for _, row in rows)]
    lines = str(tabulate(cells, tablefmt="plain", disable_numparse=True)).split("\n")
    yield from (f"  {line}" for line in lines[:2])
    yield from below_cases((case_id, [f"  {line}"]) for (case_id, _), line in zip(rows, lines[2:], strict=True))


def below_cases(parts: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """Lines of each case below its name, which is printed once."""
    above = None
    for case_id, lines in parts:
        if lines and case_id != above:
            above = case_id
            yield case_id
        yield from lines


def _interval(c: Comparison) -> str:
    return NONE if np.isnan(c.ratio.low) else f"{number(c.ratio.low)} .. {number(c.ratio.high)}"


def _verdict(c: Comparison) -> str:
    return f"none: {c.why_not}" if c.verdict is None else NS if c.verdict == "not separated" else c.verdict
