"""What a verification has found: figures compared, what differs, what could not be checked; and how that is told."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.schema import Record

CLOSE = 1e-9
"""Relative: the order of a sum is no difference."""


@dataclass
class Verification:
    """What was found.

    Attributes:
        wrong: What is not as it was written, or does not follow from the raw data: a sentence each, with the file or the row.
        told: What could not be checked, and why.
        files: How many files were compared with the manifest; null: there is none.
        again: How many figures were computed again, by what they are of.
    """

    wrong: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    files: int | None = None
    again: Counter[str] = field(default_factory=Counter)

    @property
    def figures(self) -> int:
        """How many figures were computed again."""
        return self.again.total()

    def compare(self, of: str, where: str, name: str, stored: Any, found: Any) -> None:
        """Two values of one figure: numbers within rounding, anything else exactly.

        Args:
            of: What it is counted under, such as `energy`.
            where: The row or the file.
            name: Of the figure.
            stored: As it was written; null: nothing.
            found: What the raw data give; null: nothing.
        """
        self.again[of] += 1
        if _differ(stored, found):
            numbers = _is_number(stored) and _is_number(found) and found
            off = f" ({stored / found - 1:+.3g} relative)" if numbers else ""
            self.wrong.append(f"{where}: {name} is stored as {_text(stored)}, the raw data give {_text(found)}{off}")

    def lines(self) -> Iterator[str]:
        """For people: what is wrong, what was computed again, what could not be checked, and the sum of it."""
        yield from (f"wrong  {sentence}" for sentence in self.wrong)
        if self.again:
            yield "again  " + ", ".join(f"{n} of {of}" for of, n in self.again.items())
        yield from (f"note   {sentence}" for sentence in self.told)
        checked = "no file was checked" if self.files is None else f"{self.files} files"
        reasons = "one reason" if len(self.wrong) == 1 else f"{len(self.wrong)} reasons"
        verdict = f"not right, for {reasons}" if self.wrong else "all as it was written and measured"
        yield f"verify: {checked}, {self.figures} figures computed again: {verdict}"


def place(record: Record) -> str:
    """How a record is named to people."""
    return f"{record.case_id or f'build {record.build_id}'}, repetition {record.repetition}, attempt {record.attempt}"


def _differ(stored: Any, found: Any) -> bool:
    if _is_number(stored) and _is_number(found):
        return not math.isclose(stored, found, rel_tol=CLOSE, abs_tol=1e-12)
    return bool(stored != found)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any) -> str:
    return "nothing" if value is None else f"{value:.10g}" if _is_number(value) else repr(value)
