"""What the commands share: the application they join, the options that several have, and how a run is read."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from harness.decide.fronts import Front
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
"""How wide a table is that goes into a pipe or a file."""
NARROWEST = 20
"""How many columns a line that is folded has at least."""
LABEL = re.compile(r"( *)(\S+ {2,})?")
"""How a line begins: blanks, and perhaps a label with two blanks or more behind it."""
LONGEST_WINDOW_S = 86_400
EXIT_CODES = (
    "exit codes: 0 success; 1 a check failed; 2 invalid input; 3 some cases failed, the others are stored; 130 interrupted, resumable"
)
FRONTS = "fronts.json"
REPORTED = "reported"
"""Note on an interruption whose message was printed already."""


def read_stored(name: str, results: Path, *, calibrated: bool = False) -> StoredRun:
    """A stored run with its meters; with calibrated sensors if requested."""
    from harness.store import find_run, read_run, with_answers, with_meters

    run = with_answers(with_meters(read_run(find_run(results, name))))
    for problem in run.problems:
        warn(problem)
    if calibrated:
        from harness.calibrate import apply, kept

        run = apply(run, kept())
    return run


def keep_report(
    run: StoredRun, tables: Mapping[str, pd.DataFrame], objectives: Sequence[Objective] = (), *, ended: bool = False
) -> tuple[Path, list[Front]]:
    """Draw a report, keep what its fronts are of and counted from, and enter both in the manifest.

    Args:
        run: Read back from its folder.
        tables: What `frame.tables` gives of it with these objectives.
        objectives: What the fronts are of; none: the usual ones.
        ended: Whether the run has just ended, so that all of its evidence is entered.

    Returns:
        The report's folder, and its fronts.
    """
    from harness.decide.fronts import fronts
    from harness.environment import harness_here
    from harness.report import write
    from harness.schema import OBJECTIVES
    from harness.store import manifest, read_references, write_references

    folder, objectives = Path(run.folder), tuple(objectives or OBJECTIVES)
    intact, kept = manifest.intact(folder, FRONTS), read_references(folder)
    found, references = fronts(tables["cases"], objectives, kept)
    references = references.model_copy(update={"objectives": objectives, "drawn_by": harness_here()})
    if references != kept or not (folder / FRONTS).exists():
        write_references(folder, references)
    target = write(run, tables, objectives=objectives)
    keep_manifest(folder, *([FRONTS] if intact else []), ended=ended)
    return target, found


def keep_manifest(folder: Path, *written: str, ended: bool = False) -> None:
    """Enter what was rightly written: the report, these files, and where the run has ended all of its evidence."""
    from harness.store import manifest, write_atomically

    text = (manifest.seal if ended else manifest.redrawn)(folder, *written)
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
    """A line of the answer; whatever stranger's text is in it, a terminal shows it and obeys nothing.

    A terminal that is narrower gets it in several, between words and below where its text begins; a pipe gets it whole.

    Args:
        line: A label and two blanks may begin it.
        mark: Begins each line that is printed.
    """
    for part in _folded(_shown(line), len(mark)):
        print(f"{mark}{part}")


def warn(sentence: str) -> None:
    """Something that the user must know and that stops nothing."""
    print(_shown(f"warning: {sentence}"), file=sys.stderr)


def complain(what: str, hint: str = "") -> None:
    """An error, in a sentence, and what to do about it."""
    print("\n".join(map(_shown, f"error: {what}".split("\n") + [f"  {line}" for line in hint.split("\n") if line])), file=sys.stderr)


def _folded(line: str, taken: int) -> list[str]:
    columns = shutil.get_terminal_size().columns - taken if sys.stdout.isatty() else len(line)
    begin = LABEL.match(line)
    if len(line) <= columns or begin is None:
        return [line]
    indent = begin.end() if begin[2] else len(begin[1]) + 2 * bool(begin[1])
    columns = max(columns, indent + NARROWEST)
    parts = textwrap.wrap(line, columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return parts if len(parts[0]) > indent else [line]  # a word that is too long stays beside its label


def _shown(line: str) -> str:
    if line.isascii() and line.isprintable():  # as almost always: without loading what escapes the rest
        return line
    from harness.text import plain

    return plain(line)
