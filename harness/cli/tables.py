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

Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="names under the results folder, or paths", show_default=False)]
Format = Annotated[str, typer.Option(help="md, tex or html (rounded, with notes); csv, json or parquet (unrounded)")]
Columns = Annotated[str, typer.Option(help="the columns wanted, such as variant,energy_j; empty: all, or what a person reads")]
Units = Annotated[str, typer.Option(help="in place of SI, such as mJ,ms,MB or Wh/1000 (per 1,000 inferences)")]
Output = Annotated[Path | None, typer.Option(help="write it to this file", show_default=False)]
Method = Annotated[bool, typer.Option("--method", help="with --format tex: the text on method in place of the table")]
AllowSimulated = Annotated[bool, typer.Option("--allow-simulated", help="publish what a test double measured")]


@app.command(epilog=EXIT_CODES)
def report(
    runs: Runs,
    results: Results = Path("results"),
    calibrated: Calibrated = False,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="of the front, once each: energy, latency, quality, memory, or COLUMN:min, COLUMN:max", show_default=False),
    ] = None,
) -> None:
    """Draw the report of a run again; needs no engine and no sensor. Says who is on the front, who is not separated, and its hypervolume."""
    from harness import frame
    from harness.decide.fronts import fronts
    from harness.frame.objectives import parse, separates
    from harness.report.fronts import lines

    objectives = parse(objective or [])
    for each in objectives:
        if not separates(each):
            warn(f"the scatter of {each.column} is not known: it separates no two cases, so that nothing dominates")
    for name in runs:
        run = read_stored(name, results, calibrated=calibrated)
        tables = frame.tables([run], objectives)
        tell(str(keep_report(run, tables, objectives)))
        for each_front in fronts(tables["cases"], objectives):
            for line in lines(each_front, objectives):
                tell(line)


@app.command(epilog=EXIT_CODES)
def export(
    runs: Runs,
    results: Results = Path("results"),
    format: Format = "md",
    table: Annotated[str, typer.Option(help="cases, runs, domains or builds")] = "cases",
    columns: Columns = "",
    units: Units = "",
    output: Output = None,
    method: Method = False,
    calibrated: Calibrated = False,
    allow_simulated: AllowSimulated = False,
) -> None:
    """Print a table of one run or of several: one row a case, a repetition, a domain or a build."""
    from harness import frame

    _check_format(format, output, method=method)
    stored = _read(runs, results, calibrated=calibrated)
    tables = frame.tables(stored)
    _known([table], tables, "table")
    _check_simulated(tables, format, columns, allowed=allow_simulated)
    _write(stored, table, tables[table], tables["cases"], format, columns, units, output, method=method)


@app.command(epilog=EXIT_CODES)
def history(
    case: Annotated[
        str, typer.Argument(metavar="CASE", help="a case's id, as export prints it, or a part that only it has", show_default=False)
    ],
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN...]", help="none: every run in the results folder", show_default=False)
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
    """Print one case over runs in the order of time: energy, latency, quality, machine, and what changed between them."""
    from harness import frame

    _check_format(format, output, method=method)
    stored = _read(runs or sorted(str(path.parent) for path in results.glob("*/run.json")), results, calibrated=calibrated)
    chosen = _case(case, frame.case_ids(stored))
    without = [run.header.run_id for run in stored if chosen not in frame.case_ids([run])]
    if without and runs:
        warn(f"{chosen} did not run in {', '.join(without)}")
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
        raise HarnessError("parquet is not for a terminal", "give --output FILE, or a pipe")


def _known(names: Iterable[str], there: Iterable[str], what: str) -> None:
    from harness.errors import HarnessError
    from harness.suite.document import nearest

    there = list(there)
    for name in names:
        if name not in there:
            alike = [each for each in there if each.lower() == name.lower()]
            raise HarnessError(f"there is no {what} {name!r}{nearest(name, alike or there)}")


def _case(part: str, known: Sequence[str]) -> str:
    """The case meant.

    Raises:
        HarnessError: None, or several.
    """
    from harness.errors import HarnessError

    found = [part] if part in known else [case for case in known if part in case]
    if not known:
        raise HarnessError("there is no run that holds a case", "`harness run SUITE` makes one; --results names another results folder")
    if not found:
        some = "; ".join(known[:2])
        raise HarnessError(f"no case has {part!r} in its name", f"`harness export RUN --columns case_id` prints the names: {some}; ...")
    if len(found) > 1:
        raise HarnessError(f"{len(found)} cases have {part!r} in their names", f"say more: {', '.join(found[:3])}, ...")
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
            "this was measured on a simulator: its energies are no measurement",
            "export csv, json or parquet with the column energy_kind, or say --allow-simulated",
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
    """The table to the file or to stdout; where people read it and no columns are asked for, those of `READ` in the units that suit them."""
    from harness.frame.rows import rows_of
    from harness.report import PUBLISHED, UNITS, as_read, export, notes, paper

    chosen, wanted = ([name.strip() for name in names.split(",") if name.strip()] for names in (columns, units))
    _known(chosen, table.columns, "column")
    _known(wanted, UNITS, "unit")
    if format == "tex":
        tex, text = paper(stored, name, table, rows_of(cases), chosen, wanted)
        if output and not method and (output.is_file() or not output.exists()):
            _write_method(output, text)
        data = text if method else tex
    else:
        if format in PUBLISHED and not chosen:
            chosen, wanted = as_read(name, table, wanted)
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
