"""Numbers and untrusted text, formatted for a terminal, Markdown, LaTeX and CSV."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np

PREFIXES = {-4: "p", -3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M"}
NONE = "—"
"""Text of a missing value."""

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "±": r"$\pm$", "µ": r"$\mu$", "—": r"\textemdash{}", "[": "{[}", "*": "{*}", "`": r"\textasciigrave{}",
}  # fmt: skip
"""`[` and `*` would be arguments of a line break before them, two hyphens a dash."""
_LATEX_LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿ"
"""Characters besides ASCII that LaTeX can set in every font; any other is written as its code point."""
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001
"""First characters of a formula in a spreadsheet, including full-width ones."""


def engine_text(row: Mapping[str, Any]) -> str:
    """Engine of a row of the table of cases with its options: `tensorflow(xla=true)`."""
    options = row.get("engine_options")
    return f"{row['engine']}({options})" if options else str(row["engine"])


def estimate_text(detail: Mapping[str, Any]) -> str | None:
    """The assumption of a modelled power: `an estimate: 64 W at full load, between 8 and 150 W`; None without bounds."""
    low_w, high_w = detail.get("low_w"), detail.get("high_w")
    if low_w is None or high_w is None:
        return None
    full_w = detail.get("tdp_w")
    power = f"{detail.get('power_w', 0):.3g} W at any load" if full_w is None else f"{full_w:.3g} W at full load"
    source = f" ({detail['tdp_source']})" if detail.get("tdp_source") else ""
    return f"an estimate: {power}, between {low_w:.2g} and {high_w:.3g} W{source}"


def plain(text: str) -> str:
    """Text without control, format and surrogate characters, which a terminal may obey and XML may not contain."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") or c in "\ufffe\uffff" else c for c in text)


def markdown(text: str) -> str:
    """Text escaped for a cell of a Markdown table, and for the beginning of a line."""
    text = re.sub(r"^(\s*)>", r"\1&gt;", plain(text).replace("&", "&amp;").replace("<", "&lt;"))  # a quotation, if it begins a line
    return "".join(f"\\{c}" if c in "\\`*[]|~!$#" else c for c in text)


def latex(text: str) -> str:
    """Text escaped for LaTeX."""
    known = (_LATEX.get(c, c if c.isascii() or c in _LATEX_LETTERS else f"{{[}}U+{ord(c):04X}]") for c in plain(text))
    return "".join(known).replace("--", "-{-}")


def csv(text: str) -> str:
    """Text escaped for a spreadsheet, so that it is not a formula (OWASP, CSV injection)."""
    cleaned = plain(text)
    return f"'{cleaned}" if cleaned.lstrip().startswith(FORMULA) else cleaned


class Scale:
    """One SI prefix for a column of numbers.

    Args:
        values: Values in the SI unit; None is ignored.
        unit: `J`, `s`, `g`, ...
    """

    def __init__(self, values: Any, unit: str) -> None:
        known = np.array([abs(v) for v in values if v is not None and v], dtype=np.float64)
        # Half of the geometric mean, so that over a range of four decades the small values keep a digit before the point.
        typical = float(np.exp(np.mean(np.log(known)))) / 2 if len(known) else 1.0
        step = min(max(math.floor(math.log10(typical) / 3), min(PREFIXES)), max(PREFIXES))
        self.factor = 1000.0**step
        self.unit = PREFIXES[step] + unit

    def __call__(self, value: float | None) -> float | None:
        """The value in the scaled unit."""
        return None if value is None else value / self.factor

    def text(self, value: float | None, low: float | None = None, high: float | None = None) -> str:
        """The value with its interval in the scaled unit, without the unit: `21.3 ± 0.4`."""
        return with_interval(self(value), self(low), self(high))


def with_interval(value: float | None, low: float | None = None, high: float | None = None, most: int | None = None) -> str:
    """A value with its interval, rounded to two digits of the half-width: `21.34 ± 0.45`; without an interval, three digits.

    An interval that is asymmetric by more than a fifth of its half-width is given by its bounds: `1.6 [0.6 4.5]`.

    Args:
        value: Estimate.
        low: Lower bound; None: no interval.
        high: Upper bound.
        most: Maximum number of decimals; None: no maximum.
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


def counted(count: int, noun: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def number(value: float | None, digits: int = 3) -> str:
    """A value with a number of significant digits, without exponent between 1e-6 and 1e7."""
    if value is None:
        return NONE
    if value == 0 or not 1e-6 <= abs(value) < 1e7:
        return f"{value:.{digits}g}"
    return f"{value:.{decimals_of(value, digits)}f}"


def decimals_of(value: float, digits: int) -> int:
    """Number of decimals for a number of significant digits."""
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))
