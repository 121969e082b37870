"""What the commands share: the application they join, the options that several have, and how a run is read."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from rich.table import Table

    from harness.schema import Objective, StoredRun

app = typer.Typer(
    add_completion=False,
    subcommand_metavar="COMMAND [ARGS]",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Energy-aware benchmarking of machine-learning models.",
)

Results = Annotated[Path, typer.Option(help="folder of stored runs", envvar="HARNESS_RESULTS")]
Calibrated = Annotated[bool, typer.Option("--calibrated", help="apply the sensor calibrations stored by `harness calibrate`")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="name of a run in the results folder, or its path", show_default=False)]

PIPE_COLUMNS = 140
"""Width of a table in a pipe or a file."""
NARROWEST = 20
"""Least width of wrapped text, in columns."""
LABEL = re.compile(r"( *)(\S+ {2,})?")
"""Start of a line: blanks, and a label if two blanks or more follow it."""
LONGEST_WINDOW_S = 86_400
EXIT_CODES = (
    "exit codes: 0 success; 1 a check failed; 2 invalid input; 3 some cases failed, the others are stored; 130 interrupted, resumable"
)
REPORTED = "reported"
"""Note on an interruption whose message was printed already."""


def read_stored(name: str, results: Path, *, calibrated: bool = False) -> StoredRun:
    """A stored run with its meters; with calibrated sensors if requested."""
    from harness.store import find_run, read_run, with_answers, with_meters

    run = with_answers(with_meters(read_run(find_run(results, name))))
    for problem in run.problems:
        warn(problem)
    if calibrated:
        from harness.meters.calibrate import apply, read_all

        run = apply(run, read_all())
    return run


def keep_report(run: StoredRun, tables: Mapping[str, pd.DataFrame], objectives: Sequence[Objective] = (), *, ended: bool = False) -> Path:
    """Draw a report and enter it in the manifest.

    Args:
        run: A run read back from its folder.
        tables: Result of `frame.tables` for this run and these objectives.
        objectives: Objectives of the fronts; none: the usual three.
        ended: Whether the run has just ended, so that all of its evidence is entered.

    Returns:
        The report's folder.
    """
    from harness.report import write
    from harness.schema import OBJECTIVES

    target = write(run, tables, objectives=tuple(objectives) or OBJECTIVES)
    keep_manifest(Path(run.folder), ended=ended)
    return target


def keep_manifest(folder: Path, *written: str, ended: bool = False) -> None:
    """Enter what was rightly written: the report, these files, and where the run has ended all of its evidence."""
    from harness.store import manifest, write_atomically

    text = manifest.seal(folder) if ended else manifest.redrawn(folder, *written)
    if text is not None:
        write_atomically(folder / manifest.NAME, text)


def checked_window(window_s: float) -> float:
    """A length that can be measured.

    Raises:
        SuiteError: It is none.
    """
    from harness.errors import SuiteError

    if not 0 < window_s <= LONGEST_WINDOW_S:
        raise SuiteError(f"a window of {window_s:g} s cannot be measured", f"give seconds, above 0 and up to {LONGEST_WINDOW_S:.0f}")
    return window_s


def tell(line: str, *, mark: str = "") -> None:
    """Print a line of a result, with the control characters of strangers' text replaced by blanks.

    A terminal gets a long line wrapped between words, indented to where its text begins; a pipe gets it whole.

    Args:
        line: Text; a label and two blanks may precede it.
        mark: Prefix of each printed line.
    """
    lines = _wrapped(_shown(line), len(mark)) if sys.stdout.isatty() else [_shown(line)]
    print("\n".join(f"{mark}{each}" for each in lines))


def print_table(table: Callable[[int], Table]) -> None:
    """Print a table as wide as the terminal; `PIPE_COLUMNS` wide into a pipe or a file.

    Args:
        table: Makes it for a width in columns.
    """
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    with console.capture() as captured:  # printed by `print`: Rich would exit with 1 where stdout was closed
        console.print(table(console.width))
    print(captured.get(), end="")


def warn(sentence: str) -> None:
    """Something that the user must know and that stops nothing."""
    print(_shown(f"warning: {sentence}"), file=sys.stderr)


def complain(what: str, hint: str = "") -> None:
    """An error, in a sentence, and what to do about it."""
    print("\n".join(map(_shown, f"error: {what}".split("\n") + [f"  {line}" for line in hint.split("\n") if line])), file=sys.stderr)


def _wrapped(line: str, taken: int) -> list[str]:
    """Lines that fit the terminal beside a mark of so many columns; a word that is too long, such as a path, stays whole."""
    from rich.console import Console
    from rich.text import Text

    label = LABEL.match(line)[0]  # type: ignore[index]  # it matches any line
    console = Console()
    width = max(console.width - taken - len(label), NARROWEST)
    first, *others = Text(line[len(label) :], overflow="ignore").wrap(console, width) or [""]
    return [f"{label}{first}".rstrip(), *(f"{' ' * len(label)}{other}".rstrip() for other in others)]


def _shown(line: str) -> str:
    if line.isascii() and line.isprintable():  # as almost always: without loading what escapes the rest
        return line
    from harness.text import plain

    return plain(line)
