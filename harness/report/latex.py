r"""LaTeX of a table and of the text on method, for `\input`: booktabs in one column, across two, or over several pages."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from harness.report.tables import left_of
from harness.text import latex

COLUMN, LINE = 26.0, 55.0
r"""Widths in em at `\footnotesize` of one column and of both in two-column templates; the narrowest, `article`, sets them."""
LONG = 35
"""Maximum number of lines of a float; longer tables are a `longtable`, since with wrapped names they may not fit on a page."""
FOLDING, NARROWEST = 12, 5
"""Length from which a text column wraps if the table is too wide for one column, and its minimum width in em."""
JOINTS = re.compile(r"(?<=[+/=,;:)(_-])(?=\S)|(?<=\.)(?=[^\W\d])|(?<=[^\W_]{16})(?=[^\W_])")
"""Positions where a long word may break: after punctuation, or after 16 characters without any."""
METHOD_HEAD = "% Method of the tables, written by `harness export`"
"""First line of a text on method, which distinguishes it from an author's file of the same name."""


def table(
    headings: Sequence[str],
    lines: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
    *,
    caption: str = "",
    label: str = "tab:cases",
    groups: Collection[str] = (),
) -> str:
    r"""Format a table: `table` if it fits one column, else `table*`, or `longtable` if it is longer than a page.

    Names wrap in the part of `\linewidth` that the numbers leave, so that TeX fits the table to any template (design/0019). All texts but
    the label are escaped here. Columns whose headings are in `groups` become lines above the rows that share their values.
    """
    kept = [i for i, heading in enumerate(headings) if heading not in groups]
    head = [headings[i] for i in kept]
    sections: dict[str, list[list[str]]] = {}
    for line in lines:
        title = ", ".join(f"{heading} {line[i]}" for i, heading in enumerate(headings) if i not in kept)
        sections.setdefault(title, []).append([line[i] for i in kept])
    rows = [row for section in sections.values() for row in section]
    columns, folds, width = _columns(head, rows)
    top = [r"\toprule", " & ".join(map(_heading, head, left_of(head, rows))) + r" \\", *([] if any(sections) else [r"\midrule"])]
    body = [line for title, section in sections.items() for line in _section(title, section, folds)]
    setup = [
        r"\footnotesize\setlength{\tabcolsep}{3pt}",
        *(["% wider than most pages: choose fewer with --columns"] if width > LINE else []),
    ]
    titled = rf"\caption{{{latex(caption)}}}\label{{{label}}}"
    below = "%" if not notes else rf"\par\smallskip{{\raggedright\noindent {latex(' '.join(notes))}\par}}"
    if len(body) > LONG:
        parts = _long(titled, columns, setup, top, body, below)
    else:
        float_ = "table" if width <= COLUMN else "table*"
        begin = [rf"\begin{{{float_}}}[tbp]", r"\centering", titled, *setup, rf"\begin{{tabular}}{{{columns}}}"]
        parts = [*begin, *top, *body, r"\bottomrule", r"\end{tabular}", below, rf"\end{{{float_}}}"]
    return "\n".join([r"% \usepackage{array,booktabs,longtable}", *parts, ""])


def method(sentences: Sequence[str]) -> str:
    """Text on method for the paper or its appendix: a list of the sentences, which are escaped here."""
    items = [rf"\item {_breakable(sentence, FOLDING)}" for sentence in sentences]
    return "\n".join([METHOD_HEAD, *([r"\begin{itemize}\raggedright", *items, r"\end{itemize}"] if items else []), ""])


def _long(titled: str, columns: str, setup: Sequence[str], top: Sequence[str], body: Sequence[str], below: str) -> list[str]:
    """A `longtable`, on one-column pages, since LaTeX does not support it in two columns."""
    return [
        r"\makeatletter\let\ifbacktotwocolumn\if@twocolumn\makeatother",
        r"\ifbacktotwocolumn\onecolumn\fi",
        r"\begingroup",
        *setup,
        r"\setlength{\LTcapwidth}{\linewidth}",
        rf"\begin{{longtable}}{{{columns}}}",
        rf"{titled}\\",
        *top,
        r"\endfirsthead",
        *top,
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
        *body,
        r"\end{longtable}",
        below,
        r"\endgroup",
        r"\ifbacktotwocolumn\twocolumn\fi",
    ]


def _section(title: str, rows: Sequence[Sequence[str]], folds: Sequence[bool]) -> list[str]:
    """Rows of a group below a line with their shared values."""
    cells = [[_breakable(cell) if fold else latex(cell) for cell, fold in zip(row, folds, strict=True)] for row in rows]
    column = r"p{\linewidth}" if any(folds) or _em(title) > COLUMN else "l"
    above = [rf"\midrule\multicolumn{{{len(folds)}}}{{@{{}}{column}@{{}}}}{{\itshape {_breakable(title, FOLDING)}}} \\*"] if title else []
    return above + [" & ".join(row) + r" \\" for row in cells]


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, list[bool], float]:
    """Column format of a tabular, whether each column wraps, and the minimum width in em."""
    left = left_of(head, rows)
    texts = [[*_two_lines(heading), *(row[i] for row in rows)] for i, heading in enumerate(head)]
    widths = [max(map(_em, column)) + 0.71 for column in texts]  # plus 3 pt on both sides of a column
    wide = sum(widths) > COLUMN
    folds = [wide and words and max(map(len, column)) > FOLDING for words, column in zip(left, texts, strict=True)]
    fixed = sum(width for width, fold in zip(widths, folds, strict=True) if not fold)
    least = fixed + NARROWEST * sum(folds)
    room = rf"\dimexpr(\linewidth-{fixed:.1f}em)/{sum(folds)}-2\tabcolsep\relax" if least <= LINE else "6em"
    name = rf">{{\raggedright\arraybackslash}}p{{{room}}}"
    kinds = "".join(name if fold else "l" if words else "r" for words, fold in zip(left, folds, strict=True))
    return f"@{{}}{kinds}@{{}}", folds, least


def _em(text: str) -> float:
    """Upper estimate of the width of a text in Computer Modern, in em."""
    return sum(0.33 if c in " .,:;|[]()'ijl-" else 0.8 if c.isupper() or c in "±µ—%mw" else 0.5 for c in text)


def _breakable(text: str, beyond: int = 0) -> str:
    r"""Escaped text with `\allowbreak` at the break positions of words longer than `beyond`."""
    return " ".join(r"\allowbreak{}".join(map(latex, JOINTS.split(word))) if len(word) > beyond else latex(word) for word in text.split())


def _two_lines(heading: str) -> list[str]:
    """A long heading in two lines, split nearest to its middle."""
    ends = [i + 1 for i, c in enumerate(heading[:-1]) if c in " _"]
    if len(heading) <= 8 or not ends:
        return [heading]
    at = min(ends, key=lambda i: abs(i - len(heading) / 2))
    return [heading[:at].rstrip(" "), heading[at:]]


def _heading(heading: str, left: bool) -> str:
    """A heading, in two lines if it is long."""
    lines = list(map(latex, _two_lines(heading)))
    return lines[0] if len(lines) == 1 else rf"\shortstack[{'l' if left else 'r'}]{{{lines[0]}\\{lines[1]}}}"
