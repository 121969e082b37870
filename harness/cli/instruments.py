"""`harness doctor`, `harness import-meter`, `harness calibrate`: sensors and external power meters."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import EXIT_CODES, Results, RunName, app, checked_window, optional, read_stored, update_manifest, write_report
from harness.cli.console import warn

if TYPE_CHECKING:
    from harness.schema import Meter, Sample, StoredRun

METER_CODES = ("meter_slow", "meter_discarded", "meter_clock")
"""Findings of an imported log that are printed as warnings."""

LogFile = Annotated[Path, typer.Argument(metavar="FILE", help="log file of the meter; for MLPerf its spl.txt", show_default=False)]
PROBE = "load each GPU for about 3 minutes, and store what its readings show of that for later runs"
RULE = "integration rule: trapezoid, or rectangle if each row is the mean since the previous row"
START = "start of the log: time of its second 0, or its date"
TIME_UNIT = "unit of times since the start: s, ms, us, ns, min or h"


@app.command(epilog=EXIT_CODES)
def doctor(
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    probe: Annotated[bool, typer.Option("--probe", help=PROBE)] = False,
    window: Annotated[float, typer.Option(metavar="SECONDS", help="window length for which the expected error is computed")] = 1.5,
) -> int:
    """Check which sensors work here and how to fix the others.

    Prints what can be measured on this machine, with the expected error. With --probe it loads each GPU that CUDA programs see with
    matrix products of an installed engine, about 3 minutes a card, and stores update periods, call times, and whether the energy counter
    covers all of a periodic load; later runs use them. No setting of a card is changed.
    """
    from harness import plugins
    from harness.run import preconditions
    from harness.sensors.doctor import examine, to_json, to_text
    from harness.sensors.probe import cards_present

    if probe:
        return _probe_cards(as_json=json)
    examination = examine(plugins.catalogue(), window_s=checked_window(window))
    print(to_json(examination) if json else to_text(examination))
    for problem in preconditions.of_cards(plugins.catalogue(), cards_present(plugins.catalogue())):
        warn(f"{problem.what}; {problem.hint}")
    return 0


def _probe_cards(*, as_json: bool) -> int:
    """Probe every card that CUDA programs see, store and print the results."""
    import json

    from harness import plugins
    from harness.report.card_probe import probe_lines
    from harness.run.card_probing import probe_cards
    from harness.sensors.card_probe import save

    probes = []
    for probe in probe_cards(plugins.catalogue(), lambda line: print(line, file=sys.stderr)):
        path = save(probe)
        kept = "not stored: the older probe of this card and driver was made under load, and is kept"
        print(f"stored in {path}" if path else kept, file=sys.stderr)
        probes.append(probe)
        if not as_json:
            print("\n".join(probe_lines(probe)))
    if as_json:
        print(json.dumps({"cards": [probe.model_dump() for probe in probes]}, indent=2))
    return 0


@app.command(name="import-meter", epilog=EXIT_CODES)
def import_meter(
    run: RunName,
    file: LogFile,
    results: Results = Path("results"),
    format: Annotated[str, typer.Option(metavar="NAME", help="format of the log (docs/meters.md), or auto")] = "auto",
    timezone: Annotated[str | None, optional("time zone of local times, such as Europe/Berlin", "ZONE")] = None,
    utc_offset: Annotated[float | None, optional("offset of local times: local minus UTC", "SECONDS")] = None,
    clock_offset: Annotated[float, typer.Option(metavar="SECONDS", help="seconds by which the clock of the meter is ahead")] = 0.0,
    find_pulse: Annotated[bool, typer.Option("--find-pulse", help="find the clock offset from the load of the run")] = False,
    start: Annotated[str | None, optional(START, "TIME")] = None,
    channel: Annotated[str | None, optional("column, card or channel of the log, or sum", "NAME")] = None,
    time_column: Annotated[str | None, optional("name or number of the time column", "COLUMN")] = None,
    time_unit: Annotated[str | None, optional(TIME_UNIT, "UNIT")] = None,
    date_order: Annotated[str | None, optional("order of dates: dmy, mdy or ymd", "ORDER")] = None,
    power_column: Annotated[str | None, optional("name or number of the power column", "COLUMN")] = None,
    unit: Annotated[str | None, optional("unit of a power column without one: W, mW or kW", "UNIT")] = None,
    decimal: Annotated[str | None, optional("decimal mark of numbers: . or ,", "MARK")] = None,
    device_column: Annotated[str | None, optional("name or number of the column that identifies the device", "COLUMN")] = None,
    one_device: Annotated[bool, typer.Option("--one-device", help="treat rows with the same time stamp as one device")] = False,
    name: Annotated[str, typer.Option(metavar="DOMAIN", help="name of the new domain, such as wall or system")] = "wall",
    rule: Annotated[str, typer.Option(metavar="NAME", help=RULE)] = "trapezoid",
) -> None:
    """Import an external power-meter log as a domain of a run.

    Stores the energy that the meter measured in each phase of the run and updates the report.
    """
    from harness.errors import MeterError
    from harness.meters import read_log
    from harness.meters.clock import on_unix_time
    from harness.meters.importing import import_log
    from harness.store import find_run, read_run

    if find_pulse and clock_offset:
        raise MeterError("--clock-offset and --find-pulse cannot be combined", "use one of them")
    stored = read_run(find_run(results, run))
    choices = {
        "timezone": timezone, "utc_offset_s": utc_offset, "channel": channel, "time_column": time_column, "time_unit": time_unit,
        "date_order": date_order, "power_column": power_column, "unit": unit, "decimal": decimal, "device_column": device_column,
        "one_device": one_device, "start": start,
    }  # fmt: skip
    log = read_log(file, format, command=_command_line(run, file), **choices)
    log = log if find_pulse else on_unix_time(stored, log, rule)
    meter = import_log(stored, log, name=name, rule=rule, clock_offset_s=clock_offset, by_pulse=find_pulse)
    _store_meter(stored, meter, log.sample)


@app.command(epilog=EXIT_CODES)
def calibrate(
    run: RunName,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="domain of the sensor, such as gpu:0", show_default=False)],
    results: Results = Path("results"),
    meter: Annotated[
        str, typer.Option(metavar="DOMAIN", help="domain of the imported log; its meter must supply this rail alone")
    ] = "wall",
) -> None:
    """Calibrate an on-board sensor against an imported log.

    Fits gain and offset and stores them for this machine; they are applied only with --calibrated.
    """
    from harness.meters import calibrate as calibrating
    from harness.store import find_run, read_run

    fit = calibrating.calibrate(read_run(find_run(results, run)), domain, meter)
    print(
        f"{domain} of {fit.sensor} on {fit.host} reads {fit.gain:.4f} (+- {fit.gain_u:.4f}) x P "
        f"{fit.offset_w:+.2f} W (+- {fit.offset_u_w:.2f} W), fitted on {fit.pairs} phases from {fit.low_w:.4g} to {fit.high_w:.4g} W"
    )
    print(f"stored in {calibrating.save(fit)}")


def _command_line(run: str, file: Path) -> str:
    """The command as it was typed, for messages that add an option to it."""
    import shlex

    at = next((i for i, each in enumerate(sys.argv) if each == "import-meter"), None)
    return shlex.join(["harness", *sys.argv[at:]] if at is not None else ["harness", "import-meter", run, str(file)])


def _store_meter(run: StoredRun, meter: Meter, sample: Sample) -> None:
    """Store an imported log with its run, redraw the report, and print what was imported."""
    from harness.meters.importing import covered
    from harness.store import write_meter

    folder = Path(run.folder)
    path = write_meter(folder, meter, sample)
    update_manifest(folder, f"meters/{path.stem}.json", f"meters/{path.stem}.parquet")
    _redraw(folder)
    findings = {f.code: f for reading in meter.readings for f in reading.findings if f.code in METER_CODES}
    warned = {finding.sentence for finding in findings.values()}
    for sentence in meter.notes:
        if sentence not in warned:
            print(sentence, file=sys.stderr)
    for finding in findings.values():
        warn(f"{finding.sentence}; {finding.remedy}")
    complete, total = covered(meter.readings)
    count = sum(meter.discarded.values())
    discarded = f", {count} rows or values discarded, {meter.discarded_in_run} of them inside the run" if count else ""
    print(f"{path}: domain {meter.domain.name}, {complete} of {total} repetitions covered{discarded}")


def _redraw(folder: Path) -> None:
    """Redraw the report, if there is one, with the imported meter."""
    from harness import frame
    from harness.report.stored import TABLE, drawn_objectives

    if (folder / TABLE).is_file():
        run, objectives = read_stored(str(folder), folder.parent), drawn_objectives(folder)
        write_report(run, frame.tables([run], objectives), objectives)
