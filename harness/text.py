"""Values and strangers' text -> what a person reads, safe in the format it goes into."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np

PREFIXES = {-4: "p", -3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M"}
NONE = "—"
"""What stands for null: never 0."""

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "±": r"$\pm$", "µ": r"$\mu$", "—": r"\textemdash{}", "[": "{[}", "*": "{*}", "`": r"\textasciigrave{}",
}  # fmt: skip
"""`[` and `*` would be taken for arguments of the line break before them, two hyphens for a dash."""
_LATEX_LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿ"
"""What LaTeX can set in every font beside ASCII; anything else stops it, so that it is told by its code."""
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001
"""What a spreadsheet takes for the beginning of a formula, full-width ones too."""


def engine_text(row: Mapping[str, Any]) -> str:
    """The engine of a row of the table of cases with the options that tell it from itself: `tensorflow(xla=true)`."""
    options = row.get("engine_options")
    return f"{row['engine']}({options})" if options else str(row["engine"])


def guess_text(detail: Mapping[str, Any]) -> str | None:
    """The guess behind a modelled power with its bounds: `a guess: 64 W at full load, between 8 and 150 W`; None without bounds.

    Args:
        detail: Of the domain.
    """
    low_w, high_w = detail.get("low_w"), detail.get("high_w")
    if low_w is None or high_w is None:
        return None
    full_w = detail.get("tdp_w")
    power = f"{detail.get('power_w', 0):.3g} W at any load" if full_w is None else f"{full_w:.3g} W at full load"
    source = f" ({detail['tdp_source']})" if detail.get("tdp_source") else ""
    return f"a guess: {power}, between {low_w:.2g} and {high_w:.3g} W{source}"


def plain(text: str) -> str:
    """Without control, formatting and surrogate characters: a terminal obeys some, XML has no place for others."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") or c in "\ufffe\uffff" else c for c in text)


def markdown(text: str) -> str:
    """Safe in a cell of a Markdown table, and at the beginning of a line."""
    text = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*[]|~!$#" else c for c in text)


def latex(text: str) -> str:
    """Safe in LaTeX."""
    known = (_LATEX.get(c, c if c.isascii() or c in _LATEX_LETTERS else f"{{[}}U+{ord(c):04X}]") for c in plain(text))
    return "".join(known).replace("--", "-{-}")


def csv(text: str) -> str:
    """Safe in a spreadsheet: what would be a formula becomes text (OWASP, CSV injection)."""
    cleaned = plain(text)
    return f"'{cleaned}" if cleaned.lstrip().startswith(FORMULA) else cleaned


class Scale:
    """One SI prefix for a whole column, so that its numbers can be compared by eye.

    Args:
        values: In the SI unit; nulls are left out.
        unit: `J`, `s`, `g`, ...
    """

    def __init__(self, values: Any, unit: str) -> None:
        known = np.array([abs(v) for v in values if v is not None and v], dtype=np.float64)
        # The geometric mean less a decade: over a range of four decades the small ones keep a digit before the point.
        typical = float(np.exp(np.mean(np.log(known)))) / 2 if len(known) else 1.0
        step = min(max(math.floor(math.log10(typical) / 3), min(PREFIXES)), max(PREFIXES))
        self.factor = 1000.0**step
        self.unit = PREFIXES[step] + unit

    def __call__(self, value: float | None) -> float | None:
        """The value in the unit shown."""
        return None if value is None else value / self.factor

    def text(self, value: float | None, low: float | None = None, high: float | None = None) -> str:
        """`21.3 ± 0.4`, in the unit shown but without it."""
        return with_interval(self(value), self(low), self(high))


def with_interval(value: float | None, low: float | None = None, high: float | None = None, most: int | None = None) -> str:
    """`21.34 ± 0.45`: two digits of the half-width decide where the value ends; three digits where there is no interval.

    An interval that leans by more than a fifth of its half-width is told by its bounds: `1.6 [0.6 4.5]`.

    Args:
        value: The estimate.
        low: Its lower bound; null: no interval.
        high: Its upper bound.
        most: The most decimals, where space is short.
    """
    if value is None:
        return NONE
    if low is None or high is None:
        return number(value, 3)
    half = (high - low) / 2
    if not half > 0:
        return f"{number(value, 4)} ± 0"
    if abs(high + low - 2 * value) / 2 > 0.2 * half:
        return f"{number(value, 3)} [{number(low, 2)} {number(high, 2)}]"
    decimals = min(decimals_of(half, 2), 99 if most is None else most)
    if half >= 100:  # digits before the point that the interval does not support
        value, half = (round(each, 1 - math.floor(math.log10(half))) for each in (value, half))
    return f"{value:.{decimals}f} ± {half:.{decimals}f}"


def number(value: float | None, digits: int = 3) -> str:
    """A value with that many significant digits, never in exponent form between a millionth and a million."""
    if value is None:
        return NONE
    if value == 0 or not 1e-6 <= abs(value) < 1e7:
        return f"{value:.{digits}g}"
    return f"{value:.{decimals_of(value, digits)}f}"


def decimals_of(value: float, digits: int) -> int:
    """Decimals that show so many significant digits."""
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))
