"""The result of a verification: figures compared, problems, and what could not be checked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from harness.schema import Record
from harness.text import counted

REL_TOL, ABS_TOL = 1e-9, 1e-12
"""Tolerances of a comparison: the order of a sum may differ."""


@dataclass
class Verification:
    """The result of a verification, filled by its checks.

    Attributes:
        problems: One sentence for each file that was changed and each figure that does not follow from the raw data.
        notes: One sentence for each thing that could not be checked, with the reason.
        files: Number of files that were compared with the manifest; None if there is no manifest.
        recomputed: Number of figures that were recomputed, by kind.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int | None = None
    recomputed: Counter[str] = field(default_factory=Counter)

    def compare(self, kind: str, where: str, name: str, stored: Any, computed: Any) -> None:
        """Compare two values of a figure: numbers within rounding, anything else exactly.

        Args:
            kind: Kind under which the figure is counted, such as `energy`.
            where: The row or the file.
            name: Name of the figure.
            stored: Stored value; None if there is none.
            computed: Recomputed value; None if there is none.
        """
        self.recomputed[kind] += 1
        numbers = _is_number(stored) and _is_number(computed)
        if math.isclose(stored, computed, rel_tol=REL_TOL, abs_tol=ABS_TOL) if numbers else stored == computed:
            return
        relative = f" ({stored / computed - 1:+.3g} relative)" if numbers and computed else ""
        self.problems.append(f"{where}: {name} is stored as {_text(stored)}, recomputed as {_text(computed)}{relative}")

    def compare_fields(self, kind: str, where: str, stored: BaseModel | None, computed: BaseModel | None, prefix: str = "") -> None:
        """Compare two models field by field; one that is None has None in each field.

        Args:
            kind: Kind under which the figures are counted.
            where: The row or the file.
            stored: Stored model.
            computed: Recomputed model.
            prefix: Prefix of the names of the fields.
        """
        model = stored or computed
        if model is None:
            self.recomputed[kind] += 1
            return
        for name in type(model).model_fields:
            self.compare(kind, where, f"{prefix}{name}", getattr(stored, name, None), getattr(computed, name, None))

    def lines(self) -> Iterator[str]:
        """The result as lines of text: problems, recomputed figures, notes and the verdict."""
        yield from (f"problem  {sentence}" for sentence in self.problems)
        if self.recomputed:
            yield f"recomputed: {', '.join(f'{kind} {n}' for kind, n in self.recomputed.items())}"
        yield from (f"note     {sentence}" for sentence in self.notes)
        n = len(self.problems)
        verdict = f"FAILED: {counted(n, 'problem')}" if n else "passed"
        files = "no file checked" if self.files is None else f"{counted(self.files, 'file')} checked"
        yield f"verify: {verdict} ({files}, {self.recomputed.total()} figures recomputed)"


def place(record: Record) -> str:
    """Name of a record in messages."""
    return f"{record.case_id or f'build {record.build_id}'}, repetition {record.repetition}, attempt {record.attempt}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any) -> str:
    return "missing" if value is None else f"{value:.10g}" if _is_number(value) else repr(value)
