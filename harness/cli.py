"""The command line: parses, calls, prints; the only printer and the only exit."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.campaign import Campaign
    from harness.schema import Profile, StoredRun, Suite

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Energy-aware benchmarking of machine-learning models.",
)

SuitePath = Annotated[Path, typer.Argument(metavar="SUITE", help="a suite file", show_default=False)]
Results = Annotated[Path, typer.Option(help="the results folder", envvar="HARNESS_RESULTS")]
Device = Annotated[str, typer.Option(help="keep only the cases of this device: cpu, gpu, ...; auto keeps all that this machine has")]
Trust = Annotated[bool, typer.Option("--trust", help="let models run code of their own, and paths leave the suite's folder")]
Calibrated = Annotated[bool, typer.Option("--calibrated", help="correct sensors by what `harness calibrate` kept for this machine")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="a run's name under the results folder, or its path", show_default=False)]

MEASURED = ("counter", "sampled")
PUBLISHED = ("md", "tex")
"""Formats that people put before others; csv and json carry the kind in a column."""
LONGEST_WINDOW_S = 86_400
TOLD = "told"
"""Noted on an interruption that the user has been told of."""
MOST_SENTENCES = 12
"""How many are printed below the table; the page has all."""
PIPE_COLUMNS = 140
"""How wide a table is that goes into a pipe or a file."""
EXIT_CODES = (
    "exit codes: 0 done; 1 a check said no; 2 the input is wrong; 3 some cases failed, the rest are stored; 130 interrupted, resumable"
)


def main() -> None:
    """Run the command line; every error a person can mend is a sentence, `--debug` shows the traceback."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    sys.exit(_guarded(arguments or ["--help"], debug=debug))


def _guarded(arguments: Sequence[str], *, debug: bool) -> int:
    from typer.exceptions import TyperException

    from harness.errors import HarnessError

    try:
        code = app(args=list(arguments), prog_name="harness", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except (KeyboardInterrupt, typer.Abort) as stop:
        return _interrupted(stop.__cause__ or stop)
    except BrokenPipeError:  # the reader of our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except typer.Exit as leave:
        return leave.exit_code
    except TyperException as error:
        _complain(error.format_message().removesuffix("."), "`harness --help`, or `harness COMMAND --help`, says what there is")
        return 2
    except HarnessError as error:
        _complain(error.what, error.hint)
        if debug:
            raise
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        _complain(f"{type(error).__name__}: {error}", "this is a bug of the harness; run it again with --debug and report what it says")
        return 3


@app.callback(invoke_without_command=True, epilog=EXIT_CODES)
def about(version: Annotated[bool, typer.Option("--version", help="print the version and leave")] = False) -> None:
    """Energy-aware benchmarking of machine-learning models."""
    if version:
        from harness import __version__

        print(__version__)
        raise typer.Exit


@app.command(epilog=EXIT_CODES)
def run(
    suite: Annotated[Path | None, typer.Argument(metavar="SUITE", help="a suite file", show_default=False)] = None,
    profile: Annotated[str, typer.Option(help="quick, standard or publish")] = "quick",
    results: Results = Path("results"),
    device: Device = "auto",
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="finish an interrupted run", show_default=False)] = None,
    country: Annotated[
        str | None, typer.Option(help="ISO code of the grid that carbon figures are computed with, such as DEU", show_default=False)
    ] = None,
    trust: Trust = False,
    window: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="length of the measured window, in place of the profile's least", show_default=False),
    ] = None,
    require_measured: Annotated[
        bool, typer.Option("--require-measured", help="exit 3 unless a sensor measured the energy of every case")
    ] = False,
) -> int:
    """Measure every case of a suite, and leave the run and its report in the results folder."""
    from harness import campaign, plugins
    from harness.progress import Progress

    catalogue = plugins.catalogue()
    with Progress() as progress:
        if resume is not None:
            from harness.store import find_run

            again = _load(suite, device, trust=trust) if suite else None
            with campaign.resume(find_run(results, resume), catalogue, progress, again) as running:
                return _finish(running, require_measured=require_measured)
        with campaign.begin(_wish(suite, _profile(profile, window), results, device, country, trust=trust), catalogue, progress) as running:
            return _finish(running, require_measured=require_measured)


@app.command(epilog=EXIT_CODES)
def plan(suite: SuitePath, device: Device = "auto", trust: Trust = False) -> None:
    """List the tasks of a suite, the pairs that cannot be with their reason, and how long each profile takes."""
    from harness import plugins
    from harness.artifacts import Cache
    from harness.plan import BUILD_S, expected_s, needed_builds
    from harness.schema import PROFILES

    resolved, catalogue, cache = _load(suite, device, trust=trust), plugins.catalogue(), Cache()
    cached = {build.build_id for build in resolved.builds if cache.find(build.build_id)}
    builds = needed_builds(resolved, cached)
    missing = [build for build in builds if build.build_id not in cached]
    print(f"{resolved.name}: {len(resolved.cases)} cases, {len(builds)} builds of which {len(builds) - len(missing)} are in the cache")
    for build in builds:
        print(f"  build  {'cached ' if build.build_id in cached else ''}{build.model}: {' > '.join(build.lineage)}")
    for case in resolved.cases:
        print(f"  case   {case.case_id}")
    for pair in resolved.impossible:
        print(f"  never  {pair.case_id}: {pair.reason}")
    for profile in PROFILES.values():
        first_s, cap_s = expected_s(resolved, profile, catalogue)
        builds_s = f", and {_minutes(len(missing) * BUILD_S)} for the builds" if missing else ""
        print(f"{profile.name}: about {_minutes(first_s, cap_s)} minutes{builds_s}")


@app.command()
def schema() -> None:
    """Print the JSON schema of a suite file, for editors."""
    import json

    from harness import plugins
    from harness.suite import json_schema

    print(json.dumps(json_schema(plugins.catalogue()), indent=2))


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
        run = _read(name, results, calibrated=calibrated)
        print(write(run, frame.tables([run])))


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

    tables = frame.tables([_read(run, results, calibrated=calibrated)])
    if table not in tables:
        raise HarnessError(f"there is no table {table!r}{nearest(table, tables)}")
    if format in PUBLISHED and not allow_simulated and "simulated" in set(tables["cases"]["energy_kind"]):
        raise HarnessError(
            "this run was measured on a simulator: its energies are no measurement", "export csv or json, or say --allow-simulated"
        )
    sys.stdout.write(exported(tables[table], format=format))


@app.command(epilog=EXIT_CODES)
def doctor(
    json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    window: Annotated[float, typer.Option(metavar="SECONDS", help="of which window the expected error is told")] = 1.5,
) -> int:
    """Say what can be measured on this machine, how well, and what would mend the rest."""
    from harness import plugins
    from harness.doctor import examine, to_json, to_text

    examination = examine(plugins.catalogue(), window_s=_checked_window(window))
    print(to_json(examination) if json else to_text(examination))
    return 0


@app.command(name="import-meter", epilog=EXIT_CODES)
def import_meter(
    run: RunName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the meter's log; of MLPerf its spl.txt", show_default=False)],
    results: Results = Path("results"),
    format: Annotated[str, typer.Option(help="auto, csv, mlperf or nvidia-smi")] = "auto",
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="of local times, such as Europe/Berlin", show_default=False)] = None,
    utc_offset: Annotated[float | None, typer.Option(metavar="SECONDS", help="of local times: local less UTC", show_default=False)] = None,
    clock_offset: Annotated[float, typer.Option(metavar="SECONDS", help="how far the meter's clock is ahead")] = 0.0,
    find_pulse: Annotated[bool, typer.Option("--find-pulse", help="find that from the run's own load")] = False,
    channel: Annotated[str | None, typer.Option(help="which column, card or channel of the log", show_default=False)] = None,
    name: Annotated[str, typer.Option(help="of the new domain: wall, system, ...")] = "wall",
    rule: Annotated[str, typer.Option(help="trapezoid; rectangle where a row is the mean since the row before")] = "trapezoid",
) -> None:
    """Lay a meter's log beside a run: its energy over each phase, as a domain of its own."""
    from harness.errors import MeterError
    from harness.metering import covered, import_log
    from harness.meters import read_log
    from harness.store import find_run, read_run, write_meter

    if find_pulse and clock_offset:
        raise MeterError("a clock offset was given, and is to be found too", "give --clock-offset or --find-pulse")
    stored = read_run(find_run(results, run))
    log = read_log(file, format, timezone=timezone, utc_offset_s=utc_offset, channel=channel)
    meter = import_log(stored, log, name=name, rule=rule, clock_offset_s=clock_offset, by_pulse=find_pulse)
    path = write_meter(Path(stored.folder), meter, log.sample)
    for sentence in meter.told:
        print(sentence, file=sys.stderr)
    whole, count = covered(meter.readings)
    print(f"{path}: domain {name}, {whole} of {count} repetitions covered")


@app.command(epilog=EXIT_CODES)
def calibrate(
    run: RunName,
    domain: Annotated[str, typer.Argument(help="whose sensor is calibrated, such as gpu:0", show_default=False)],
    results: Results = Path("results"),
    meter: Annotated[str, typer.Option(help="the imported log, of a meter that feeds this rail alone")] = "wall",
) -> None:
    """Fit an on-board sensor's gain and offset against a meter's log, and keep them for this machine; used only where --calibrated is given."""
    from harness import calibrate as calibration
    from harness.store import find_run, read_run

    found = calibration.calibrate(read_run(find_run(results, run)), domain, meter)
    print(
        f"{domain} of {found.sensor} on {found.host} reads {found.gain:.4f} (+- {found.gain_u:.4f}) x P "
        f"{found.offset_w:+.2f} W (+- {found.offset_u_w:.2f} W), fitted on {found.pairs} phases from {found.low_w:.4g} to {found.high_w:.4g} W"
    )
    print(f"kept in {calibration.keep(found)}")


@app.command(epilog=EXIT_CODES)
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="remove every artifact that no run uses")] = False,
    trim: Annotated[bool, typer.Option("--trim", help="remove the least recently used until the limit holds")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="clear without asking")] = False,
) -> None:
    """Show what was built and kept, and remove it; $HARNESS_CACHE says where it lies, $HARNESS_CACHE_LIMIT_BYTES how large it may be."""
    from harness.artifacts import Cache
    from harness.errors import HarnessError
    from harness.report.cache import cached, size

    kept = Cache()
    if clear or trim:
        if clear and not yes:
            if not sys.stdin.isatty():
                raise HarnessError("nobody can be asked whether to clear the cache", "say --clear --yes")
            typer.confirm(f"remove everything from {kept.folder} that no run uses?", abort=True, err=True)
        print(f"freed {size(kept.clear() if clear else kept.trim())}")
    entries = kept.entries()
    if entries and not (clear or trim):
        from rich.console import Console

        Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(cached(entries))
    used = sum(entry.in_use for entry in entries)
    print(f"{kept.folder}: {len(entries)} artifacts, {size(sum(e.bytes for e in entries))} of at most {size(kept.limit_bytes)}", end="")
    print(f", {used} in use" if used else "")


# --- what the commands share ---


def _profile(name: str, window_s: float | None) -> Profile:
    """A profile by its name, with another window where one is asked for."""
    from harness.errors import SuiteError
    from harness.schema import PROFILES
    from harness.suite.document import nearest

    if name not in PROFILES:
        raise SuiteError(f"no profile is named {name!r}{nearest(name, PROFILES)}")
    return PROFILES[name] if window_s is None else PROFILES[name].model_copy(update={"window_s": _checked_window(window_s)})


def _checked_window(window_s: float) -> float:
    """A length that can be measured.

    Raises:
        SuiteError: It is none.
    """
    from harness.errors import SuiteError

    if not 0 < window_s <= LONGEST_WINDOW_S:
        raise SuiteError(f"a window of {window_s:g} s cannot be measured", f"give seconds, above 0 and up to {LONGEST_WINDOW_S:.0f}")
    return window_s


def _wish(suite: Path | None, profile: Profile, results: Path, device: str, country: str | None, *, trust: bool) -> Any:
    from harness.campaign import Wish
    from harness.errors import SuiteError

    if suite is None:
        raise SuiteError("no suite was named", "harness run SUITE, or harness run --resume RUN")
    grid = None
    if country:
        from harness.sensors.codecarbon import grid as grid_of

        grid = grid_of(country)
    return Wish(_load(suite, device, trust=trust), suite.read_text(encoding="utf-8"), profile, results, grid)


def _load(suite: Path, device: str, *, trust: bool) -> Suite:
    from harness import plugins
    from harness.errors import SuiteError
    from harness.sensors.probe import devices_present
    from harness.suite import load_suite
    from harness.suite.document import nearest

    catalogue = plugins.catalogue()
    known = ["auto", *sorted({d for spec in catalogue.engines.values() for d in spec.devices})]
    if device not in known:
        raise SuiteError(f"no device is named {device!r}{nearest(device, known)}")
    return load_suite(suite, catalogue, devices_present(catalogue), device=device, trusted=trust)


def _read(name: str, results: Path, *, calibrated: bool = False) -> StoredRun:
    """A stored run with its meters; with its sensors corrected where that is asked for."""
    from harness.store import find_run, read_run, with_answers, with_meters

    run = with_answers(with_meters(read_run(find_run(results, name))))
    for problem in run.problems:
        print(f"warning: {problem}", file=sys.stderr)
    if calibrated:
        from harness.calibrate import apply, kept

        run = apply(run, kept())
    return run


def _finish(running: Campaign, *, require_measured: bool) -> int:
    """Run the campaign to its end and show what came out."""
    from rich.console import Console

    from harness import frame
    from harness.report import rows_of, sentences, terminal, write
    from harness.store import read_run, with_answers, with_meters

    folder = running.store.folder
    try:
        running.run()
    except KeyboardInterrupt as stop:
        print(f"interrupted: every finished repetition is stored; go on with `harness run --resume {folder}`", file=sys.stderr)
        stop.add_note(TOLD)
        raise
    running.observer.done()
    stored = with_answers(with_meters(read_run(folder)))
    tables = frame.tables([stored])
    target = write(stored, tables)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    console.print(terminal(tables["cases"], console.width))
    for line in (*_brief(sentences(rows_of(tables["cases"]))), *_remarks(stored, tables["cases"])):
        print(line)
    print(_widths(stored, tables["cases"], running.catalogue))
    print(f"report: {target / 'index.html'}")
    unmeasured = [
        case for case, kind in zip(tables["cases"]["case_id"], tables["cases"]["energy_kind"], strict=True) if kind not in MEASURED
    ]
    if require_measured and unmeasured:
        _complain(
            f"no sensor measured the energy of {len(unmeasured)} cases, {unmeasured[0]} among them",
            "`harness doctor` says what would mend it",
        )
        return 3
    return 3 if any(r.status != "ok" for r in _newest(stored)) else 0


def _brief(said: Sequence[str]) -> list[str]:
    """The first sentences, and where the rest is."""
    rest = len(said) - MOST_SENTENCES
    return [*said[:MOST_SENTENCES], *([f"... and {rest} more such sentences on the page"] if rest > 0 else [])]


def _remarks(run: StoredRun, cases: Any) -> list[str]:
    """Each code with how many cases it concerns, its newest sentence and the remedy."""
    from harness.analysis.uncertainty import EDGES_DOMINATE

    found = {(finding.code, record.case_id): finding for record in run.records for finding in record.warnings}
    warned = cases["warnings"].fillna("").str.split(";")
    found |= {
        (EDGES_DOMINATE.code, name): EDGES_DOMINATE
        for name, codes in zip(cases["case_id"], warned, strict=True)
        if EDGES_DOMINATE.code in codes
    }
    newest = {code: finding for (code, _), finding in found.items()}
    return [
        f"! {code}, {sum(c == code for c, _ in found)} of {len(run.header.suite.cases)} cases: {finding.sentence}; {finding.remedy}"
        for code, finding in newest.items()
    ]


def _widths(run: StoredRun, cases: Any, catalogue: Any) -> str:
    """How wide the intervals are, and what the next profile costs."""
    from harness.plan import expected_s
    from harness.schema import PROFILES

    header = run.header
    half = ((cases["energy_high_j"] - cases["energy_low_j"]) / 2 / cases["energy_j"]).dropna()
    if half.empty:
        said = "no case has an interval on its energy"
    else:
        said = f"95 % intervals on energy: half-width {half.median():.1%} in the median, {half.max():.1%} at worst, over {header.profile.first} launches or more"
    names = list(PROFILES)
    later = names[names.index(header.profile.name) + 1 :]
    if not later:
        return said
    first_s, cap_s = expected_s(header.suite, PROFILES[later[0]], catalogue)
    return f"{said}; narrower: PROFILE={later[0]}, about {_minutes(first_s, cap_s)} minutes"


def _newest(run: StoredRun) -> list[Any]:
    """The last attempt of each task."""
    return list({(r.case_id, r.build_id if not r.case_id else None, r.repetition): r for r in run.records}.values())


def _minutes(*seconds: float) -> str:
    """A span in whole minutes, rounded up."""
    return " to ".join(dict.fromkeys(str(-int(-s // 60)) for s in seconds))


def _complain(what: str, hint: str = "") -> None:
    print(f"error: {what}" + (f"\n  {hint}" if hint else ""), file=sys.stderr)


def _interrupted(stop: BaseException) -> int:
    """The exit code of a command that was interrupted, told once; the command line's library takes an end of file for an interruption."""
    if isinstance(stop, EOFError):
        _complain("a process or a file ended early", "this is a bug of the harness; run it again with --debug and report what it says")
        return 3
    if TOLD not in getattr(stop, "__notes__", ()):
        print("interrupted: what is stored is intact; a run that had begun goes on with `harness run --resume RUN`", file=sys.stderr)
    return 130


def _interrupt(number: int, frame: object) -> None:
    """Once is enough: a second Ctrl-C while we put things away is ignored."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt
