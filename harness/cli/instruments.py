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
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    window: Annotated[float, typer.Option(metavar="SECONDS", help="window length for which the expected error is computed")] = 1.5,
) -> int:
    """Check which sensors work here and how to fix the others.

    Prints what can be measured on this machine, with its expected error.
    """
    from harness import plugins
    from harness.sensors.doctor import examine, to_json, to_text

    examination = examine(plugins.catalogue(), window_s=checked_window(window))
    print(to_json(examination) if json else to_text(examination))
    return 0


@app.command(name="import-meter", epilog=EXIT_CODES)
def import_meter(
    run: RunName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="log file of the meter; for MLPerf its spl.txt", show_default=False)],
    results: Results = Path("results"),
    format: Annotated[str, typer.Option(help="format of the log (docs/meters.md), or auto")] = "auto",
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="time zone of local times, such as Europe/Berlin", show_default=False)
    ] = None,
    utc_offset: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="offset of local times: local minus UTC", show_default=False)
    ] = None,
    clock_offset: Annotated[float, typer.Option(metavar="SECONDS", help="how far the clock of the meter is ahead")] = 0.0,
    find_pulse: Annotated[bool, typer.Option("--find-pulse", help="find the clock offset from the load of the run")] = False,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="start of the log: time of its second 0, or its date", show_default=False)
    ] = None,
    channel: Annotated[str | None, typer.Option(help="column, card or channel of the log, or sum", show_default=False)] = None,
    time_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="name or number of the time column", show_default=False)] = None,
    time_unit: Annotated[
        str | None, typer.Option(metavar="UNIT", help="unit of times since the start: s, ms, us, ns, min or h", show_default=False)
    ] = None,
    date_order: Annotated[str | None, typer.Option(metavar="ORDER", help="order of dates: dmy, mdy or ymd", show_default=False)] = None,
    power_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="name or number of the power column", show_default=False)
    ] = None,
    unit: Annotated[str | None, typer.Option(help="unit of a power column without one: W, mW or kW", show_default=False)] = None,
    decimal: Annotated[str | None, typer.Option(metavar="MARK", help="decimal mark of numbers: . or ,", show_default=False)] = None,
    device_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="name or number of the column that identifies the device", show_default=False)
    ] = None,
    one_device: Annotated[bool, typer.Option("--one-device", help="treat rows with the same time stamp as one device")] = False,
    name: Annotated[str, typer.Option(help="name of the new domain, such as wall or system")] = "wall",
    rule: Annotated[
        str, typer.Option(help="integration rule: trapezoid, or rectangle if each row is the mean since the previous row")
    ] = "trapezoid",
) -> None:
    """Import an external power-meter log as a domain of a run."""
    from harness.errors import MeterError
    from harness.meters import read_log
    from harness.meters.clock import on_unix_time
    from harness.meters.importing import covered, import_log
    from harness.store import find_run, read_run, write_meter

    if find_pulse and clock_offset:
        raise MeterError("--clock-offset and --find-pulse exclude each other", "use one of them")
    stored = read_run(find_run(results, run))
    choices = {
        "timezone": timezone, "utc_offset_s": utc_offset, "channel": channel, "time_column": time_column, "time_unit": time_unit,
        "date_order": date_order, "power_column": power_column, "unit": unit, "decimal": decimal, "device_column": device_column,
        "one_device": one_device, "start": start,
    }  # fmt: skip
    log = read_log(file, format, command=_command_line(run, file), **choices)
    log = log if find_pulse else on_unix_time(stored, log, rule)
    meter = import_log(stored, log, name=name, rule=rule, clock_offset_s=clock_offset, by_pulse=find_pulse)
    path = write_meter(Path(stored.folder), meter, log.sample)
    keep_manifest(Path(stored.folder), f"meters/{path.stem}.json", f"meters/{path.stem}.parquet")
    _redraw(Path(stored.folder))
    findings = {
        f.code: f for reading in meter.readings for f in reading.findings if f.code in ("meter_slow", "meter_discarded", "meter_clock")
    }
    sentences = {f.sentence for f in findings.values()}
    for sentence in meter.notes:
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
    """Number of rows and values discarded, for the last line."""
    count = sum(meter.discarded.values())
    return f", {count} rows or values discarded, {meter.discarded_in_run} of them inside the run" if count else ""


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
    domain: Annotated[str, typer.Argument(help="domain whose sensor is calibrated, such as gpu:0", show_default=False)],
    results: Results = Path("results"),
    meter: Annotated[str, typer.Option(help="domain of the imported log; its meter must supply this rail alone")] = "wall",
) -> None:
    """Calibrate an on-board sensor against an imported log.

    Fits gain and offset and stores them for this machine; they are applied only with --calibrated.
    """
    from harness.meters import calibrate as calibration
    from harness.store import find_run, read_run

    found = calibration.calibrate(read_run(find_run(results, run)), domain, meter)
    print(
        f"{domain} of {found.sensor} on {found.host} reads {found.gain:.4f} (+- {found.gain_u:.4f}) x P "
        f"{found.offset_w:+.2f} W (+- {found.offset_u_w:.2f} W), fitted on {found.pairs} phases from {found.low_w:.4g} to {found.high_w:.4g} W"
    )
    print(f"stored in {calibration.save(found)}")
