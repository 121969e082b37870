"""The application, the options that several commands share, and how they read and redraw a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.console import warn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import pandas as pd

    from harness.schema import Objective, StoredRun

app = typer.Typer(
    add_completion=False,
    subcommand_metavar="COMMAND [ARGS]",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Energy-aware benchmarking of machine-learning models.",
)


def optional(help: str, metavar: str | None = None) -> Any:
    """An option without a default value."""
    return typer.Option(help=help, metavar=metavar, show_default=False)


Results = Annotated[Path, typer.Option(metavar="FOLDER", help="folder of stored runs", envvar="HARNESS_RESULTS")]
Calibrated = Annotated[bool, typer.Option("--calibrated", help="apply the sensor calibrations stored by `harness calibrate`")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="name of a run in the results folder, or its path", show_default=False)]

MAX_WINDOW_S = 86_400
EXIT_CODES = (
    "exit codes: 0 success; 1 a check failed; 2 invalid input; 3 some cases failed, the others are stored; 130 interrupted, resumable"
)
REPORTED = "reported"
"""Note on an interruption whose message was already printed."""


def read_stored(name: str, results: Path, *, calibrated: bool = False) -> StoredRun:
    """A stored run with its imported meters, and with calibrated sensors if requested."""
    from harness.store import find_run, read_run, with_meters, with_outputs

    run = with_outputs(with_meters(read_run(find_run(results, name))))
    for problem in run.problems:
        warn(problem)
    if calibrated:
        from harness.meters.calibrate import apply, read_all

        run = apply(run, read_all())
    return run


def write_report(run: StoredRun, tables: Mapping[str, pd.DataFrame], objectives: Sequence[Objective] = (), *, ended: bool = False) -> Path:
    """Draw the report of a run and enter it in the manifest.

    Args:
        run: A run that was read from its folder.
        tables: Result of `frame.tables` for this run and these objectives.
        objectives: Objectives of the fronts; the default ones if empty.
        ended: Whether the run has just ended, so that the manifest is written for all of its files.

    Returns:
        The folder of the report.
    """
    from harness.report import write
    from harness.schema import OBJECTIVES

    target = write(run, tables, objectives=tuple(objectives) or OBJECTIVES)
    update_manifest(Path(run.folder), ended=ended)
    return target


def update_manifest(folder: Path, *written: str, ended: bool = False) -> None:
    """Enter the report and the written files in the manifest of a run; all files if the run has just ended."""
    from harness.store import manifest, write_atomically

    text = manifest.seal(folder) if ended else manifest.redrawn(folder, *written)
    if text is not None:
        write_atomically(folder / manifest.NAME, text)


def check_names(names: Iterable[str], available: Collection[str], noun: str, option: str) -> None:
    """Check the values of an option that takes names.

    Raises:
        HarnessError: One is not available; with the nearest name.
    """
    for name in names:
        if name not in available:
            from harness.errors import HarnessError
            from harness.suite.document import nearest

            alike = [each for each in available if each.lower() == name.lower()]
            raise HarnessError(f"unknown {noun} {name!r} ({option})", nearest(name, alike or available).removeprefix("; "))


def checked_window(window_s: float) -> float:
    """The window length in seconds, if it is in range.

    Raises:
        SuiteError: It is not.
    """
    from harness.errors import SuiteError

    if not 0 < window_s <= MAX_WINDOW_S:
        raise SuiteError(f"--window {window_s:g} is out of range", f"use --window with seconds above 0 and up to {MAX_WINDOW_S}")
    return window_s
