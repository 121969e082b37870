"""`harness report`, `harness export`: stored runs in, tables and drawings out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import EXIT_CODES, Calibrated, Results, RunName, app, read_stored

PUBLISHED = ("md", "tex")
"""Formats that people put before others; csv and json carry the kind in a column."""


@app.command(epilog=EXIT_CODES)
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", show_default=False)],
    results: Results = Path("results"),
    calibrated: Calibrated = False,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="of the front, once each: energy, latency, quality, memory, or COLUMN:min, COLUMN:max", show_default=False),
    ] = None,
) -> None:
    """Draw the report of a run again; needs no engine and no sensor. Says who is on the front, who is not separated, and its hypervolume."""
    from harness import frame
    from harness.decide.fronts import fronts, lines
    from harness.frame.objectives import parse, separates
    from harness.report import write
    from harness.store import read_references, write_references

    objectives = parse(objective or [])
    for each in objectives:
        if not separates(each):
            print(
                f"warning: the scatter of {each.column} is not known: it separates no two cases, so that nothing dominates", file=sys.stderr
            )
    for name in runs:
        run = read_stored(name, results, calibrated=calibrated)
        tables = frame.tables([run], objectives)
        folder = Path(run.folder)
        kept = read_references(folder)
        found, references = fronts(tables["cases"], objectives, kept)
        if references != kept:
            write_references(folder, references)
        print(write(run, tables, objectives=objectives))
        for each_front in found:
            print("\n".join(lines(each_front, objectives)))


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
