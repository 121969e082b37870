"""`harness compare`: which machine to buy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import EXIT_CODES, Calibrated, Results, app, read_stored, tell


@app.command(epilog=EXIT_CODES)
def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN RUN...", help="names of runs, or paths; the first is the base", show_default=False)
    ],
    results: Results = Path("results"),
    offers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML file of hardware offers, such as suites/offers.example.yaml", show_default=False),
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="compare runs that are not comparable, and mark each line")] = False,
    calibrated: Calibrated = False,
) -> int:
    """Compare machines by energy, latency and cost.

    Checks whether the runs are comparable, prints the ratios with verdicts and, with --offers, the cost of a million inferences on each machine.
    """
    from harness.cli.app import complain
    from harness.decide.differences import differences
    from harness.decide.offers import read_offers
    from harness.report.comparison import PREFIX, ratio_lines
    from harness.report.costs import cost_lines
    from harness.report.differences import difference_lines

    hardware = read_offers(offers) if offers else None
    stored = [read_stored(name, results, calibrated=calibrated) for name in runs]
    listed = differences(stored)
    prevented = any(each.prevents for each in listed)
    for line in difference_lines(stored, listed):
        tell(line)
    if prevented and not anyway:
        complain(
            "these runs are not comparable",
            "remove the differences listed above and run again, or use --anyway to compare with each line marked",
        )
        return 1
    for line in ("", *ratio_lines(stored), *(cost_lines(stored, hardware) if hardware else ())):
        tell(line, mark=PREFIX if prevented and line else "")
    return 0
