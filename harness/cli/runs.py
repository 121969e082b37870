"""`harness run`, `harness plan`, `harness schema`: a suite in, a run out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.app import EXIT_CODES, REPORTED, Results, app, checked_window, complain, keep_report, print_table, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.campaign import Campaign
    from harness.schema import Profile, StoredRun, Suite

SuitePath = Annotated[Path, typer.Argument(metavar="SUITE", help="a suite file", show_default=False)]
Device = Annotated[str, typer.Option(help="run only the cases of this device, such as cpu or gpu; auto: all available devices")]
Trust = Annotated[bool, typer.Option("--trust", help="allow models to run their own code and paths outside the suite's folder")]

MOST_SENTENCES = 12
"""Sentences printed below the table; the page has all of them."""


@app.command(epilog=EXIT_CODES)
def run(
    suite: Annotated[Path | None, typer.Argument(metavar="SUITE", help="a suite file", show_default=False)] = None,
    profile: Annotated[str, typer.Option(help="quick, standard or publish")] = "quick",
    results: Results = Path("results"),
    device: Device = "auto",
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="complete an interrupted run", show_default=False)] = None,
    country: Annotated[
        str | None, typer.Option(help="ISO code of the electricity grid for carbon figures, such as DEU", show_default=False)
    ] = None,
    trust: Trust = False,
    window: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="minimum length of the measured window; default: that of the profile", show_default=False),
    ] = None,
    require_measured: Annotated[
        bool, typer.Option("--require-measured", help="exit with 3 unless the energy of every case was measured by a sensor")
    ] = False,
) -> int:
    """Measure every case of a suite and write a report.

    The run and its report are stored in the results folder.
    """
    from harness import plugins
    from harness.run import start
    from harness.run.progress import Progress

    catalogue = plugins.catalogue()
    with Progress() as progress:
        if resume is not None:
            from harness.store import find_run

            again = _load(suite, device, trust=trust) if suite else None
            with start.resume(find_run(results, resume), catalogue, progress, again) as running:
                return _finish(running, require_measured=require_measured)
        with start.begin(_wish(suite, _profile(profile, window), results, device, country, trust=trust), catalogue, progress) as running:
            return _finish(running, require_measured=require_measured)


@app.command(epilog=EXIT_CODES)
def plan(suite: SuitePath, device: Device = "auto", trust: Trust = False) -> None:
    """List the tasks of a suite and the expected duration.

    Unsupported combinations are listed with the reason; the duration is estimated for each profile.
    """
    from harness import plugins
    from harness.artifacts import Cache
    from harness.run.plan import BUILD_S, expected_s, needed_builds
    from harness.schema import PROFILES

    resolved, catalogue, cache = _load(suite, device, trust=trust), plugins.catalogue(), Cache()
    cached = {build.build_id for build in resolved.builds if cache.find(build.build_id)}
    builds = needed_builds(resolved, cached)
    missing = [build for build in builds if build.build_id not in cached]
    tell(f"{resolved.name}: {len(resolved.cases)} cases, {len(builds)} builds of which {len(builds) - len(missing)} are in the cache")
    for build in builds:
        tell(f"  build  {'cached ' if build.build_id in cached else ''}{build.model}: {' > '.join(build.lineage)}")
    for case in resolved.cases:
        tell(f"  case   {case.case_id}")
    for pair in resolved.impossible:
        tell(f"  unsupported  {pair.case_id}: {pair.reason}")
    for profile in PROFILES.values():
        first_s, cap_s = expected_s(resolved, profile, catalogue)
        builds_s = f", and {_minutes(len(missing) * BUILD_S)} for the builds" if missing else ""
        tell(f"{profile.name}: about {_minutes(first_s, cap_s)} minutes{builds_s}")


@app.command()
def schema() -> None:
    """Print the JSON schema of suite files, for editors."""
    import json

    from harness import plugins
    from harness.suite import json_schema

    print(json.dumps(json_schema(plugins.catalogue()), indent=2))


def _profile(name: str, window_s: float | None) -> Profile:
    """A profile by its name, with the requested window length, if any."""
    from harness.errors import SuiteError
    from harness.schema import PROFILES
    from harness.suite.document import nearest

    if name not in PROFILES:
        raise SuiteError(f"unknown profile {name!r}{nearest(name, PROFILES)}")
    return PROFILES[name] if window_s is None else PROFILES[name].model_copy(update={"window_s": checked_window(window_s)})


def _wish(suite: Path | None, profile: Profile, results: Path, device: str, country: str | None, *, trust: bool) -> Any:
    from harness import userfiles
    from harness.errors import SuiteError
    from harness.run.start import RunRequest

    if suite is None:
        raise SuiteError("no suite given", "run `harness run SUITE` or `harness run --resume RUN`")
    if suite.is_fifo():
        raise SuiteError(
            f"{suite} is a pipe", "save the suite to a file: the run stores its text, and paths in it are relative to the file"
        )
    grid = None
    if country:
        from harness.sensors.codecarbon import grid as grid_of

        grid = grid_of(country)
    resolved = _load(suite, device, trust=trust)
    source = userfiles.read_text(suite, "suite", limit_bytes=userfiles.DOCUMENT_BYTES, error=SuiteError)
    return RunRequest(resolved, source, profile, results, grid)


def _load(suite: Path, device: str, *, trust: bool) -> Suite:
    from harness import plugins
    from harness.errors import SuiteError
    from harness.sensors.probe import devices_present, gpu_left_out
    from harness.suite import load_suite
    from harness.suite.document import nearest

    catalogue = plugins.catalogue()
    known = ["auto", *sorted({d for spec in catalogue.engines.values() for d in spec.devices})]
    if device not in known:
        raise SuiteError(f"unknown device {device!r}{nearest(device, known)}")
    present = devices_present(catalogue)
    if device == "auto" and (why := gpu_left_out(present)):
        print(f"! {why}", file=sys.stderr)
    return load_suite(suite, catalogue, present, device=device, trusted=trust)


def _finish(running: Campaign, *, require_measured: bool) -> int:
    """Run the campaign to its end and print the results."""
    from harness import frame
    from harness.frame.rows import rows_of
    from harness.report import sentences, terminal
    from harness.schema import evidence
    from harness.store import read_run, with_answers, with_meters

    folder = running.store.folder
    try:
        running.run()
    except KeyboardInterrupt as stop:
        print(f"interrupted: every completed repetition is stored; continue with `harness run --resume {folder}`", file=sys.stderr)
        stop.add_note(REPORTED)
        raise
    running.observer.done()
    stored = with_answers(with_meters(read_run(folder)))
    tables = frame.tables([stored])
    target = keep_report(stored, tables, ended=True)
    print_table(lambda width: terminal(tables["cases"], width))
    for line in (*_brief(sentences(rows_of(tables["cases"]))), *_remarks(stored, tables["cases"])):
        tell(line)
    print(_widths(stored, tables["cases"], running.catalogue))
    print(f"report: {target / 'index.html'}")
    unmeasured = [
        case for case, kind in zip(tables["cases"]["case_id"], tables["cases"]["energy_kind"], strict=True) if evidence(kind) != "measured"
    ]
    if require_measured and unmeasured:
        complain(
            f"the energy of {len(unmeasured)} cases was not measured by a sensor, such as {unmeasured[0]}",
            "run `harness doctor` to see how to fix it",
        )
        return 3
    return 3 if any(r.status != "ok" for r in _newest(stored)) else 0


def _brief(lines: Sequence[str]) -> list[str]:
    """The first sentences, and where the others are."""
    rest = len(lines) - MOST_SENTENCES
    return [*lines[:MOST_SENTENCES], *([f"... and {rest} more sentences in the report"] if rest > 0 else [])]


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
    from harness.run.plan import expected_s
    from harness.schema import PROFILES

    header = run.header
    half = ((cases["energy_high_j"] - cases["energy_low_j"]) / 2 / cases["energy_j"]).dropna()
    if half.empty:
        widths = "no case has an interval on its energy"
    else:
        widths = f"95 % intervals on energy: median half-width {half.median():.1%}, largest {half.max():.1%}, from at least {header.profile.first} launches"
    names = list(PROFILES)
    later = names[names.index(header.profile.name) + 1 :]
    if not later:
        return widths
    first_s, cap_s = expected_s(header.suite, PROFILES[later[0]], catalogue)
    return f"{widths}; for narrower intervals: PROFILE={later[0]}, about {_minutes(first_s, cap_s)} minutes"


def _newest(run: StoredRun) -> list[Any]:
    """The last attempt of each task."""
    return list({(r.case_id, r.build_id if not r.case_id else None, r.repetition): r for r in run.records}.values())


def _minutes(*seconds: float) -> str:
    """A span in whole minutes, rounded up."""
    return " to ".join(dict.fromkeys(str(-int(-s // 60)) for s in seconds))
