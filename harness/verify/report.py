"""Checks of a report: the cells of its table against the recomputed records. The manifest's checksums cover its texts and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import frame, text
from harness.analysis.multiple_testing import holm
from harness.errors import HarnessError, MeterError
from harness.frame.baseline import joint_verdicts
from harness.frame.columns import CASES
from harness.frame.objectives import read
from harness.frame.results import results
from harness.frame.rows import Row, rows_of
from harness.report import FILES
from harness.report.stored import TABLE, stored_table
from harness.schema import SCHEMA_VERSION, StoredRun
from harness.verify.result import Verification

REPORT = "report"
VERDICTS = ("energy_verdict", "latency_verdict")


def check_report(run: StoredRun, result: Verification, calibrated: Callable[[StoredRun], StoredRun] | None) -> None:
    """Compare the report's table with the recomputed records, for the objectives and the calibration that it was drawn with."""
    folder = Path(run.folder)
    names = {path.name for path in (folder / REPORT).glob("*") if path.is_file()}
    if not names:
        result.notes.append("there is no report: create it with `harness report`")
        return
    result.problems += [f"{REPORT}/{name} is missing" for name in FILES if name not in names]
    result.problems += [f"{REPORT}/{name} does not belong to a report" for name in sorted(names.difference(FILES))]
    if Path(TABLE).name not in names:
        return
    if run.header.schema_version < SCHEMA_VERSION:
        result.notes.append(f"the run has an older schema: the cells of {TABLE} were not compared, only its checksum")
        return
    columns, rows = stored_table(folder)
    missing = [column.name for column in CASES if column.name not in columns]
    if missing:  # its sentences may differ as well
        result.notes.append(
            f"{TABLE} lacks {text.counted(len(missing), 'column')}, such as {missing[0]}: an earlier version drew the report, so only its "
            "checksum was checked; draw it again with `harness report`"
        )
    elif drawn_from := _with_calibration(run, rows, result, calibrated):
        _compare(drawn_from, rows, result)


def _with_calibration(
    run: StoredRun, rows: Sequence[Row], result: Verification, calibrated: Callable[[StoredRun], StoredRun] | None
) -> StoredRun | None:
    """The run that the report was drawn from; None if its calibration is not on this machine."""
    if not any(row["calibrated"] for row in rows):
        return run
    try:
        if calibrated is None:
            raise MeterError("no calibration was given")
        run = calibrated(run)
    except MeterError:
        result.notes.append("the report was drawn with a calibration that is not on this machine: its figures were not compared")
        return None
    result.notes.append("the report was drawn with a calibration: it is compared with the one stored on this machine")
    return run


def _compare(run: StoredRun, rows: Sequence[Row], result: Verification) -> None:
    """Compare the rows of the table, cell by cell."""
    try:
        cases = frame.cases([run], *[read(row["front_objectives"] or "") for row in rows[:1]])
    except HarnessError as error:
        result.problems.append(f"{TABLE}: front_objectives is not a list of objectives: {error.what}")
        return
    computed = _with_older_verdicts(run, rows, {str(row["case_id"]): row for row in rows_of(cases)}, result)
    for row in rows:
        now = computed.pop(row["case_id"], None)
        if now is None:
            result.problems.append(f"{TABLE} has a row that is not in the run: {row['case_id']}")
            continue
        for name in now:
            result.compare("the report", f"{TABLE}, {row['case_id']}", name, *_cells(row[name], now[name]))
    result.problems += [f"{TABLE} lacks the row {name}" for name in computed]


def _with_older_verdicts(run: StoredRun, rows: Sequence[Row], computed: dict[str, Row], result: Verification) -> dict[str, Row]:
    """The recomputed rows; with the verdicts by Holm's correction, and a note, if all verdicts of the table are those and not today's."""
    older = joint_verdicts(results(run), holm)
    by_holm = {case_id: row | {name: older.get(case_id, {}).get(name) for name in VERDICTS} for case_id, row in computed.items()}

    def agrees(with_rows: dict[str, Row]) -> bool:
        own = ((row[name], with_rows[row["case_id"]][name]) for row in rows if row["case_id"] in with_rows for name in VERDICTS)
        return all(stored == (now or "") for stored, now in own)

    if agrees(computed) or not agrees(by_holm):
        return computed
    result.notes.append(
        f"the verdicts of {TABLE} are those of an earlier version (Holm's correction), which separates fewer cases: draw it again with "
        "`harness report`"
    )
    return by_holm


def _cells(stored: str, computed: Any) -> tuple[Any, Any]:
    """A stored and a recomputed cell, as two numbers if possible, else as two texts."""
    if isinstance(computed, (int, float)) and not isinstance(computed, bool):
        try:
            return float(stored), computed
        except ValueError:
            return stored, str(computed)
    return stored, "" if computed is None else text.csv(computed) if isinstance(computed, str) else str(computed)
