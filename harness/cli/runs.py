"""`harness run`, `harness plan`, `harness schema`: the commands that take a suite."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import EXIT_CODES, REPORTED, Results, app, check_names, checked_window, optional, read_stored, write_report
from harness.cli.console import print_error, print_line, warn

if TYPE_CHECKING:
    from harness.run.campaign import Campaign
    from harness.run.start import RunRequest
    from harness.schema import Profile, Suite

Device = Annotated[
    str, typer.Option(metavar="NAME", help="run only the cases of this device, such as cpu or gpu; auto: all available devices")
]
Trust = Annotated[bool, typer.Option("--trust", help="allow models to run their own code and paths outside the suite's folder")]
SUITE = typer.Argument(metavar="SUITE", help="suite file (YAML)", show_default=False)
PROFILE = "repetitions and window length: quick, standard or publish"
RESUME = "complete an interrupted run: its name or its folder"
COUNTRY = "ISO 3166 code of the electricity grid for carbon figures, such as DEU"
WINDOW = "minimum length of the measured window; default: that of the profile"
MEASURED = "exit with 3 unless the energy of every case was measured by a sensor"


@app.command(epilog=EXIT_CODES)
def run(
    suite: Annotated[Path | None, SUITE] = None,
    profile: Annotated[str, typer.Option(metavar="NAME", help=PROFILE)] = "quick",
    results: Results = Path("results"),
    device: Device = "auto",
    resume: Annotated[str | None, optional(RESUME, "RUN")] = None,
    country: Annotated[str | None, optional(COUNTRY, "CODE")] = None,
    trust: Trust = False,
    window: Annotated[float | None, optional(WINDOW, "SECONDS")] = None,
    require_measured: Annotated[bool, typer.Option("--require-measured", help=MEASURED)] = False,
) -> int:
    """Measure every case of a suite and write a report.

    The run and its report are stored in the results folder.
    """
    from harness import plugins
    from harness.run import start
    from harness.run.progress import Progress
    from harness.store import find_run

    catalogue = plugins.catalogue()
    with Progress() as progress:
        if resume is not None:
            given = _load(suite, device, trust=trust) if suite else None
            started = start.resume(find_run(results, resume), catalogue, progress, given)
        else:
            started = start.begin(_request(suite, _profile(profile, window), results, device, country, trust=trust), catalogue, progress)
        with started as running:
            return _finish(running, require_measured=require_measured)


@app.command(epilog=EXIT_CODES)
def plan(suite: Annotated[Path, SUITE], device: Device = "auto", trust: Trust = False) -> None:
    """List the tasks of a suite and the expected duration.

    Also lists unsupported combinations with the reason, and the duration for each profile.
    """
    from harness import plugins
    from harness.artifacts import Cache
    from harness.cli.summary import minutes
    from harness.run.plan import BUILD_S, expected_s, needed_builds
    from harness.schema import PROFILES
    from harness.suite.options import applied_text

    resolved, catalogue, cache = _load(suite, device, trust=trust), plugins.catalogue(), Cache()
    cached = {build.build_id for build in resolved.builds if cache.find(build.build_id)}
    builds = needed_builds(resolved, cached)
    missing = sum(build.build_id not in cached for build in builds)
    print_line(f"{resolved.name}: {len(resolved.cases)} cases, {len(builds)} builds of which {len(builds) - missing} are in the cache")
    for build in builds:
        print_line(f"  build  {'cached ' if build.build_id in cached else ''}{build.model}: {' > '.join(build.lineage)}")
    for case in resolved.cases:
        applied = applied_text(case, catalogue)
        print_line(f"  case   {case.case_id}{f' ({case.engine} applies {applied})' if applied else ''}")
    for pair in resolved.impossible:
        print_line(f"  unsupported  {pair.case_id}: {pair.reason}")
    for profile in PROFILES.values():
        builds_text = f", and {minutes(missing * BUILD_S)} for the builds" if missing else ""
        print_line(f"{profile.name}: about {minutes(*expected_s(resolved, profile, catalogue))} minutes{builds_text}")


@app.command()
def schema() -> None:
    """Print the JSON schema of suite files, for editors."""
    import json

    from harness import plugins
    from harness.suite import json_schema

    print(json.dumps(json_schema(plugins.catalogue()), indent=2))


def _profile(name: str, window_s: float | None) -> Profile:
    """A profile by its name, with the requested window length, if any."""
    from harness.schema import PROFILES

    check_names([name], PROFILES, "profile", "--profile")
    return PROFILES[name] if window_s is None else PROFILES[name].model_copy(update={"window_s": checked_window(window_s)})


def _request(suite: Path | None, profile: Profile, results: Path, device: str, country: str | None, *, trust: bool) -> RunRequest:
    """The request for a new run, from the options of `harness run`."""
    from harness import userfiles
    from harness.errors import SuiteError
    from harness.run.start import RunRequest
    from harness.sensors.codecarbon import grid

    if suite is None:
        raise SuiteError("no suite given", "run `harness run SUITE` or `harness run --resume RUN`")
    carbon = grid(country) if country else None
    resolved = _load(suite, device, trust=trust)
    source = userfiles.read_text(suite, "suite", limit_bytes=userfiles.DOCUMENT_BYTES, error=SuiteError)
    return RunRequest(resolved, source, profile, results, carbon)


def _load(suite: Path, device: str, *, trust: bool) -> Suite:
    """The suite of a file, resolved for the devices of this machine."""
    from harness import plugins
    from harness.sensors.probe import devices_present, gpu_left_out
    from harness.suite import load_suite

    catalogue = plugins.catalogue()
    check_names([device], {"auto"}.union(*(spec.devices for spec in catalogue.engines.values())), "device", "--device")
    present = devices_present(catalogue)
    if device == "auto" and (reason := gpu_left_out(present)):
        warn(reason)
    return load_suite(suite, catalogue, present, device=device, trusted=trust)


def _finish(running: Campaign, *, require_measured: bool) -> int:
    """Run the campaign to its end, write the report and print the results."""
    from harness import frame
    from harness.cli.summary import failed, print_summary, unmeasured

    folder = running.store.folder
    try:
        running.run()
    except KeyboardInterrupt as stop:
        print(f"interrupted: every completed repetition is stored; continue with `harness run --resume {folder}`", file=sys.stderr)
        stop.add_note(REPORTED)
        raise
    running.observer.done()
    stored = read_stored(str(folder), folder.parent)
    tables = frame.tables([stored])
    target = write_report(stored, tables, ended=True)
    print_summary(stored, tables["cases"], running.catalogue)
    print(f"report: {target / 'index.html'}")
    if require_measured and (names := unmeasured(tables["cases"])):
        print_error(
            f"the energy of {len(names)} cases was not measured by a sensor, such as {names[0]} (--require-measured)",
            "run `harness doctor` to see which sensors are missing and how to fix them",
        )
        return 3
    return 3 if failed(stored) else 0
