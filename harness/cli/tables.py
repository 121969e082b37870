"""`harness report`, `harness export`, `harness history`: stored runs in, tables and drawings out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import EXIT_CODES, Calibrated, Results, app, keep_report, read_stored, tell, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from harness.schema import StoredRun

Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="names of runs in the results folder, or paths", show_default=False)]
Format = Annotated[str, typer.Option(help="md, tex or html (rounded, with notes); csv, json or parquet (full precision)")]
Columns = Annotated[
    str,
    typer.Option(
        help="comma-separated columns, such as variant,energy_j; empty: a selection for md, tex and html, all for csv, json and parquet"
    ),
]
Units = Annotated[str, typer.Option(help="comma-separated units instead of SI, such as mJ,ms,MB or Wh/1000 (per 1,000 inferences)")]
Output = Annotated[Path | None, typer.Option(help="file to write to; default: stdout", show_default=False)]
AllowSimulated = Annotated[bool, typer.Option("--allow-simulated", help="allow the export of simulated measurements")]
Method = Annotated[bool, typer.Option("--method", help="with --format tex: print the method instead of the table")]


@app.command(epilog=EXIT_CODES)
def report(
    runs: Runs,
    results: Results = Path("results"),
    calibrated: Calibrated = False,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="objective of the Pareto front, repeatable: energy, latency, quality, memory, COLUMN:min or COLUMN:max", show_default=False
        ),
    ] = None,
) -> None:
    """Redraw the report of stored runs.

    Needs no engine and no sensor. Prints the cases on the Pareto front, those that are not separated from it, and its hypervolume.
    """
    from harness import frame
    from harness.decide.fronts import fronts
    from harness.frame.objectives import parse, separates
    from harness.report.fronts import front_lines

    objectives = parse(objective or [])
    for each in objectives:
        if not separates(each):
            warn(f"the spread of {each.column} is unknown: no two cases are separated in it, so no case dominates another")
    for name in runs:
        run = read_stored(name, results, calibrated=calibrated)
        tables = frame.tables([run], objectives)
        tell(str(keep_report(run, tables, objectives)))
        for each_front in fronts(tables["cases"], objectives):
            for line in front_lines(each_front, objectives):
                tell(line)


@app.command(epilog=EXIT_CODES)
def export(
    runs: Runs,
    results: Results = Path("results"),
    format: Format = "md",
    table: Annotated[str, typer.Option(help="table to export: cases, runs, domains or builds")] = "cases",
    columns: Columns = "",
    units: Units = "",
    output: Output = None,
    method: Method = False,
    calibrated: Calibrated = False,
    allow_simulated: AllowSimulated = False,
) -> None:
    """Export a table of one or more runs.

    One row per case, repetition, domain or build.
    """
    from harness import frame

    _check_format(format, output, method=method)
    stored = _read(runs, results, calibrated=calibrated)
    tables = frame.tables(stored)
    _known([table], tables, "table")
    _check_simulated(tables, format, columns, allowed=allow_simulated)
    _write(stored, table, tables[table], tables["cases"], format, columns, units, output, method=method)


@app.command(epilog=EXIT_CODES)
def history(
    case: Annotated[str, typer.Argument(metavar="CASE", help="case_id as printed by export, or a unique part of it", show_default=False)],
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN...]", help="names of runs, or paths; default: all runs in the results folder", show_default=False),
    ] = None,
    results: Results = Path("results"),
    format: Format = "md",
    columns: Columns = "",
    units: Units = "",
    output: Output = None,
    method: Method = False,
    calibrated: Calibrated = False,
    allow_simulated: AllowSimulated = False,
) -> None:
    """Print the history of one case over runs.

    Energy, latency, quality and machine of each run in order of time, and what changed between runs.
    """
    from harness import frame

    _check_format(format, output, method=method)
    stored = _read(runs or sorted(str(path.parent) for path in results.glob("*/run.json")), results, calibrated=calibrated)
    chosen = _case(case, frame.case_ids(stored))
    without = [run.header.run_id for run in stored if chosen not in frame.case_ids([run])]
    if without and runs:
        warn(f"{chosen} is not in {', '.join(without)}")
    stored = [run for run in stored if run.header.run_id not in without]
    table = frame.history(stored, chosen)
    _check_simulated({"history": table}, format, columns, allowed=allow_simulated)
    _write(stored, "history", table, frame.cases(stored).query("case_id == @chosen"), format, columns, units, output, method=method)


def _read(runs: Iterable[str], results: Path, *, calibrated: bool) -> list[StoredRun]:
    """Each run once, however it was named."""
    found = {run.header.run_id: run for run in (read_stored(name, results, calibrated=calibrated) for name in dict.fromkeys(runs))}
    return list(found.values())


def _check_format(format: str, output: Path | None, *, method: bool) -> None:
    """Before anything is read: there is such a format, and its output has somewhere to go."""
    from harness.errors import HarnessError
    from harness.report import FORMATS

    _known([format], FORMATS, "format")
    if method and format != "tex":
        raise HarnessError(f"--method is of --format tex, not {format}", "give --format tex; md and html have their notes below the table")
    if format == "parquet" and output is None and sys.stdout.isatty():
        raise HarnessError("parquet output cannot be printed to a terminal", "use --output FILE or a pipe")


def _known(names: Iterable[str], there: Iterable[str], what: str) -> None:
    from harness.errors import HarnessError
    from harness.suite.document import nearest

    there = list(there)
    for name in names:
        if name not in there:
            alike = [each for each in there if each.lower() == name.lower()]
            raise HarnessError(f"unknown {what} {name!r}{nearest(name, alike or there)}")


def _case(part: str, known: Sequence[str]) -> str:
    """The case meant.

    Raises:
        HarnessError: None, or several.
    """
    from harness.errors import HarnessError

    found = [part] if part in known else [case for case in known if part in case]
    if not known:
        raise HarnessError(
            "no stored run has a case", "create one with `harness run SUITE`, or select another results folder with --results"
        )
    if not found:
        some = "; ".join(known[:2])
        raise HarnessError(f"no case_id contains {part!r}", f"list them with `harness export RUN --columns case_id`: {some}; ...")
    if len(found) > 1:
        raise HarnessError(f"{len(found)} case_ids contain {part!r}", f"give a longer part of one of: {', '.join(found[:3])}, ...")
    return found[0]


def _check_simulated(tables: Mapping[str, pd.DataFrame], format: str, columns: str, *, allowed: bool) -> None:
    """What a simulator measured is not published by mistake, and leaves its kind behind in no table.

    Raises:
        HarnessError: It would.
    """
    from harness.errors import HarnessError
    from harness.report import PUBLISHED

    kinds = {kind for table in tables.values() for name in ("energy_kind", "kind") if name in table for kind in table[name]}
    hidden = bool(columns) and not {"energy_kind", "kind"} & set(columns.split(","))
    if "simulated" in kinds and not allowed and (format in PUBLISHED or hidden):
        raise HarnessError(
            "this run was measured on a simulator: its energies are not real measurements",
            "export csv, json or parquet with the column energy_kind, or use --allow-simulated",
        )


def _write(
    stored: Sequence[StoredRun],
    name: str,
    table: pd.DataFrame,
    cases: pd.DataFrame,
    format: str,
    columns: str,
    units: str,
    output: Path | None,
    *,
    method: bool,
) -> None:
    """Write the table to the file or to stdout; published formats without requested columns get those of `READ` in suitable units."""
    from harness.frame.rows import rows_of
    from harness.report import PUBLISHED, UNITS, export, notes, paper, published_columns

    chosen, wanted = ([name.strip() for name in text.split(",") if name.strip()] for text in (columns, units))
    _known(chosen, table.columns, "column")
    _known(wanted, UNITS, "unit")
    if format == "tex":
        tex, text = paper(stored, name, table, rows_of(cases), chosen, wanted)
        if output and not method and (output.is_file() or not output.exists()):
            _write_method(output, text)
        data = text if method else tex
    else:
        if format in PUBLISHED and not chosen:
            chosen, wanted = published_columns(name, table, wanted)
        data = export(table, format, columns=chosen, units=wanted, notes=notes(stored, rows_of(cases)))
    if output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    from harness.store import write_output

    write_output(output, data)


def _write_method(output: Path, text: bytes) -> None:
    """Write the text on method beside its table, unless a file of that name is somebody else's.

    Raises:
        HarnessError: It is, or the table itself is to have that name.
    """
    from harness.errors import HarnessError
    from harness.report.latex import METHOD_HEAD
    from harness.store import write_output

    path = output.with_name("method.tex")
    if path == output:
        raise HarnessError("method.tex is the name of the text on method beside the table", "give --output another name, such as table.tex")
    if path.is_file() and not path.read_bytes().startswith(METHOD_HEAD.encode()):
        raise HarnessError(
            f"{path} was not written by `harness export`, so it is not replaced",
            "give --output in another folder; without --output the table is printed, with --method the text on method",
        )
    write_output(path, text)
