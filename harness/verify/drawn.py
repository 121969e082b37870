"""The report of a run beside what its recomputed records draw: each cell of its table, each line of its texts, its pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import frame, text
from harness.environment import harness_here
from harness.errors import MeterError
from harness.frame.rows import rows_of
from harness.report import FILES, texts
from harness.schema import Objective, StoredRun
from harness.store import read_references
from harness.verify.found import Verification

if TYPE_CHECKING:
    import pandas as pd

REPORT = "report"
TABLE = "report/table.csv"
MOST_LINES = 5
"""Lines of a text that are told one by one."""


def check_report(run: StoredRun, found: Verification, corrected: Callable[[StoredRun], StoredRun] | None) -> None:
    """The report as drawn again from the recomputed records, of the objectives and with the calibration it was drawn with.

    Args:
        run: Recomputed.
        found: Added to.
        corrected: Applies this machine's calibrations; null: there are none.
    """
    files = _files(Path(run.folder), found)
    stored = list(csv.DictReader(io.StringIO(files.get("table.csv", b"").decode(errors="replace"))))
    if not files:
        found.told.append("no report is drawn yet: `harness report` draws it")
        return
    if any(row.get("calibrated") for row in stored):
        try:
            if corrected is None:
                raise MeterError("no calibration was given")
            run = corrected(run)
            found.told.append("the report is corrected by a calibration: it is compared with the one kept on this machine")
        except MeterError:
            found.told.append("the report is corrected by a calibration that is not on this machine: its figures were not compared")
            return
    references = read_references(Path(run.folder))
    tables = frame.tables([run], references.objectives)
    _table(stored, tables["cases"], found)
    looks = Verification(again=found.again)
    if stored:
        looks.wrong += [f"{TABLE} lacks the column {name}" for name in tables["cases"].columns if name not in stored[0]]
    svg = _pictures(files, tables["cases"], references.objectives, looks)
    for name, drawn in texts(run, tables, svg, references.objectives).items():
        if name in files:
            _lines(name, files[name].decode(errors="replace"), drawn, looks)
    found.told += looks.told
    if references.drawn_by == harness_here():
        found.wrong += looks.wrong
    elif looks.wrong:  # a sentence or a mark may be another, at the same figures
        found.told.append(
            f"the report was drawn by another harness ({references.drawn_by or 'not told which'}), and this one draws it otherwise in {len(looks.wrong)} "
            f"place{'s' if len(looks.wrong) > 1 else ''}: its table was compared cell by cell, its texts and pictures were not; `harness report` draws them anew"
        )


def _files(folder: Path, found: Verification) -> dict[str, bytes]:
    """Those of the report by name: all of them or none, and no others."""
    files = {path.name: path.read_bytes() for path in sorted((folder / REPORT).glob("*")) if path.is_file()}
    if files:
        found.wrong += [f"{REPORT}/{name} is not there, and a report is drawn whole" for name in FILES if name not in files]
        found.wrong += [f"{REPORT}/{name} is no file of a report" for name in files if name not in FILES]
    return files


def _table(stored: list[dict[str, str]], cases: pd.DataFrame, found: Verification) -> None:
    """Each cell of the table."""
    computed = {str(row["case_id"]): row for row in rows_of(cases)}
    for row in stored:
        now = computed.pop(str(row.get("case_id", "")), None)
        if now is None:
            found.wrong.append(f"{TABLE} has a row that the run does not give: {row.get('case_id')}")
            continue
        for name in now.keys() & row.keys():
            _cell(f"{TABLE}, {row['case_id']}", name, row[name], now[name], found)
    found.wrong += [f"{TABLE} lacks the row {name}" for name in computed]


def _cell(where: str, name: str, stored: str, now: Any, found: Verification) -> None:
    expected = "" if now is None else text.csv(now) if isinstance(now, str) else now
    number = isinstance(now, (int, float)) and not isinstance(now, bool)
    try:
        found.compare("the report", where, name, float(stored) if number and stored else stored, expected if number else str(expected))
    except ValueError:  # no number stands where one should
        found.compare("the report", where, name, stored, str(expected))


def _pictures(files: Mapping[str, bytes], cases: pd.DataFrame, objectives: Sequence[Objective], found: Verification) -> str:
    """Byte by byte: the drawing library draws the same again, but only of the same version. Returns the figure that the page is around."""
    import matplotlib as mpl

    from harness.report import plots

    drawn = plots.draw(cases, objectives)
    stored = files.get("pareto.svg", b"")
    if f"Matplotlib v{mpl.__version__}".encode() in stored or "pareto.svg" not in files:
        found.again["the report"] += len(drawn)
        wrong = [name for form, now in drawn.items() if files.get(name := f"pareto.{form}", now) != now]
        found.wrong += [f"{REPORT}/{name} is not what the records draw" for name in wrong]
    else:
        found.told.append(f"the pictures were not drawn by Matplotlib {mpl.__version__}, which is here: they were not compared")
    return (stored if b"<svg" in stored else drawn["svg"]).decode(errors="replace")


def _lines(name: str, stored: str, drawn: str, found: Verification) -> None:
    """A text, line by line."""
    lines = list(zip_longest(stored.split("\n"), drawn.split("\n")))
    found.again["the report"] += len(lines)
    wrong = [(number, was) for number, (was, now) in enumerate(lines, 1) if was != now]
    for number, was in wrong[:MOST_LINES]:
        found.wrong.append(f"{REPORT}/{name}, line {number}, is not what the records draw: {'nothing' if was is None else repr(was[:100])}")
    if len(wrong) > MOST_LINES:
        found.wrong.append(f"{REPORT}/{name}: {len(wrong) - MOST_LINES} more lines")
