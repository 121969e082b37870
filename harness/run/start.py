"""Starts or resumes a run: checks, machine lock, sensors, header."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import __version__
from harness.artifacts import Cache
from harness.errors import SuiteError
from harness.run import checks
from harness.run.campaign import Campaign, Observer
from harness.run.machine import Sensors, environment_here, machine_lock, near_suite, opened_sensors
from harness.run.prepared import with_prepared
from harness.run.requests import null_request
from harness.run.runner import RunContext, run
from harness.schema import PROFILES, Catalogue, Domain, Environment, Grid, Header, Limits, Profile, Suite
from harness.sensors.probe import sampler_cost
from harness.store import Store, manifest, new_run_id, read_run, write_atomically

COST_S = 1.0
"""Length of the window in which the harness's own CPU time is measured before the first case, in seconds."""


@dataclass(frozen=True)
class RunRequest:
    """A run as the user requests it.

    Attributes:
        suite: Resolved suite.
        source: Text of the suite file.
        profile: Number and length of the measurements.
        results: Results folder.
        grid: Electricity grid for the carbon figures; None if no country was given.
    """

    suite: Suite
    source: str
    profile: Profile
    results: Path
    grid: Grid | None = None


@contextlib.contextmanager
def begin(request: RunRequest, catalogue: Catalogue, observer: Observer) -> Iterator[Campaign]:
    """Start a run, with the machine locked and the sensors open.

    Raises:
        StoreError: The results folder or the cache is not writable.
        SuiteError: The requested window is too short for a counter.
    """
    run_id = new_run_id(request.suite.name, request.profile.name)
    checks.check_writable(request.results)
    with _machine(run_id, request.suite, catalogue, observer) as (sensors, unavailable, probed):
        domains = _domains(sensors)
        checks.check_window(request.profile, domains)
        here = environment_here(catalogue, sensors)
        checks.check_power_cap(request.suite, here, domains)
        probed["sampler"] = _overhead(sensors, request.suite, here)
        suite = with_prepared(request.suite, catalogue, here.devices)
        header = Header(
            run_id=checks.unused_id(request.results, run_id),
            started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            harness_version=__version__,
            harness_commit=here.harness_commit,
            profile=request.profile,
            seed=request.suite.seed,
            suite=suite,
            suite_source=request.source,
            environments=(here,),
            domains=tuple(domains),
            unavailable=unavailable,
            probe=probed,
            grid=request.grid,
        )
        with Cache().use({build.build_id for build in suite.builds if build.target}):
            yield Campaign(Store.create(request.results, header), header, catalogue, sensors, observer)


@contextlib.contextmanager
def resume(folder: Path, catalogue: Catalogue, observer: Observer, suite: Suite | None = None) -> Iterator[Campaign]:
    """Continue an interrupted run with the same machine, suite and sensors.

    Args:
        folder: Folder of the run.
        catalogue: Installed plug-ins.
        observer: Receives the progress.
        suite: The suite if the user names one; it must be the run's own.

    Raises:
        SuiteError: Another suite, another machine or other sensors.
    """
    stored = read_run(folder)
    store, header = Store(folder), stored.header
    if suite and suite.sha256 != header.suite.sha256:
        raise SuiteError(f"{folder.name} is a run of another suite", "resume it without a suite, or start a new run")
    checks.check_files(stored)
    checks.check_writable(folder)
    with _machine(header.run_id, header.suite, catalogue, observer) as (sensors, _, _):
        here = environment_here(catalogue, sensors)
        checks.check_card(header, _domains(sensors))
        checks.check_power_cap(header.suite, here, _domains(sensors))
        checks.check_environment(header, here)
        checks.check_sensors(header, _domains(sensors))
        if here.boot_id != header.environments[-1].boot_id:
            header = header.model_copy(update={"environments": (*header.environments, here)})
            _rewrite_header(store, header)
        yield Campaign(store, header, catalogue, sensors, observer, stored.records)


@contextlib.contextmanager
def _machine(
    run_id: str, suite: Suite, catalogue: Catalogue, observer: Observer
) -> Iterator[tuple[Sensors, dict[str, str], dict[str, Any]]]:
    """Lock the machine, protect the suite's artifacts, and open the sensors."""
    with (
        machine_lock(run_id, observer.waiting),
        Cache().use({build.build_id for build in suite.builds}),
        opened_sensors(catalogue, suite) as opened,
    ):
        observer.sensors(_domains(opened[0]), opened[1])
        yield opened


def _domains(sensors: Sensors) -> list[Domain]:
    return [domain for _, domains in sensors for domain in domains]


def _overhead(sensors: Sensors, suite: Suite, here: Environment) -> dict[str, float | None]:
    """CPU time of the harness itself, as shares of one core.

    Returns:
        `slow_share` and `edge_share` of the sampler alone, and `window_share` of the whole parent over a window of the null engine
        of `window_s`; None if that window failed.

    Raises:
        KeyboardInterrupt: The user interrupted it.
    """
    used: dict[str, tuple[float, float]] = {}
    profile = PROFILES["quick"].model_copy(update={"window_s": COST_S, "window_ticks": 0, "idle_s": COST_S / 10})
    context = RunContext(sensors, profile, Limits(), "null", here.environment_id, here.boot_id, suite.domains)
    cost = sampler_cost(sensors, COST_S, near_suite(sensors, suite))
    outcome = run(*null_request(), context, lambda phase: used.setdefault(phase, (time.monotonic(), time.process_time())) and None)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if outcome.record.status != "ok":
        return {**cost, "window_share": None, "window_s": None}
    (began_s, before_s), (ended_s, after_s) = used["steady"], used["quality"]
    return {**cost, "window_share": (after_s - before_s) / (ended_s - began_s), "window_s": ended_s - began_s}


def _rewrite_header(store: Store, header: Header) -> None:
    """Store a changed header, and seal it again if it was intact."""
    intact = manifest.intact(store.folder, "run.json")
    store.write_header(header)
    if intact and (text := manifest.redrawn(store.folder, "run.json")):
        write_atomically(store.folder / manifest.NAME, text)
