"""What the commands print: lines, tables, warnings and errors."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Group
    from rich.table import Table

PIPE_COLUMNS = 140
"""Width of a table in a pipe or a file."""
MIN_COLUMNS = 20
"""Minimum width of wrapped text."""
LABEL = re.compile(r"( *)(\S+ {2,})?")
"""Start of a line: blanks, and a label that two or more blanks follow."""


def print_line(line: str, *, prefix: str = "") -> None:
    """Print a line of a result, with control characters replaced by blanks.

    A terminal gets a long line wrapped between words and indented to where its text begins; a pipe gets it whole.

    Args:
        line: Text, optionally with a label and two blanks in front.
        prefix: Prefix of each printed line.
    """
    text = _printable(line)
    for part in _wrapped(text, len(prefix)) if sys.stdout.isatty() else [text]:
        print(f"{prefix}{part}")


def print_table(table: Callable[[int], Table | Group]) -> None:
    """Print a table as wide as the terminal, `PIPE_COLUMNS` wide into a pipe or a file.

    Args:
        table: Function that makes the table for a width in columns.
    """
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    with console.capture() as captured:  # printed by `print`: Rich exits with 1 if stdout is closed
        console.print(table(console.width))
    print(captured.get(), end="")


def warn(sentence: str) -> None:
    """Print a warning to stderr."""
    print(_printable(f"warning: {sentence}"), file=sys.stderr)


def print_error(what: str, hint: str = "") -> None:
    """Print an error, and how to fix it, to stderr."""
    lines = [*f"error: {what}".split("\n"), *(f"  {line}" for line in hint.split("\n") if line)]
    print("\n".join(map(_printable, lines)), file=sys.stderr)


def _wrapped(line: str, indent: int) -> list[str]:
    """Lines that fit the terminal after an indent in columns; a longer word, such as a path, stays whole."""
    from rich.console import Console
    from rich.text import Text

    label = LABEL.match(line)[0]  # type: ignore[index]  # it matches any line
    console = Console()
    width = max(console.width - indent - len(label), MIN_COLUMNS)
    parts = Text(line[len(label) :], overflow="ignore").wrap(console, width) or [""]
    return [f"{' ' * len(label) if k else label}{part}".rstrip() for k, part in enumerate(parts)]


def _printable(line: str) -> str:
    if line.isascii() and line.isprintable():  # almost always: spares the import
        return line
    from harness.text import plain

    return plain(line)
