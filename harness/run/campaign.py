"""Ask `plan`, run, store, ask again: the first run, the stopping rule, `--resume` and Ctrl-C are this one loop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from harness import __version__
from harness.artifacts import Cache
from harness.channel import Request
from harness.energy.scope import device_detail
from harness.errors import EngineError, SuiteError, WorkerError
from harness.run import plan, recovery
from harness.run.checks import check_card, check_files, check_window, check_writable, differences, unused
from harness.run.machine import Sensors, available_memory_bytes, environment_here, machine_lock, near_suite, opened_sensors
from harness.run.requests import build_request, case_request, null_request
from harness.run.runner import Outcome, RunContext, run
from harness.schema import (
    PROFILES,
    Build,
    Case,
    Catalogue,
    Domain,
    Environment,
    Grid,
    Header,
    Limits,
    Profile,
    Record,
    Status,
    Suite,
    Task,
    Trace,
)
from harness.sensors.probe import sampler_cost
from harness.store import Store, journal, manifest, new_run_id, read_run, write_atomically

MEMORY_SHARE = 0.9
COST_S = 1.0
"""How long it is watched what measuring itself costs, before the first case."""


class Observer(Protocol):
    """Who is told how a campaign goes."""

    def waiting(self, owner: str) -> None:
        """Another run holds the machine."""

    def sensors(self, domains: Sequence[Domain], unavailable: Mapping[str, str]) -> None:
        """What will be measured, and what cannot be."""

    def task(self, task: Task, left: int, left_s: float | None) -> None:
        """A task begins; so many are left, this one included, about so long."""

    def phase(self, name: str) -> None:
        """A phase of it begins."""

    def record(self, record: Record) -> None:
        """It has been stored."""

    def done(self) -> None:
        """Nothing more comes."""


class Campaign:
    """One run on its way to its end.

    Args:
        store: Where it is kept.
        header: Its `run.json`.
        catalogue: What this installation knows.
        sensors: Opened and probed.
        observer: Who is told.
        records: What earlier sessions stored.
    """

    def __init__(
        self, store: Store, header: Header, catalogue: Catalogue, sensors: Sensors, observer: Observer, records: Sequence[Record] = ()
    ) -> None:
        self.store, self.header, self.catalogue, self.sensors, self.observer = store, header, catalogue, sensors, observer
        self.records = list(records)
        self.attempt = 1 + max((r.attempt for r in records), default=0)
        self.cache = Cache()
        found = {build.build_id: self.cache.find(build.build_id) for build in header.suite.builds}
        self.originals = {build_id: record for build_id, (_, record) in ((b, f) for b, f in found.items() if f)}
        self.artifacts = {build_id: record.artifact for build_id, record in self.originals.items() if record.artifact}
        self.log: journal.Journal | None = None
        self.durations_s: dict[str, list[float]] = {}
        self.memory_bytes = header.suite.limits.memory_bytes or int(MEMORY_SHARE * available_memory_bytes())

    def run(self) -> None:
        """Until `plan` has nothing more to ask.

        Raises:
            KeyboardInterrupt: The user ended it; the task under way is stored as killed.
            StoreError: The disk is full; what was stored is intact.
        """
        suite, profile = self.header.suite, self.header.profile
        self._store_lost()
        for build in self._spent_before():
            self.observer.task(Task(build=build, attempt=self.attempt), 1, None)
            self._one(Task(build=build, attempt=self.attempt))
        while block := plan.next_block(suite, profile, self.records, cached=self.artifacts, attempt=self.attempt):
            for index, task in enumerate(block):
                self.observer.task(task, *self._left(task, block[index:]))
                began_s = time.monotonic()
                self._one(task)
                self.durations_s.setdefault(task.case.engine if task.case else "build", []).append(time.monotonic() - began_s)
        self.cache.trim(in_use={build.build_id for build in suite.builds})

    def _store_lost(self) -> None:
        """The task during which an earlier session was killed, with its energy so far."""
        lost = journal.lost(self.store.folder)
        if lost and not self._is_stored(task := lost.announced.task):
            simulated = task.case is not None and self.catalogue.engines[task.case.engine].simulated
            record, trace = recovery.killed(lost, self.header, simulated=simulated)
            self._store(_bare(record, trace))
            self.attempt = max(self.attempt, task.attempt + 1)
        journal.discard(self.store.folder)

    def _is_stored(self, task: Task) -> bool:
        """Whether its record is there: after a power cut the note on a task that had ended may be back."""
        return any(all(getattr(record, name) == value for name, value in task.identity.items()) for record in self.records)

    def _spent_before(self) -> list[Build]:
        """Steps on the way to an artifact in the cache, which need no building: their records are quoted, since a payback counts their energy."""
        needed = {build.build_id for build in plan.needed_builds(self.header.suite, self.artifacts)}
        recorded = {r.build_id for r in self.records if r.task == "build"}
        return [b for b in self.header.suite.builds if b.build_id in self.originals and b.build_id not in needed | recorded]

    def _left(self, task: Task, block: Sequence[Task]) -> tuple[int, float | None]:
        """How many tasks are left at least, and about how long they take; null while nothing is known."""
        if task.build:
            return len(block), None
        later = max(0, self.header.profile.first - task.repetition - 1)
        cases = [t.case for t in block if t.case] + list(self.header.suite.cases) * later
        known = [np.mean(seconds) for name, seconds in self.durations_s.items() if name != "build"]
        if not known:
            return len(cases), plan.expected_s(self.header.suite, self.header.profile, self.catalogue)[0]
        return len(cases), float(sum(np.mean(self.durations_s.get(case.engine, known)) for case in cases))

    def _one(self, task: Task) -> None:
        """Run one task and store it; an interruption is passed on after that."""
        self.log = journal.Journal(self.store.folder, task, self.header.environments[-1].boot_id)
        if task.build:
            self._build(task, task.build)
        elif task.case:
            self._case(task, task.case)

    def _phase(self, name: str) -> None:
        if self.log:
            self.log.phase(name)
        self.observer.phase(name)

    # --- builds ---

    def _build(self, task: Task, build: Build) -> None:
        """Build an artifact, or quote the record of the one in the cache."""
        original = self.originals.get(build.build_id)
        if original:
            quoted = original.model_copy(
                update={
                    "run_id": self.header.run_id,
                    "cached": True,
                    "attempt": task.attempt,
                    "block": 0,
                    "repetition": 0,
                    "artifact": self.artifacts[build.build_id],
                }
            )
            self._store(_bare(quoted))
            return
        missing = next((b for b in (build.parent, build.data_id) if b and b not in self.artifacts), None)
        if missing:
            self._store(self._not_begun(task, self._status(missing), f"the step before it was not built: {self._why(missing)}"))
            return
        with self.cache.build_folder() as folder:
            try:
                order = build_request(build, self.header.suite, self.artifacts, folder, self.memory_bytes)
            except EngineError as error:
                self._store(self._not_begun(task, "refused" if error.refused else "failed", str(error)))
                return
            outcome = self._run(task, order)
            artifact = outcome.record.artifact
            if outcome.record.status == "ok" and artifact:
                kept = self.cache.keep(folder, outcome.record)
                outcome = Outcome(
                    outcome.record.model_copy(update={"artifact": kept}), outcome.trace, outcome.completions, outcome.per_sample
                )
                self.artifacts[build.build_id] = kept
            self._store(outcome)

    # --- cases ---

    def _case(self, task: Task, case: Case) -> None:
        missing = next((b for b in (case.build_id, case.dataset_id) if b and b not in self.artifacts), None)
        if missing:
            self._store(self._not_begun(task, self._status(missing), f"its artifact was not built: {self._why(missing)}"))
            return
        own = device_detail((d for _, domains in self.sensors for d in domains), case.device)
        order = case_request(case, self.header.suite, self.artifacts, self.memory_bytes, own.get("visible"))
        self._store(self._run(task, order))

    # --- both ---

    def _run(self, task: Task, order: Request) -> Outcome:
        """What becomes of a task; of one whose child could not even be started a record that says so."""
        try:
            return run(task, order, self._bench(), self._phase)
        except WorkerError as error:
            return self._not_begun(task, "failed", str(error))

    def _bench(self) -> RunContext:
        here = self.header.environments[-1]
        return RunContext(
            self.sensors,
            self.header.profile,
            self.header.suite.limits,
            self.header.run_id,
            here.environment_id,
            here.boot_id,
            self.header.suite.domains,
            self.log.samples if self.log else None,
            self.header.suite.allow,
        )

    def _store(self, outcome: Outcome) -> None:
        record = self.store.append(outcome.record, outcome.trace, outcome.completions, outcome.per_sample, outcome.outputs)
        if self.log:
            self.log.discard()
        self.records.append(record)
        self.observer.record(record)
        if outcome.interrupted:
            raise KeyboardInterrupt

    def _not_begun(self, task: Task, status: Status, reason: str) -> Outcome:
        return _bare(recovery.not_begun(task, status, reason, self.header.run_id, self.header.environments[-1]))

    def _last(self, build_id: str) -> Record | None:
        return next((r for r in reversed(self.records) if r.task == "build" and r.build_id == build_id), None)

    def _why(self, build_id: str) -> str:
        record = self._last(build_id)
        return record.reason or record.status if record else "it has no record"

    def _status(self, build_id: str) -> Status:
        """Of a case whose build did not succeed."""
        record = self._last(build_id)
        return "refused" if record and record.status == "refused" else "failed"


def _bare(record: Record, trace: Trace | None = None) -> Outcome:
    """A record of which there is no more than its trace."""
    return Outcome(record, trace or Trace({}, {}), np.zeros((3, 0)), np.zeros(0))


# --- to begin one -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunRequest:
    """What the user asks of a new run.

    Attributes:
        suite: Resolved.
        source: The suite file as written.
        profile: How much to spend.
        results: The results folder.
        grid: For carbon figures; null where no country was given.
    """

    suite: Suite
    source: str
    profile: Profile
    results: Path
    grid: Grid | None = None


@contextlib.contextmanager
def begin(wish: RunRequest, catalogue: Catalogue, observer: Observer) -> Iterator[Campaign]:
    """A new run, with the machine to itself and its sensors open.

    Raises:
        StoreError: The results folder or the cache cannot be written.
        SuiteError: The window asked for is too short for a counter.
    """
    run_id = new_run_id(wish.suite.name, wish.profile.name)
    check_writable(wish.results)
    with (
        machine_lock(run_id, observer.waiting),
        _artifacts_in_use(wish.suite),
        opened_sensors(catalogue, wish.suite) as (sensors, unavailable, probed),
    ):
        observer.sensors([d for _, domains in sensors for d in domains], unavailable)
        check_window(wish.profile, [d for _, domains in sensors for d in domains])
        here = environment_here(catalogue, sensors)
        probed["sampler"] = _own_cost(sensors, wish, here)
        header = Header(
            run_id=unused(wish.results, run_id),
            started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            harness_version=__version__,
            harness_commit=here.harness_commit,
            profile=wish.profile,
            seed=wish.suite.seed,
            suite=wish.suite,
            suite_source=wish.source,
            environments=(here,),
            domains=tuple(d for _, domains in sensors for d in domains),
            unavailable=unavailable,
            probe=probed,
            grid=wish.grid,
        )
        yield Campaign(Store.create(wish.results, header), header, catalogue, sensors, observer)


def _artifacts_in_use(suite: Suite) -> contextlib.AbstractContextManager[None]:
    """While this lasts nobody clears from the cache what the suite needs."""
    return Cache().use({build.build_id for build in suite.builds})


def _own_cost(sensors: Sensors, wish: RunRequest, here: Environment) -> dict[str, float | None]:
    """What measuring costs, as shares of one core: the sampler alone, and the whole parent in a window of the null engine.

    Returns:
        `slow_share`, `edge_share`, and `window_share` of a window of `window_s` with both its edges; null where the window failed.

    Raises:
        KeyboardInterrupt: The user ended it.
    """
    used: dict[str, tuple[float, float]] = {}
    profile = PROFILES["quick"].model_copy(update={"window_s": COST_S, "window_ticks": 0, "idle_s": COST_S / 10})
    bench = RunContext(sensors, profile, Limits(), "null", here.environment_id, here.boot_id, wish.suite.domains)
    cost = sampler_cost(sensors, COST_S, near_suite(sensors, wish.suite))
    outcome = run(*null_request(), bench, lambda phase: used.setdefault(phase, (time.monotonic(), time.process_time())) and None)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if outcome.record.status != "ok":
        return {**cost, "window_share": None, "window_s": None}
    (began_s, before_s), (ended_s, after_s) = used["steady"], used["quality"]
    return {**cost, "window_share": (after_s - before_s) / (ended_s - began_s), "window_s": ended_s - began_s}


@contextlib.contextmanager
def resume(folder: Path, catalogue: Catalogue, observer: Observer, suite: Suite | None = None) -> Iterator[Campaign]:
    """An interrupted run again, on the same machine with the same suite and the same sensors.

    Args:
        folder: Of the run.
        catalogue: What this installation knows.
        observer: Who is told.
        suite: The suite the user names beside it, which must be the run's own; null: the stored one.

    Raises:
        SuiteError: Another suite, another machine, other sensors.
    """
    stored = read_run(folder)
    if suite and suite.sha256 != stored.header.suite.sha256:
        raise SuiteError(f"{folder.name} was made of another suite", "resume it without naming a suite, or start a new run")
    check_files(stored)
    check_writable(folder)
    with (
        machine_lock(stored.header.run_id, observer.waiting),
        _artifacts_in_use(stored.header.suite),
        opened_sensors(catalogue, stored.header.suite) as (sensors, unavailable, _),
    ):
        observer.sensors([d for _, domains in sensors for d in domains], unavailable)
        here, here_now = environment_here(catalogue, sensors), [d for _, domains in sensors for d in domains]
        check_card(stored.header, here_now)
        first = stored.header.environments[0]
        if here.environment_id != first.environment_id:
            raise SuiteError(
                f"{folder.name} was begun on another machine or with other versions: {differences(first, here)}",
                "resume it there, or start a new run here",
            )
        now, then = ({(d.name, d.kind) for d in domains} for domains in (here_now, stored.header.domains))
        if now != then:
            changed = ", ".join(sorted({name for name, _ in now ^ then}))
            raise SuiteError(
                f"{folder.name} was begun with other sensors: {changed}",
                "make the same sensors readable (`harness doctor`), or start a new run",
            )
        store, header = Store(folder), stored.header
        if here.boot_id != header.environments[-1].boot_id:
            header = header.model_copy(update={"environments": (*header.environments, here)})
            _rewrite_header(store, header)
        yield Campaign(store, header, catalogue, sensors, observer, stored.records)


def _rewrite_header(store: Store, header: Header) -> None:
    """The header with one more boot, entered in the manifest where what it replaces was as entered."""
    intact = manifest.intact(store.folder, "run.json")
    store.write_header(header)
    if intact and (text := manifest.redrawn(store.folder, "run.json")):
        write_atomically(store.folder / manifest.NAME, text)
