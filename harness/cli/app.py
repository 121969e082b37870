"""What the commands share: the application they join, the options that several have, and how a run is read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harness.schema import StoredRun

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Energy-aware benchmarking of machine-learning models.",
)

Results = Annotated[Path, typer.Option(help="the results folder", envvar="HARNESS_RESULTS")]
Calibrated = Annotated[bool, typer.Option("--calibrated", help="correct sensors by what `harness calibrate` kept for this machine")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="a run's name under the results folder, or its path", show_default=False)]

PIPE_COLUMNS = 140
"""How wide a table is that goes into a pipe or a file."""
LONGEST_WINDOW_S = 86_400
EXIT_CODES = (
    "exit codes: 0 done; 1 a check said no; 2 the input is wrong; 3 some cases failed, the rest are stored; 130 interrupted, resumable"
)
TOLD = "told"
"""Noted on an interruption that the user has been told of."""


def read_stored(name: str, results: Path, *, calibrated: bool = False) -> StoredRun:
    """A stored run with its meters; with its sensors corrected where that is asked for."""
    from harness.store import find_run, read_run, with_answers, with_meters

    run = with_answers(with_meters(read_run(find_run(results, name))))
    for problem in run.problems:
        warn(problem)
    if calibrated:
        from harness.calibrate import apply, kept

        run = apply(run, kept())
    return run


def keep_manifest(folder: Path, *written: str, ended: bool = False) -> None:
    """Enter what was rightly written: the report, these files, and where the run has ended all of its evidence."""
    from harness import manifest
    from harness.store import write_atomically

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


def tell(line: str) -> None:
    """A line of the answer; whatever stranger's text is in it, a terminal shows it and obeys nothing."""
    print(_shown(line))


def warn(sentence: str) -> None:
    """Something that the user must know and that stops nothing."""
    print(_shown(f"warning: {sentence}"), file=sys.stderr)


def complain(what: str, hint: str = "") -> None:
    """An error, in a sentence, and what to do about it."""
    print("\n".join(map(_shown, f"error: {what}".split("\n") + ([f"  {hint}"] if hint else []))), file=sys.stderr)


def _shown(line: str) -> str:
    if line.isascii() and line.isprintable():  # as almost always: without loading what escapes the rest
        return line
    from harness.report.text import plain

    return plain(line)
