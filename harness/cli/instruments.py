"""`harness doctor`, `harness import-meter`, `harness calibrate`: what measures, and how well."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import EXIT_CODES, Results, RunName, app, checked_window, keep_manifest, keep_report, read_stored, warn

if TYPE_CHECKING:
    from harness.schema import Meter


@app.command(epilog=EXIT_CODES)
def doctor(
    json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    window: Annotated[float, typer.Option(metavar="SECONDS", help="of which window the expected error is told")] = 1.5,
) -> int:
    """Say what can be measured on this machine, how well, and what would mend the rest."""
    from harness import plugins
    from harness.sensors.doctor import examine, to_json, to_text

    examination = examine(plugins.catalogue(), window_s=checked_window(window))
    print(to_json(examination) if json else to_text(examination))
    return 0


@app.command(name="import-meter", epilog=EXIT_CODES)
def import_meter(
    run: RunName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the meter's log; of MLPerf its spl.txt", show_default=False)],
    results: Results = Path("results"),
    format: Annotated[str, typer.Option(help="auto, or a format that docs/meters.md lists")] = "auto",
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="of local times, such as Europe/Berlin", show_default=False)] = None,
    utc_offset: Annotated[float | None, typer.Option(metavar="SECONDS", help="of local times: local less UTC", show_default=False)] = None,
    clock_offset: Annotated[float, typer.Option(metavar="SECONDS", help="how far the meter's clock is ahead")] = 0.0,
    find_pulse: Annotated[bool, typer.Option("--find-pulse", help="find that from the run's own load")] = False,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="second 0 of a log of seconds, or its date", show_default=False)] = None,
    channel: Annotated[str | None, typer.Option(help="column, card or channel of the log, or sum", show_default=False)] = None,
    time_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="of times: its name or number", show_default=False)] = None,
    time_unit: Annotated[
        str | None, typer.Option(metavar="UNIT", help="of times since a start: s ms us ns min h", show_default=False)
    ] = None,
    date_order: Annotated[str | None, typer.Option(metavar="ORDER", help="of dates: dmy, mdy or ymd", show_default=False)] = None,
    power_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="of power: its name or number", show_default=False)] = None,
    unit: Annotated[str | None, typer.Option(help="of a power column that names none: W mW kW uW", show_default=False)] = None,
    decimal: Annotated[str | None, typer.Option(metavar="MARK", help="decimal mark of numbers: . or ,", show_default=False)] = None,
    device_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="that distinguishes devices", show_default=False)] = None,
    one_device: Annotated[bool, typer.Option("--one-device", help="rows with one time stamp are one device's")] = False,
    name: Annotated[str, typer.Option(help="of the new domain: wall, system, ...")] = "wall",
    rule: Annotated[str, typer.Option(help="trapezoid; rectangle where a row is the mean since the row before")] = "trapezoid",
) -> None:
    """Import an external power-meter log as a domain of a run."""
    from harness.errors import MeterError
    from harness.meters import read_log
    from harness.meters.importing import covered, import_log, on_unix_time
    from harness.store import find_run, read_run, write_meter

    if find_pulse and clock_offset:
        raise MeterError("a clock offset was given, and is to be found too", "give --clock-offset or --find-pulse")
    stored = read_run(find_run(results, run))
    choices = {
        "timezone": timezone, "utc_offset_s": utc_offset, "channel": channel, "time_column": time_column, "time_unit": time_unit,
        "date_order": date_order, "power_column": power_column, "unit": unit, "decimal": decimal, "device_column": device_column,
        "one_device": one_device, "start": start,
    }  # fmt: skip
    log = read_log(file, format, command=_command_line(run, file), **choices)  # type: ignore[arg-type]
    log = log if find_pulse else on_unix_time(stored, log, rule)
    meter = import_log(stored, log, name=name, rule=rule, clock_offset_s=clock_offset, by_pulse=find_pulse)
    path = write_meter(Path(stored.folder), meter, log.sample)
    keep_manifest(Path(stored.folder), f"meters/{path.stem}.json", f"meters/{path.stem}.parquet")
    _redraw(Path(stored.folder))
    findings = {
        f.code: f for reading in meter.readings for f in reading.findings if f.code in ("meter_slow", "meter_discarded", "meter_clock")
    }
    sentences = {f.sentence for f in findings.values()}
    for sentence in meter.told:
        if sentence not in sentences:
            print(sentence, file=sys.stderr)
    for found in findings.values():
        warn(f"{found.sentence}; {found.remedy}")
    whole, count = covered(meter.readings)
    print(f"{path}: domain {name}, {whole} of {count} repetitions covered{_discarded_text(meter)}")


def _command_line(run: str, file: Path) -> str:
    """The command as it was typed, for messages that add an option to it."""
    import shlex

    at = next((i for i, each in enumerate(sys.argv) if each == "import-meter"), None)
    return shlex.join(["harness", *sys.argv[at:]] if at is not None else ["harness", "import-meter", run, str(file)])


def _discarded_text(meter: Meter) -> str:
    """How many rows and values were left out, for the last line."""
    count = sum(meter.discarded.values())
    return f", {count} rows or values left out, {meter.discarded_in_run} of them inside the run" if count else ""


def _redraw(folder: Path) -> None:
    """The report with what the meter adds, where one is drawn: else it would no longer be what the run gives."""
    from harness import frame
    from harness.report.stored import TABLE, drawn_objectives

    if (folder / TABLE).is_file():
        run, objectives = read_stored(str(folder), folder.parent), drawn_objectives(folder)
        keep_report(run, frame.tables([run], objectives), objectives)


@app.command(epilog=EXIT_CODES)
def calibrate(
    run: RunName,
    domain: Annotated[str, typer.Argument(help="whose sensor is calibrated, such as gpu:0", show_default=False)],
    results: Results = Path("results"),
    meter: Annotated[str, typer.Option(help="the imported log, of a meter that feeds this rail alone")] = "wall",
) -> None:
    """Fit an on-board sensor's gain and offset against a meter's log, and keep them for this machine; used only where --calibrated is given."""
    from harness.meters import calibrate as calibration
    from harness.store import find_run, read_run

    found = calibration.calibrate(read_run(find_run(results, run)), domain, meter)
    print(
        f"{domain} of {found.sensor} on {found.host} reads {found.gain:.4f} (+- {found.gain_u:.4f}) x P "
        f"{found.offset_w:+.2f} W (+- {found.offset_u_w:.2f} W), fitted on {found.pairs} phases from {found.low_w:.4g} to {found.high_w:.4g} W"
    )
    print(f"kept in {calibration.keep(found)}")
