"""`harness compare`: which machine to buy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import EXIT_CODES, Calibrated, Results, app, read_stored, tell


@app.command(epilog=EXIT_CODES)
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN...", help="the first is the base", show_default=False)],
    results: Results = Path("results"),
    offers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="what they cost: suites/offers.example.yaml", show_default=False)
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="compare what may not be compared, and mark each line")] = False,
    calibrated: Calibrated = False,
) -> int:
    """Say whether machines may be compared, how they compare, and what a million inferences cost on each."""
    from harness.cli.app import complain
    from harness.decide.differences import differences
    from harness.decide.offers import read_offers
    from harness.report.comparison import MARK, told, told_differences

    asked = read_offers(offers) if offers else None
    stored = [read_stored(name, results, calibrated=calibrated) for name in runs]
    found = differences(stored)
    forbidden = any(each.forbids for each in found)
    for line in told_differences(stored, found):
        tell(line)
    if forbidden and not anyway:
        complain("these runs may not be compared", "mend what is named above and run again, or say --anyway: each line is then marked")
        return 1
    for line in ("", *told(stored, asked)):
        tell(line, mark=MARK if forbidden and line else "")
    return 0
