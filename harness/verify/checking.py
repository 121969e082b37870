"""Verify the folder of a run: its files first, then every figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.artifacts import Cache
from harness.errors import HarnessError
from harness.schema import StoredRun
from harness.store import read_run
from harness.verify.artifacts import check_artifacts
from harness.verify.consistency import check_consistency
from harness.verify.files import check_files, check_records_file
from harness.verify.records import recompute
from harness.verify.report import check_report
from harness.verify.result import Verification


def verify(folder: Path, calibrated: Callable[[StoredRun], StoredRun] | None = None, cache: Cache | None = None) -> Verification:
    """Check the files of a run against its manifest, and its figures against its raw data.

    Args:
        folder: Folder of the run.
        calibrated: Function that applies this machine's calibrations, for a report that was drawn with them; raises a MeterError if none fits.
        cache: Cache of the artifacts; None to skip them.
    """
    result = Verification()
    try:
        run = read_run(folder)
    except HarnessError as error:
        check_files(folder, (), result)
        result.problems.append(f"the run cannot be read: {error.what}")
        return result
    check_files(folder, run.records, result)
    try:
        check_records_file(run, result)
        check_consistency(run, result)
        check_artifacts(run, cache, result)
        check_report(recompute(run, result), result, calibrated)
    except HarnessError as error:
        result.problems.append(f"the figures cannot be recomputed: {error.what}")
    return result
