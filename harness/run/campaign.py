"""Runs and stores the tasks of `plan` until there are none."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from harness.artifacts import Cache
from harness.channel import Request
from harness.energy.scope import device_detail, for_card
from harness.errors import EngineError, WorkerError
from harness.run import plan, preconditions, recovery
from harness.run.machine import Sensors, available_memory_bytes
from harness.run.prepared import chosen_card, target_of
from harness.run.requests import build_request, case_request
from harness.run.runner import Outcome, RunContext, run
from harness.schema import Build, Case, Catalogue, Domain, Header, Record, Status, Target, Task, Trace
from harness.store import Store, journal

MEMORY_SHARE = 0.9
"""Share of the available memory that a child may use where the suite sets no limit."""


class Observer(Protocol):
    """Receives the progress of a campaign."""

    def waiting(self, owner: str) -> None:
        """Wait for another run on this machine."""

    def sensors(self, domains: Sequence[Domain], unavailable: Mapping[str, str]) -> None:
        """The sensors are open; those that cannot be read are unavailable for a reason."""

    def task(self, task: Task, left: int, left_s: float | None) -> None:
        """A task begins; `left` tasks, it included, take about `left_s` seconds."""

    def phase(self, name: str) -> None:
        """A phase of the task begins."""

    def slow(self, waited_s: float, limit_s: float) -> None:
        """The model has been loading, or a build has been running, for some time; outside every measured window."""

    def record(self, record: Record) -> None:
        """The record of the task is stored."""

    def done(self) -> None:
        """The campaign has ended."""


class Campaign:
    """One run, from its open tasks to their records."""

    def __init__(
        self, store: Store, header: Header, catalogue: Catalogue, sensors: Sensors, observer: Observer, records: Sequence[Record] = ()
    ) -> None:
        self.store, self.header, self.catalogue, self.sensors, self.observer = store, header, catalogue, sensors, observer
        self.records = list(records)
        self.attempt = 1 + max((r.attempt for r in records), default=0)
        self.cache = Cache()
        entries = ((build.build_id, self.cache.find(build.build_id)) for build in header.suite.builds)
        self.originals = {build_id: entry[1] for build_id, entry in entries if entry}
        """Records of the builds whose artifacts were in the cache at the start."""
        self.artifacts = {build_id: record.artifact for build_id, record in self.originals.items() if record.artifact}
        self.log: journal.Journal | None = None
        self.durations_s: dict[str, list[float]] = {}
        self.memory_bytes = header.suite.limits.memory_bytes or int(MEMORY_SHARE * available_memory_bytes())

    def run(self) -> None:
        """Run tasks until `plan` has no more.

        Raises:
            KeyboardInterrupt: The user interrupted it; the task under way is stored as killed.
            StoreError: The disk is full; what was stored is intact.
        """
        suite = self.header.suite
        self._store_lost()
        for build in self._cached_ancestors():
            task = Task(build=build, attempt=self.attempt)
            self.observer.task(task, 1, None)
            self._run_task(task)
        while block := plan.next_block(suite, self.header.profile, self.records, cached=self.artifacts, attempt=self.attempt):
            for index, task in enumerate(block):
                self.observer.task(task, *self._left(task, block[index:]))
                began_s = time.monotonic()
                self._run_task(task)
                self.durations_s.setdefault(task.case.engine if task.case else "build", []).append(time.monotonic() - began_s)
        self.cache.trim(in_use={build.build_id for build in suite.builds})

    def _store_lost(self) -> None:
        """Store the task during which an earlier session was killed."""
        lost = journal.lost(self.store.folder)
        if lost and not self._is_stored(task := lost.announced.task):
            simulated = task.case is not None and self.catalogue.engines[task.case.engine].simulated
            record, trace = recovery.killed(lost, self.header, simulated=simulated)
            self._store(_without_raw(record, trace))
            self.attempt = max(self.attempt, task.attempt + 1)
        journal.discard(self.store.folder)

    def _is_stored(self, task: Task) -> bool:
        """Whether the task has a record; a power cut may bring back its journal."""
        return any(all(getattr(record, name) == value for name, value in task.identity.items()) for record in self.records)

    def _cached_ancestors(self) -> list[Build]:
        """Builds that the cache makes unnecessary; the payback counts their energy."""
        needed = {build.build_id for build in plan.needed_builds(self.header.suite, self.artifacts)}
        recorded = {r.build_id for r in self.records if r.task == "build"}
        return [b for b in self.header.suite.builds if b.build_id in self.originals and b.build_id not in needed | recorded]

    def _left(self, task: Task, block: Sequence[Task]) -> tuple[int, float | None]:
        """Number of remaining tasks and their expected seconds; None if unknown."""
        if task.build:
            return len(block), None
        later = max(0, self.header.profile.first - task.repetition - 1)
        cases = [t.case for t in block if t.case] + list(self.header.suite.cases) * later
        known = [np.mean(seconds) for name, seconds in self.durations_s.items() if name != "build"]
        if not known:
            return len(cases), plan.expected_s(self.header.suite, self.header.profile, self.catalogue)[0]
        return len(cases), float(sum(np.mean(self.durations_s.get(case.engine, known)) for case in cases))

    def _run_task(self, task: Task) -> None:
        """Run one task and store it; an interrupt is passed on afterwards."""
        self.log = journal.Journal(self.store.folder, task, self.header.environments[-1].boot_id)
        if task.build:
            self._build(task, task.build)
        elif task.case:
            self._case(task, task.case)

    # --- builds and cases ---

    def _build(self, task: Task, build: Build) -> None:
        """Build an artifact, or copy the record of the cached one."""
        if original := self.originals.get(build.build_id):
            self._store(_without_raw(self._copied_record(original, task, build)))
            return
        if missing := self._missing(build.parent, build.data_id):
            self._store(self._not_begun(task, missing[0], f"the build before it failed: {missing[1]}"))
            return
        target = build.target
        if target and (problem := self._refused(target)):
            self._store(self._not_begun(task, "refused", problem))
            return
        with self.cache.build_folder() as folder:
            try:
                visible = self._visible(target) if target else None
                request = build_request(build, self.header.suite, self.artifacts, folder, self.memory_bytes, visible)
            except EngineError as error:
                self._store(self._not_begun(task, "refused" if error.refused else "failed", str(error)))
                return
            outcome = self._run(task, request)
            if outcome.record.status == "ok" and outcome.record.artifact:
                artifact = self.artifacts[build.build_id] = self.cache.keep(folder, outcome.record)
                outcome = replace(outcome, record=outcome.record.model_copy(update={"artifact": artifact}))
            self._store(outcome)

    def _copied_record(self, original: Record, task: Task, build: Build) -> Record:
        """The record of a cached build as one of this run."""
        update = {"run_id": self.header.run_id, "cached": True, "attempt": task.attempt, "block": 0, "repetition": 0}
        return original.model_copy(update={**update, "artifact": self.artifacts[build.build_id]})

    def _case(self, task: Task, case: Case) -> None:
        prepared = target_of(self.header.suite, case)
        if missing := self._missing(case.build_id, prepared.parent if prepared else None, case.dataset_id):
            self._store(self._not_begun(task, missing[0], f"its artifact was not built: {missing[1]}"))
            return
        if problem := self._refused(case):
            self._store(self._not_begun(task, "refused", problem))
            return
        self._store(self._run(task, case_request(case, self.header.suite, self.artifacts, self.memory_bytes, self._visible(case))))

    def _refused(self, of: Case | Target) -> str | None:
        """Why an engine cannot run on its device here; None if nothing is known to be wrong."""
        problem = preconditions.examine(of, self.header.environments[-1].devices)
        return str(problem) if problem and problem.refused else None

    def _visible(self, of: Case | Target) -> str | None:
        """UUID of the GPU that the child may use; None: as CUDA_VISIBLE_DEVICES is set."""
        return of.card or device_detail((d for _, domains in self.sensors for d in domains), of.device).get("visible")

    def _run(self, task: Task, request: Request) -> Outcome:
        """Run a task; a child that cannot be started gives a failed record."""
        try:
            return run(task, request, self.context(chosen_card(task)), self._phase, self.observer.slow)
        except WorkerError as error:
            return self._not_begun(task, "failed", str(error))

    def context(self, card: str | None = None) -> RunContext:
        """The sensors, limits and identity that every task of the run shares.

        Args:
            card: UUID of the card that the case of the task chose; its domains are then those of the device `gpu`.
        """
        here = self.header.environments[-1]
        return RunContext(
            [(sensor, for_card(domains, card)) for sensor, domains in self.sensors],
            self.header.profile,
            self.header.suite.limits,
            self.header.run_id,
            here.environment_id,
            here.boot_id,
            self.header.suite.domains,
            self.log.samples if self.log else None,
            self.header.suite.allow,
            self.header.suite.slo,
        )

    def _phase(self, name: str) -> None:
        if self.log:
            self.log.phase(name)
        self.observer.phase(name)

    def _store(self, outcome: Outcome) -> None:
        record = self.store.append(
            outcome.record, outcome.trace, outcome.completions, outcome.per_sample, outcome.outputs, outcome.requests, outcome.evaluation
        )
        if self.log:
            self.log.discard()
        self.records.append(record)
        self.observer.record(record)
        if outcome.interrupted:
            raise KeyboardInterrupt

    def _not_begun(self, task: Task, status: Status, reason: str) -> Outcome:
        return _without_raw(recovery.not_begun(task, status, reason, self.header.run_id, self.header.environments[-1]))

    def _missing(self, *build_ids: str | None) -> tuple[Status, str] | None:
        """Status and reason of a task that needs these artifacts; None if all are there."""
        missing = next((build_id for build_id in build_ids if build_id and build_id not in self.artifacts), None)
        if missing is None:
            return None
        record = next((r for r in reversed(self.records) if r.task == "build" and r.build_id == missing), None)
        reason = record.reason or record.status if record else "it has no record"
        return "refused" if record and record.status == "refused" else "failed", reason


def _without_raw(record: Record, trace: Trace | None = None) -> Outcome:
    """The outcome of a record that has no raw data except a trace."""
    return Outcome(record, trace or Trace({}, {}), np.zeros((3, 0)), np.zeros(0))
