"""The table of a report, cell by cell, against the recomputed records; its texts and pictures are checked by the manifest's checksums alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import frame, text
from harness.errors import HarnessError, MeterError
from harness.frame.columns import CASES
from harness.frame.objectives import read
from harness.frame.rows import Row, rows_of
from harness.report import FILES
from harness.report.stored import TABLE, stored_table
from harness.schema import SCHEMA_VERSION, StoredRun
from harness.verify.found import Verification

REPORT = "report"


def check_report(run: StoredRun, found: Verification, corrected: Callable[[StoredRun], StoredRun] | None) -> None:
    """Compare the table of a report with the recomputed records, with the objectives and the calibration it was drawn with.

    Args:
        run: The recomputed run.
        found: Result that is added to.
        corrected: Applies this machine's calibrations; None: there are none.
    """
    folder = Path(run.folder) / REPORT
    names = [path.name for path in sorted(folder.glob("*")) if path.is_file()]
    if not names:
        found.told.append("no report is drawn yet: `harness report` draws it")
        return
    found.wrong += [f"{REPORT}/{name} is not there, and a report is drawn whole" for name in FILES if name not in names]
    found.wrong += [f"{REPORT}/{name} is no file of a report" for name in names if name not in FILES]
    if "table.csv" not in names:
        return
    if run.header.schema_version < SCHEMA_VERSION:
        found.told.append(f"the run is of an older schema: the cells of {TABLE} were not compared, only its checksum in the manifest")
        return
    columns, stored = stored_table(Path(run.folder))
    missing = [column.name for column in CASES if column.name not in columns]
    if missing:  # its words may be others, too
        found.told.append(
            f"{TABLE} lacks {len(missing)} of today's columns, such as {missing[0]}: an earlier harness drew the report, so that "
            "its cells are not compared, only its checksum in the manifest; `harness report` draws it again"
        )
        return
    if used := _with_calibration(run, stored, found, corrected):
        _compare(used, stored, found)


def _with_calibration(
    run: StoredRun, stored: Sequence[Row], found: Verification, corrected: Callable[[StoredRun], StoredRun] | None
) -> StoredRun | None:
    """The run that the report was drawn from; None where its calibration is not on this machine."""
    if not any(row["calibrated"] for row in stored):
        return run
    try:
        if corrected is None:
            raise MeterError("no calibration was given")
        run = corrected(run)
    except MeterError:
        found.told.append("the report is corrected by a calibration that is not on this machine: its figures were not compared")
        return None
    found.told.append("the report is corrected by a calibration: it is compared with the one kept on this machine")
    return run


def _compare(run: StoredRun, stored: Sequence[Row], found: Verification) -> None:
    try:
        cases = frame.cases([run], *[read(row["front_objectives"] or "") for row in stored[:1]])
    except HarnessError as error:
        found.wrong.append(f"{TABLE}: front_objectives holds no objectives: {error.what}")
        return
    computed = {str(row["case_id"]): row for row in rows_of(cases)}
    for row in stored:
        now = computed.pop(row["case_id"], None)
        if now is None:
            found.wrong.append(f"{TABLE} has a row that the run does not give: {row['case_id']}")
            continue
        for name in now:
            _cell(f"{TABLE}, {row['case_id']}", name, row[name], now[name], found)
    found.wrong += [f"{TABLE} lacks the row {name}" for name in computed]


def _cell(where: str, name: str, stored: str, now: Any, found: Verification) -> None:
    expected = "" if now is None else text.csv(now) if isinstance(now, str) else now
    number = isinstance(now, (int, float)) and not isinstance(now, bool)
    try:
        found.compare("the report", where, name, float(stored) if number and stored else stored, expected if number else str(expected))
    except ValueError:  # no number stands where one should
        found.compare("the report", where, name, stored, str(expected))
