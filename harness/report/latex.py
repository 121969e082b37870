r"""Cells -> LaTeX to be `\input`: a float where it fits a page, else a table over pages in landscape whose words fold; the notes in small print below."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.report.tables import left_of
from harness.text import latex

PORTRAIT, LANDSCAPE, TINY = 80.0, 130.0, 158.0
"""Characters that a line holds in 8 pt, on its side, and on its side in 5 pt: \\textwidth and \\textheight of the class `article`."""
GAP = 1.5
"""Characters between two columns of 3 pt on each side."""
FLOAT_LINES = 55
"""Lines up to which a float fits a page."""
NARROWEST, LONGEST = 8, 16
"""Characters to which a column of words may fold, and those after which a part without a break is broken."""
JOINTS = re.compile(r"(?<=[+/=,)(_-])(?=\S)")
"""Where a name may end a line: after what joins its parts."""


def table(headings: Sequence[str], lines: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """A table of package booktabs; what else it needs stands in its first line.

    Args:
        headings: Of the columns, not escaped.
        lines: Rows of cells, likewise.
        notes: Sentences for below the table, likewise.
    """
    left = left_of(headings, lines)
    two = [_two_lines(heading) for heading in headings]
    natural = [max(len(text) for text in (*head, *(line[i] for line in lines))) for i, head in enumerate(two)]
    heads = " & ".join(_heading(head, left=words) for head, words in zip(two, left, strict=True)) + r" \\"
    height = len(lines) + sum(1 + len(note) // int(PORTRAIT) for note in notes)
    if _width(natural) <= PORTRAIT and height <= FLOAT_LINES:
        columns = "".join("l" if each else "r" for each in left)
        body = [" & ".join(map(latex, line)) + r" \\" for line in lines]
        return "\n".join(
            [*_FLOAT[0], _begin("tabular", columns), r"\toprule", heads, r"\midrule", *body, *_FLOAT[1], *_below(notes), *_FLOAT[2]]
        )
    least = [_least([*head, *(line[i] for line in lines)]) if left[i] else natural[i] for i, head in enumerate(two)]
    room = LANDSCAPE if _width(least) <= LANDSCAPE else TINY
    widths = _folded(natural, least, room)
    folds = [each and width < full for each, width, full in zip(left, widths, natural, strict=True)]
    columns = "".join(
        rf">{{\raggedright\arraybackslash}}p{{{width / 2:g}em}}" if fold else "l" if each else "r"
        for each, width, fold in zip(left, widths, folds, strict=True)
    )
    body = [" & ".join(_cell(cell, fold=fold) for cell, fold in zip(line, folds, strict=True)) + r" \\" for line in lines]
    wide = [] if _width(widths) <= room else ["% wider than the page all the same: choose columns with --columns"]
    size = r"\footnotesize" if room == LANDSCAPE else r"\tiny"
    return "\n".join(
        [
            r"% \usepackage{array,booktabs,longtable,pdflscape}; of a page in two columns \onecolumn before it",
            *wide,
            r"\begin{landscape}",
            rf"{size}\setlength{{\tabcolsep}}{{3pt}}",
            _begin("longtable", columns),
            *(r"\toprule", heads, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"),
            *body,
            r"\end{longtable}",
            r"\footnotesize",
            *_below(notes),
            r"\end{landscape}",
            "",
        ]
    )


_FLOAT = (
    [r"% \usepackage{booktabs}", r"\begin{table}", r"\centering", r"\footnotesize\setlength{\tabcolsep}{3pt}"],
    [r"\bottomrule", r"\end{tabular}"],
    [r"\end{table}", ""],
)


def _begin(environment: str, columns: str) -> str:
    return rf"\begin{{{environment}}}{{{columns}}}"


def _below(notes: Sequence[str]) -> list[str]:
    return [rf"\par\smallskip\noindent{{\raggedright {latex(note)}\par}}" for note in notes]


def _cell(text: str, *, fold: bool) -> str:
    if not fold:
        return latex(text)
    return " ".join(r"\allowbreak{}".join(map(latex, _parts(word))) for word in text.split())


def _parts(word: str) -> list[str]:
    """What a line may end after."""
    return [part[i : i + LONGEST] for part in JOINTS.split(word) for i in range(0, len(part), LONGEST)]


def _two_lines(heading: str) -> list[str]:
    """A long heading in two lines, parted nearest to its middle."""
    ends = [i + 1 for i, c in enumerate(heading[:-1]) if c in " _"]
    if len(heading) <= NARROWEST or not ends:
        return [heading]
    at = min(ends, key=lambda i: abs(i - len(heading) / 2))
    return [heading[:at].rstrip(" "), heading[at:]]


def _heading(lines: Sequence[str], *, left: bool) -> str:
    """Over the bottom line of the others."""
    if len(lines) == 1:
        return latex(lines[0])
    return rf"\shortstack[{'l' if left else 'r'}]{{{latex(lines[0])}\\{latex(lines[1])}}}"


def _width(columns: Sequence[float]) -> float:
    return sum(columns) + GAP * (len(columns) - 1)


def _least(texts: Sequence[str]) -> int:
    """How narrow a column of words may become: as wide as its longest part."""
    longest = max((_breadth(part) for text in texts for word in text.split() for part in _parts(word)), default=0)
    return max(longest, min(NARROWEST, max(map(len, texts), default=0)))


def _breadth(text: str) -> int:
    """Characters that it takes; a capital of Computer Modern is half as wide again as a digit."""
    return len(text) + sum(map(str.isupper, text)) // 2


def _folded(natural: Sequence[int], least: Sequence[int], room: float) -> list[int]:
    """The characters of each column, the widest cut down to one width so that all fit; as far as that goes."""
    for most in range(max(natural, default=0), 0, -1):
        widths = [max(min(n, most), fewest) for n, fewest in zip(natural, least, strict=True)]
        if _width(widths) <= room:
            return widths
    return list(least)
