"""`harness report`, `harness export`, `harness history`: the reports and tables of stored runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import EXIT_CODES, Calibrated, Results, app, check_names, optional, read_stored, write_report
from harness.cli.console import print_line, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from harness.schema import StoredRun

OBJECTIVE = "objective of the Pareto front, repeatable: energy, latency, quality, memory, COLUMN:min or COLUMN:max"
FORMAT = "md, tex or html (rounded, with notes); csv, json or parquet (full precision)"
COLUMNS = "comma-separated columns, such as variant,energy_j; empty: a selection for md, tex and html, all for csv, json and parquet"
PLOT = "also draw energy against latency into this file (.png or .svg)"
UNITS = "comma-separated units instead of SI, such as mJ,ms,MB or Wh/1000 (per 1,000 inferences)"

Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="names of runs in the results folder, or paths", show_default=False)]
Format = Annotated[str, typer.Option(metavar="NAME", help=FORMAT)]
Columns = Annotated[str, typer.Option(metavar="NAMES", help=COLUMNS)]
Units = Annotated[str, typer.Option(metavar="NAMES", help=UNITS)]
File = Annotated[Path | None, optional("file to write to; default: stdout", "FILE")]
AllowSimulated = Annotated[bool, typer.Option("--allow-simulated", help="allow the export of simulated measurements")]
Method = Annotated[bool, typer.Option("--method", help="with --format tex: print the text on method instead of the table")]


@dataclass(frozen=True)
class _Output:
    """How and where a table is written: the options of `export` and `history`."""

    format: str
    columns: str
    units: str
    file: Path | None
    method: bool
    allow_simulated: bool

    def __post_init__(self) -> None:
        """Check the options before a run is read."""
        from harness.errors import HarnessError
        from harness.report import FORMATS

        check_names([self.format], FORMATS, "format", "--format")
        if self.method and self.format != "tex":
            raise HarnessError(
                f"--method needs --format tex, not {self.format}", "use --format tex; md and html have their notes below the table"
            )
        if self.format == "parquet" and self.file is None and sys.stdout.isatty():
            raise HarnessError("parquet output cannot be printed to a terminal", "use --output FILE or a pipe")


@app.command(epilog=EXIT_CODES)
def report(
    runs: Runs,
    results: Results = Path("results"),
    calibrated: Calibrated = False,
    objective: Annotated[list[str] | None, optional(OBJECTIVE, "NAME")] = None,
    json: Annotated[bool, typer.Option("--json", help="print the effect of each variant as JSON instead")] = False,
) -> None:
    """Redraw the report of stored runs.

    Needs no engine and no sensor. Also prints the cases on the Pareto front, those that are not separated from it, and the hypervolume; with
    --json a list of the runs with the effect of each variant against dense.
    """
    from json import dumps

    from harness import frame
    from harness.decide.fronts import fronts
    from harness.frame.objectives import parse, separates
    from harness.frame.rows import rows_of
    from harness.report.fronts import front_lines
    from harness.report.sentences import run_effects

    objectives, effects = parse(objective or []), []
    for each in objectives:
        if not separates(each):
            warn(f"the spread of {each.column} is unknown: no two cases are separated in it, so no case dominates another")
    for name in runs:
        run = read_stored(name, results, calibrated=calibrated)
        tables = frame.tables([run], objectives)
        target = write_report(run, tables, objectives)
        if json:
            effects.append(run_effects(run.header, rows_of(tables["cases"])))
            continue
        print_line(str(target))
        for front in fronts(tables["cases"], objectives):
            for line in front_lines(front, objectives):
                print_line(line)
    if json:
        print(dumps(effects, indent=2, ensure_ascii=False))


@app.command(epilog=EXIT_CODES)
def export(
    runs: Runs,
    results: Results = Path("results"),
    format: Format = "md",
    table: Annotated[str, typer.Option(metavar="NAME", help="table to export: cases, runs, domains or builds")] = "cases",
    columns: Columns = "",
    units: Units = "",
    output: File = None,
    method: Method = False,
    calibrated: Calibrated = False,
    allow_simulated: AllowSimulated = False,
) -> None:
    """Export a table of one or more runs.

    The table has one row per case, repetition, domain or build.
    """
    from harness import frame

    target = _Output(format, columns, units, output, method, allow_simulated)
    stored = _read(runs, results, calibrated=calibrated)
    tables = frame.tables(stored)
    check_names([table], tables, "table", "--table")
    _check_simulated(tables[table], target)
    _write(stored, table, tables[table], tables["cases"], target)


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
    output: File = None,
    plot: Annotated[Path | None, optional(PLOT, "FILE")] = None,
    method: Method = False,
    calibrated: Calibrated = False,
    allow_simulated: AllowSimulated = False,
) -> None:
    """Print the history of one case over runs.

    Lists energy, latency, quality and machine of each run in order of time, and the differences between runs. With --plot also draws energy
    against latency, labelled with the power limit of the card.
    """
    from harness import frame

    if plot is not None:
        check_names([plot.suffix], (".png", ".svg"), "ending", "--plot")
    target = _Output(format, columns, units, output, method, allow_simulated)
    stored = _read(runs or sorted(str(path.parent) for path in results.glob("*/run.json")), results, calibrated=calibrated)
    case_id = _case_id(case, frame.case_ids(stored))
    without = [run.header.run_id for run in stored if case_id not in frame.case_ids([run])]
    if without and runs:
        warn(f"{case_id} is not in {', '.join(without)}")
    stored = [run for run in stored if run.header.run_id not in without]
    table, cases = frame.history(stored, case_id), frame.cases(stored).query("case_id == @case_id")
    _check_simulated(table, target)
    if plot is not None:
        _plot(plot, cases, {run.header.run_id: run.header.started_utc for run in stored}, frame.history_differences(stored, case_id))
    _write(stored, "history", table, cases, target)


def _plot(path: Path, cases: pd.DataFrame, started_utc: Mapping[str, str], differences: Sequence[str]) -> None:
    """Draw one case over its runs into a file."""
    from harness.frame.rows import rows_of
    from harness.report import draw_runs
    from harness.store import write_output

    rows = [row | {"started_utc": started_utc[row["run_id"]]} for row in rows_of(cases)]
    write_output(path, draw_runs(rows, differences)[path.suffix[1:]])


def _read(names: Iterable[str], results: Path, *, calibrated: bool) -> list[StoredRun]:
    """The runs, each once."""
    stored = [read_stored(name, results, calibrated=calibrated) for name in dict.fromkeys(names)]
    return list({run.header.run_id: run for run in stored}.values())


def _case_id(part: str, case_ids: Sequence[str]) -> str:
    """The unique case_id that equals or contains a text.

    Raises:
        HarnessError: There is none, or there are several.
    """
    from harness.errors import HarnessError

    matches = [part] if part in case_ids else [case_id for case_id in case_ids if part in case_id]
    if not case_ids:
        raise HarnessError(
            "no stored run has a case", "create one with `harness run SUITE`, or select another results folder with --results"
        )
    if not matches:
        some = "; ".join(case_ids[:2])
        raise HarnessError(f"no case_id contains {part!r}", f"list them with `harness export RUN --columns case_id`: {some}; ...")
    if len(matches) > 1:
        raise HarnessError(f"{len(matches)} case_ids contain {part!r}", f"give a longer part of one of: {', '.join(matches[:3])}, ...")
    return matches[0]


def _check_simulated(table: pd.DataFrame, output: _Output) -> None:
    """Check that the simulated energies of a table are not published by mistake, or without the column that identifies them.

    Raises:
        HarnessError: They would be.
    """
    from harness.errors import HarnessError
    from harness.report import PUBLISHED

    columns = {"energy_kind", "kind"}
    kinds = {kind for name in columns.intersection(table.columns) for kind in table[name]}
    hidden = bool(output.columns) and not columns & set(output.columns.split(","))
    if "simulated" in kinds and not output.allow_simulated and (output.format in PUBLISHED or hidden):
        raise HarnessError(
            "this run was measured on a simulator: its energies are not real measurements",
            "export csv, json or parquet with the column energy_kind, or use --allow-simulated",
        )


def _write(stored: Sequence[StoredRun], name: str, table: pd.DataFrame, cases: pd.DataFrame, output: _Output) -> None:
    """Write a table to the file or to stdout; without requested columns, published formats have a selection in suitable units."""
    from harness.frame.rows import rows_of
    from harness.report import PUBLISHED, UNITS, export, notes, paper, published_columns
    from harness.store import write_output

    columns, units = ([name.strip() for name in text.split(",") if name.strip()] for text in (output.columns, output.units))
    check_names(columns, list(table.columns), "column", "--columns")
    check_names(units, UNITS, "unit", "--units")
    if output.format == "tex":
        data, text = paper(stored, name, table, rows_of(cases), columns, units)
        if output.method:
            data = text
        elif output.file and (output.file.is_file() or not output.file.exists()):
            _write_method(output.file, text)
    else:
        if output.format in PUBLISHED and not columns:
            columns, units = published_columns(name, table, units)
        data = export(table, output.format, columns=columns, units=units, notes=notes(stored, rows_of(cases)))
    if output.file:
        write_output(output.file, data)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)


def _write_method(output: Path, text: bytes) -> None:
    """Write the text on method as `method.tex` next to its table.

    Raises:
        HarnessError: The table itself has that name, or somebody else wrote a file of that name.
    """
    from harness.errors import HarnessError
    from harness.report.latex import METHOD_HEAD
    from harness.store import write_output

    path = output.with_name("method.tex")
    if path == output:
        raise HarnessError("method.tex is the name of the text on method", "use --output with another name, such as table.tex")
    if path.is_file() and not path.read_bytes().startswith(METHOD_HEAD.encode()):
        raise HarnessError(
            f"{path} was not written by `harness export`, so it is not replaced",
            "use --output in another folder; without --output the table is printed, with --method the text on method",
        )
    write_output(path, text)
