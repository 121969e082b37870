"""`harness report`, `harness export`: stored runs in, tables and drawings out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import EXIT_CODES, Calibrated, Results, RunName, app, keep_manifest, read_stored

PUBLISHED = ("md", "tex")
"""Formats that people put before others; csv and json carry the kind in a column."""


@app.command(epilog=EXIT_CODES)
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", show_default=False)],
    results: Results = Path("results"),
    calibrated: Calibrated = False,
) -> None:
    """Draw the report of a run again; needs no engine and no sensor."""
    from harness import frame
    from harness.report import write

    for name in runs:
        run = read_stored(name, results, calibrated=calibrated)
        print(write(run, frame.tables([run])))
        keep_manifest(Path(run.folder))


@app.command(epilog=EXIT_CODES)
def export(
    run: RunName,
    results: Results = Path("results"),
    format: Annotated[str, typer.Option(help="md, csv, json or tex")] = "md",
    table: Annotated[str, typer.Option(help="cases, runs, domains or builds")] = "cases",
    calibrated: Calibrated = False,
    allow_simulated: Annotated[bool, typer.Option("--allow-simulated", help="publish what a test double measured")] = False,
) -> None:
    """Print a table of a run: one row a case, a repetition, a domain or a build."""
    from harness import frame
    from harness.errors import HarnessError
    from harness.report import export as exported
    from harness.suite.document import nearest

    tables = frame.tables([read_stored(run, results, calibrated=calibrated)])
    if table not in tables:
        raise HarnessError(f"there is no table {table!r}{nearest(table, tables)}")
    if format in PUBLISHED and not allow_simulated and "simulated" in set(tables["cases"]["energy_kind"]):
        raise HarnessError(
            "this run was measured on a simulator: its energies are no measurement", "export csv or json, or say --allow-simulated"
        )
    sys.stdout.write(exported(tables[table], format=format))
