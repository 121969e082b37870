"""`harness run`, `harness plan`, `harness schema`: the commands that take a suite."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import EXIT_CODES, REPORTED, Results, app, check_names, checked_window, optional, read_stored, write_report
from harness.cli.console import print_error, print_line, warn

if TYPE_CHECKING:
    from collections.abc import Collection

    from harness.run.campaign import Campaign
    from harness.run.start import RunRequest
    from harness.schema import Profile, Suite

Device = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="run only the cases of this device, such as cpu, gpu or gpu:UUID (one card); auto: all available devices"
    ),
]
Trust = Annotated[bool, typer.Option("--trust", help="allow models to run their own code and paths outside the suite's folder")]
SUITE = typer.Argument(metavar="SUITE", help="suite file (YAML)", show_default=False)
PROFILE = "repetitions and window length: quick, standard or publish"
RESUME = "complete an interrupted run: its name or its folder"
COUNTRY = "ISO 3166 code of the electricity grid for carbon figures, such as DEU"
WINDOW = "minimum length of the measured window; default: that of the profile"
ENVIRONMENTS = "print only the names of the separate virtual environments that the suite needs"
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
            given = _load(suite, device, trust=trust)[0] if suite else None
            started = start.resume(find_run(results, resume), catalogue, progress, given)
        else:
            started = start.begin(_request(suite, _profile(profile, window), results, device, country, trust=trust), catalogue, progress)
        with started as running:
            return _finish(running, require_measured=require_measured)


@app.command(epilog=EXIT_CODES)
def plan(
    suite: Annotated[Path, SUITE],
    device: Device = "auto",
    trust: Trust = False,
    environments: Annotated[bool, typer.Option("--environments", help=ENVIRONMENTS)] = False,
) -> None:
    """List the tasks of a suite and the expected duration.

    Also lists unsupported combinations with the reason, and the duration for each profile.
    """
    from harness import plugins
    from harness.artifacts import Cache
    from harness.cli.planning import lacking, plan_lines
    from harness.run.prepared import with_prepared
    from harness.sensors.probe import cards_present
    from harness.suite.environments import needs

    catalogue, cache = plugins.catalogue(), Cache()
    resolved, present = _load(suite, device, trust=trust)
    needed = needs(resolved, catalogue)
    if environments:
        for need in needed:
            if not need.environment.given:  # the user's own is the user's to set up
                print(need.environment.name)
        return
    resolved = with_prepared(resolved, catalogue, cards_present(catalogue) if len(present) > 1 else ())
    cached = {build.build_id for build in resolved.builds if cache.find(build.build_id)}
    for line in plan_lines(resolved, catalogue, cached, needed):
        print_line(line)
    for _, what, hint in lacking(resolved, present, needed):
        warn(f"{what}: {hint}")


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
    resolved = _runnable(*_load(suite, device, trust=trust))
    source = userfiles.read_text(suite, "suite", limit_bytes=userfiles.DOCUMENT_BYTES, error=SuiteError)
    return RunRequest(resolved, source, profile, results, carbon)


def _load(suite: Path, device: str, *, trust: bool) -> tuple[Suite, set[str]]:
    """The suite of a file, resolved for the devices of this machine; and those devices, with the one that the user names."""
    from harness import plugins
    from harness.run import preconditions
    from harness.sensors.nvml_driver import gpu_left_out
    from harness.sensors.probe import cards_present, devices_present
    from harness.suite import load_suite
    from harness.suite.environments import needs
    from harness.suite.gpu_cards import names_card

    catalogue = plugins.catalogue()
    if not names_card(device):
        check_names([device], {"auto"}.union(*(spec.devices for spec in catalogue.engines.values())), "device", "--device")
    present = devices_present(catalogue)
    if device == "auto" and (reason := gpu_left_out(present)):
        warn(reason)
    resolved = load_suite(suite, catalogue, present, device=device, trusted=trust)
    missing = {case_id for need in needs(resolved, catalogue) if not need.environment.installed for case_id in need.case_ids}
    able = resolved.model_copy(update={"cases": tuple(case for case in resolved.cases if case.case_id not in missing)})
    for problem in preconditions.problems(able, cards_present(catalogue) if len(present) > 1 else ()):
        warn(f"{problem.what}; {problem.hint}")
    named = "gpu" if names_card(device) else device
    return resolved, {*present, named} - {"auto"}


def _runnable(suite: Suite, present: Collection[str]) -> Suite:
    """The suite, with a warning for each thing that some of its cases lack here.

    Raises:
        SuiteError: All of its cases lack something.
    """
    from harness import plugins
    from harness.cli.planning import lacking
    from harness.errors import SuiteError
    from harness.suite.environments import needs
    from harness.text import counted

    if not suite.cases:
        first = suite.impossible[0]
        raise SuiteError(
            f"no case of this suite can run ({counted(len(suite.impossible), 'unsupported case')}), such as {first.case_id}: {first.reason}",
            "`harness plan SUITE` lists the reason of each",
        )
    for count, what, hint in lacking(suite, present, needs(suite, plugins.catalogue())):
        if count == len(suite.cases):
            raise SuiteError(what, hint)
        warn(f"{what}: {hint}")
    return suite


def _finish(running: Campaign, *, require_measured: bool) -> int:
    """Run the campaign to its end, write the report and print the results."""
    from harness import frame
    from harness.cli.summary import failed, print_summary, unmeasured
    from harness.decide.acceptance import check_acceptance
    from harness.report.acceptance import acceptance_lines

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
    rules = check_acceptance(stored)
    for line in acceptance_lines(stored, rules):
        print_line(line)
    print(f"report: {target / 'index.html'}")
    if require_measured and (names := unmeasured(tables["cases"])):
        print_error(
            f"the energy of {len(names)} cases was not measured by a sensor, such as {names[0]} (--require-measured)",
            "run `harness doctor` to see which sensors are missing and how to fix them",
        )
        return 3
    return 3 if failed(stored) else int(any(check.outcome == "failed" for check in rules))
