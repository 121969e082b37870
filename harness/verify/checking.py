"""A run's folder -> whether it is what was written (checksums), and whether its figures follow from its raw data.

`files` looks at the manifest, `launches` at each record beside its raw data, `whole` at what records say of each other and of the
header, `drawn` at the report. Every formula is that of the room which made the figure.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.artifacts import Cache
from harness.errors import HarnessError
from harness.schema import StoredRun
from harness.store import read_run
from harness.verify.drawn import check_report
from harness.verify.files import check_files, check_lines
from harness.verify.found import Verification
from harness.verify.launches import recomputed
from harness.verify.whole import check_artifacts, check_whole


def verify(folder: Path, corrected: Callable[[StoredRun], StoredRun] | None = None, cache: Cache | None = None) -> Verification:
    """Checksums first, then every figure.

    Args:
        folder: Of the run.
        corrected: Applies this machine's calibrations, for a report that was drawn with them; raises a MeterError where none fits.
        cache: Where the artifacts may lie; null: they are not looked at.
    """
    found = Verification()
    check_files(folder, found)
    try:
        run = read_run(folder)
        check_lines(run, found)
        check_whole(run, found)
        check_artifacts(run, cache, found)
        check_report(recomputed(run, found), found, corrected)
    except HarnessError as error:
        found.wrong.append(f"the figures cannot be computed again: {error.what}")
    return found
