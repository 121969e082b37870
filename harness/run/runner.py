"""PARENT: one task -> one record: sample, start the child, talk to it, integrate. Knows neither plan nor store."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from harness.channel import Child, Request
from harness.energy import codes, steady_state
from harness.energy.figures import Raw, Setting, figures
from harness.energy.ticks import similar_s, widest_last_s
from harness.errors import WorkerError
from harness.run.endings import oom_kills, why_ended
from harness.run.timing import LEAD_IN_S, Timing
from harness.schema import Domain, Finding, Kernel, Limits, Profile, Record, Sample, Status, Task, Trace, WindowTimes
from harness.schema.worker import (
    GROUP_S,
    AskKernels,
    BuildTask,
    Close,
    Done,
    FromChild,
    Go,
    Kernels,
    Mark,
    MeasureTask,
    More,
    Ready,
    Result,
)
from harness.sensors.base import Sensor
from harness.sensors.sampler import Sampler

ROUND_S = 0.3
PROFILE_PATIENCE_S = 15.0
"""How long a profiler may take to open the model again and answer a few queries; then it is given up."""
ANSWER_SHARE = 0.25
"""Of the time a child may be silent: how long it may answer inputs that have no labels."""
SETTLED = 0.05
"""Two rounds of warm-up whose rates differ by no more are steady."""


@dataclass(frozen=True)
class RunContext:
    """What every task of a run is measured with.

    Attributes:
        sensors: Opened sensors with their domains.
        profile: How long to idle, warm up and measure.
        limits: When to give a child up.
        run_id: Of the run the records belong to.
        environment_id: Of this machine and its software.
        boot_id: Of this boot, so that monotonic times can be told apart.
        domains: The suite's choice of what counts as a case's energy; null: by its device.
        keep: Given the readings as they come, so that a harness that is killed leaves them; null: nobody.
        allow: Codes of findings that the suite accepts.
    """

    sensors: Sequence[tuple[Sensor, Sequence[Domain]]]
    profile: Profile
    limits: Limits
    run_id: str
    environment_id: str
    boot_id: str | None
    domains: Sequence[str] | None = None
    keep: Callable[[Mapping[str, Sample]], None] | None = None
    allow: Collection[str] = ()


@dataclass(frozen=True)
class Outcome:
    """A record with its raw data.

    Attributes:
        record: Without the path of its trace: the store knows that.
        trace: What the sensors said.
        completions: Shape (3, n): start ns, end ns, queries; empty where none were kept.
        per_sample: Quality of each test sample; empty where it was not measured.
        interrupted: Whether the user ended it.
        outputs: Shape (n, ...): what the scored output said to the first test samples; empty where it was not asked for.
    """

    record: Record
    trace: Trace
    completions: np.ndarray
    per_sample: np.ndarray
    interrupted: bool = False
    outputs: np.ndarray = field(default_factory=lambda: np.zeros(0))


Reply = TypeVar("Reply", Ready, Mark, Done, Result, Kernels)


class LostError(Exception):
    """The task is over early: the status and the reason of its record."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def run(task: Task, request: Request, bench: RunContext, on_phase: Callable[[str], None] = lambda phase: None) -> Outcome:
    """Run one task to its record, whatever happens to the child.

    Args:
        task: A build or a repetition of a case.
        request: What to start.
        bench: What to measure with.
        on_phase: Called with the name of each phase as it begins.

    Raises:
        WorkerError: The child could not be started.
    """
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        return _Repetition(task, request, bench, on_phase, Path(folder)).run()


class _Repetition:
    """One task under way."""

    def __init__(self, task: Task, request: Request, bench: RunContext, on_phase: Callable[[str], None], folder: Path) -> None:
        self.task, self.request, self.bench, self.on_phase = task, request, bench, on_phase
        self.completions_path, self.per_sample_path = folder / "completions.npy", folder / "per_sample.npy"
        self.outputs_path = folder / "outputs.npy"
        domains = [domain for _, each in bench.sensors for domain in each]
        self.pace = Timing(domains, task.case.device if task.case else None, bench.domains, bench.profile, bench.limits)
        self.sampler = Sampler(bench.sensors, bench.keep, self.pace.near)
        self.started_utc, self.offset_s = datetime.now(UTC), time.time() - time.monotonic()
        self.marks: dict[str, float] = {}
        self.windows: list[WindowTimes] = []
        self.under_way: tuple[str, float] | None = None
        self.ready: Ready | None = None
        self.facts: dict[str, Any] = {}
        self.result: Result | None = None
        self.findings: list[Finding] = []
        self.kernels: tuple[Kernel, ...] = ()

    def run(self) -> Outcome:
        """The whole of it; the child is gone afterwards."""
        kills = oom_kills()
        self.sampler.start()
        try:
            self.child = Child(replace(self.request, task=self._with_paths(self.request.task)))
        except BaseException:
            self.sampler.stop()
            raise
        status: Status = "ok"
        reason: str | None = None
        interrupted = False
        try:
            for sensor, _ in self.bench.sensors:
                sensor.watch(self.child.pid)
            (self._case if self.task.case else self._build)()
            if self.result:
                status, reason = self.result.status, self.result.reason
        except LostError as lost:
            status, reason = lost.status, lost.reason
        except EOFError:
            status, reason = why_ended(self.child, kills)
        except WorkerError as error:
            status, reason = "failed", str(error)
        except KeyboardInterrupt:
            status, reason, interrupted = "killed", "interrupted by the user", True
        finally:
            self.child.end(grace_s=1.0 if status == "ok" else 0.0)
            for sensor, _ in self.bench.sensors:
                sensor.watch(None)
            self._end()  # the energy so far of a task that was cut off
            trace = self.sampler.stop()
        return self._outcome(status, reason, trace, interrupted)

    def _with_paths(self, task: MeasureTask | BuildTask) -> MeasureTask | BuildTask:
        """The task with where to leave its arrays."""
        if isinstance(task, BuildTask):
            return task
        paths: dict[str, Any] = {"completions_path": str(self.completions_path), "per_sample_path": str(self.per_sample_path)}
        if self.task.repetition == 0:  # the outputs of one launch are enough: a model gives the same in each
            paths |= {"outputs_path": str(self.outputs_path), "answer_s": self.bench.limits.timeout_s * ANSWER_SHARE}
        return task.model_copy(update=paths)

    # --- the talk ---

    def _case(self) -> None:
        """Idle, warm up, measure from tick to tick, quality, idle again."""
        self._begin("load")
        self.ready = self._await(Ready, self.bench.limits.timeout_s)
        self.facts = dict(self.ready.facts)
        self._end()
        self._idle()
        self._begin("warmup")
        self.sampler.watch_closely(self.pace.lag_watch_s)
        warmed_s = self._warm_up()
        self.child.send(Go(shift_s=self.pace.shift_s, group=self.task.repetition * self._groups()))
        while "go" not in self.marks:  # a busy machine may keep the child waiting for longer than any lead-in
            self._await(Mark, self._query_patience_s())
        self._listen(self.pace.lead_in_s(warmed_s))
        self._end()
        self._begin("steady")
        self._window("steady", self.pace.window_s(self._query_s), self.pace.edge_ticks(self._query_s), exact=True)
        self.child.send(Close(until_s=self.windows[-1].end_s))
        self._await(Done, self._query_patience_s())
        self._begin("quality")
        self.result = self._await(Result, self.bench.limits.timeout_s)
        if "quality" in self.marks:
            self._end()
        if self.result.status == "ok":
            self._idle()
            self._ask_kernels()

    def _idle(self) -> None:
        """Measure without load, once the sensors no longer show what ran before."""
        self._begin("idle")
        self._listen(self.pace.settle_s)
        self._window("idle", self.bench.profile.idle_s)

    def _ask_kernels(self) -> None:
        """What ran: once a case, after all that is measured, so that nothing that goes wrong here can spoil it."""
        if self.task.repetition:
            return
        self.child.send(AskKernels())
        try:
            reply = self._await(Kernels, PROFILE_PATIENCE_S + self._query_patience_s())
        except (LostError, EOFError, WorkerError) as error:
            self.facts["profile_failed"] = str(error) or "the process died in its profiler"
            return
        self.kernels = reply.kernels
        self.facts |= {"precision_reported": self._precision} if self.kernels else {}
        self.facts |= {"stored_types": list(reply.stored)} if reply.stored is not None else {}
        self.facts |= {"profile_failed": reply.reason} if reply.reason else {}

    def _build(self) -> None:
        """Wait until it is built."""
        self._begin("build")
        self.result = self._await(Result, self.bench.limits.build_timeout_s)
        self._end()

    def _begin(self, phase: str) -> None:
        self.under_way = (phase, time.monotonic())
        self.on_phase(phase)

    def _end(self) -> None:
        """The phase under way is over, or was cut off: nobody aligned its edges."""
        if self.under_way:
            self.windows.append(WindowTimes.loose(*self.under_way, time.monotonic()))
            self.under_way = None

    def _await(self, wanted: type[Reply], patience_s: float) -> Reply:
        """The next message of a type; marks are kept on the way, and a result that comes early ends the task."""
        deadline = time.monotonic() + patience_s
        while message := self.child.receive(max(0.0, deadline - time.monotonic())):
            self._keep_mark(message)
            if isinstance(message, wanted):
                return message
            if isinstance(message, Result):
                raise LostError(message.status, message.reason or "the child ended early")
        raise LostError("timeout", f"the child sent nothing for {patience_s:.0f} s while the parent waited for {wanted.__name__}")

    def _keep_mark(self, message: FromChild | None) -> None:
        if isinstance(message, Mark):
            self.marks[message.name] = message.t_s

    def _listen(self, seconds: float, until: threading.Event | None = None) -> None:
        """Let time pass, or an event happen, while the child works; it may only mark, fail, or die."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not (until and until.is_set()):
            message = self.child.receive(min(left, 0.005) if until else left)
            self._keep_mark(message)
            if isinstance(message, Result):
                raise LostError(message.status, message.reason or "the child ended early")

    # --- the windows ---

    def _window(self, phase: Literal["idle", "steady"], seconds: float, ticks: int = 1, *, exact: bool = False) -> None:
        """Measure one phase from tick to tick of every counter near the case.

        Args:
            phase: Its name.
            seconds: How long at least.
            ticks: How many each edge should have to choose from.
            exact: Whether the window grows until its edges leave little of the energy uncertain.
        """
        begin_s, brackets_s = self._edge(ticks)
        open_s = time.monotonic()
        self._listen(self.pace.grown_s(seconds, brackets_s.values()) if exact else seconds)
        end_s, _ = self._edge(ticks, self._allowed(begin_s, brackets_s) if exact else None)
        self.windows.append(WindowTimes(phase=phase, begin_s=begin_s, open_s=open_s, end_s=end_s, close_s=time.monotonic()))
        self.under_way = None

    def _edge(self, ticks: int, allowed: Callable[[str], float] | None = None) -> tuple[float, dict[str, float]]:
        """Wait until every counter near the case has ticked, then read the rest.

        Returns:
            When the waiting began, and the width of the bracket around the edge of each counter that ticked, s.
        """
        asked_s = time.monotonic()
        edge = self.sampler.edge(ticks, allowed)
        self._listen(self.pace.edge_patience_s(ticks), until=edge.reached)
        self.sampler.give_up()
        self.sampler.read_gauges()
        return asked_s, {name: similar_s(widths) for name, widths in edge.brackets_s.items() if widths}

    def _allowed(self, begin_s: float, brackets_s: Mapping[str, float]) -> Callable[[str], float]:
        """How wide the bracket around the last edge of each counter may be for the window so far, s."""
        return lambda name: widest_last_s(brackets_s.get(name, 0.0), time.monotonic() - begin_s)

    @property
    def _query_s(self) -> float:
        """How long the first query took."""
        assert self.ready
        return self.ready.first_query_s

    @property
    def _precision(self) -> str | None:
        """As the engine reports it."""
        return self.ready.precision if self.ready else None

    def _query_patience_s(self) -> float:
        """How long the query under way may still take before it hangs."""
        return self.pace.query_patience_s(self._query_s)

    def _groups(self) -> int:
        """More groups than one repetition can hold, so that each repetition has its own."""
        return int((self.pace.window_s(self._query_s) + LEAD_IN_S) / GROUP_S) + 1

    def _warm_up(self) -> float:
        """Rounds of queries until the machine is steady, within the profile's bound; returns how long they took, s."""
        rates: list[float] = []
        began_s = time.monotonic()
        while time.monotonic() - began_s + ROUND_S <= self.bench.profile.warmup_s:
            round_s = time.monotonic()
            self.child.send(More(seconds=ROUND_S))
            n = self._await(Done, ROUND_S + self._query_patience_s()).n
            rates.append(n / (time.monotonic() - round_s))
            if len(rates) > 1 and abs(rates[-1] / rates[-2] - 1) <= SETTLED and self._is_level(began_s):
                return time.monotonic() - began_s
        if rates:
            self.findings.append(codes.finding("steady_state_not_reached", seconds=self.bench.profile.warmup_s))
        return time.monotonic() - began_s

    def _is_level(self, began_s: float) -> bool:
        """Whether temperature and power have been level for as long as the profile asks."""
        now_s, slope_s = time.monotonic(), self.bench.profile.slope_s
        return not slope_s or (now_s - began_s >= slope_s and steady_state.is_steady(self.sampler.trace(), now_s - slope_s, now_s))

    # --- the record ---

    def _outcome(self, status: Status, reason: str | None, trace: Trace, interrupted: bool) -> Outcome:
        case, ended = self.task.case, status == "ok"
        raw = Raw(
            trace=trace,
            windows=self.windows,
            completions=_load(self.completions_path, (3, 0)),
            per_sample=_load(self.per_sample_path, (0,)),
            scores=self.result.quality if self.result else None,
            load_s=self.marks.get("warmup"),
            clock_step_s=time.time() - time.monotonic() - self.offset_s,
            precision=self._precision,
            kernels=self.kernels,
            facts=self.facts,
        )
        setting = Setting(
            case=case,
            domains=self.bench.domains,
            allow=self.bench.allow,
            simulated=self.request.simulated,
            shift_s=self.pace.shift_s if case else None,
            requested_precision=self.request.precision,
            profiled=not self.task.repetition,
        )
        found = figures(raw, setting, ended=ended)
        record = Record(
            run_id=self.bench.run_id,
            **self.task.identity,
            status=status,
            reason=reason,
            environment_id=self.bench.environment_id,
            boot_id=self.bench.boot_id,
            started_utc=self.started_utc.isoformat(timespec="milliseconds"),
            utc_minus_monotonic_s=self.offset_s,
            windows=tuple(self.windows),
            load_s=raw.load_s,
            clock_step_s=raw.clock_step_s,
            shift_s=setting.shift_s,
            peak_memory_bytes=self.result.peak_memory_bytes if self.result else None,
            resident_bytes=self.result.resident_bytes if self.result else None,
            kernels=self.kernels,
            engine_facts=self.facts,
            artifact=self.request.artifact or (self.result.artifact if self.result else None),
            warnings=(*self.findings, *found.findings),
            stderr_tail=None if ended else self.child.tail or None,
            **found.of_record(trace),
        )
        return Outcome(record, trace, raw.completions, raw.per_sample, interrupted, _load(self.outputs_path, (0,)))


def _load(path: Path, empty: tuple[int, ...]) -> np.ndarray:
    """An array the child left, or an empty one: a child that is ended while it writes leaves a file that is cut short, or empty."""
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return np.zeros(empty, dtype=np.int64)
