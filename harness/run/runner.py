"""Parent process: runs one task with sampler and child, and returns its record."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.channel import Child, Request
from harness.energy import codes, steady_state
from harness.energy.figures import Raw, Setting, figures
from harness.errors import WorkerError
from harness.run.child_files import child_array, child_file, child_text, with_paths
from harness.run.conversation import Conversation, TaskEndedError
from harness.run.exit_reason import exit_reason, oom_kills
from harness.run.prepared import device_of
from harness.run.timing import LEAD_IN_S, Limit, Timing
from harness.run.windows import Windows
from harness.schema import Domain, Finding, Kernel, Limits, Profile, Record, Sample, Status, Task, Trace
from harness.schema.served import REQUEST_COLUMNS, Slo, TokenLoad
from harness.schema.worker import (
    GROUP_S,
    AskKernels,
    Close,
    Done,
    Go,
    Kernels,
    Mark,
    More,
    Ready,
    Result,
    ServeTask,
)
from harness.sensors.base import Sensor
from harness.sensors.sampler import Sampler

ROUND_S = 0.3
"""Length of a round of warm-up."""
PROFILE_PATIENCE_S = 15.0
"""Time limit of a profiler, which opens the model again and runs a few queries."""
SETTLED = 0.05
"""Relative difference between the rates of two rounds of warm-up up to which they are steady."""


@dataclass(frozen=True)
class RunContext:
    """Settings and state shared by all tasks of a run.

    Attributes:
        sensors: Opened sensors with their domains.
        profile: Length of the phases.
        limits: Time limits of a child.
        run_id: Run that the records belong to.
        environment_id: This machine and its software.
        boot_id: This boot, to which monotonic times refer.
        domains: Domains that count as a case's energy; None: those of its device.
        keep: Called with the readings as they arrive, so that they survive the harness; None: not kept.
        allow: Codes of findings that the suite accepts.
        slo: Objectives of a request; None: the suite has none.
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
    slo: Slo | None = None


@dataclass(frozen=True)
class Outcome:
    """A record with its raw data.

    Attributes:
        record: The record, without the path of its trace.
        trace: Sensor readings.
        completions: Start in ns, end in ns and number of queries, shape (3, n); n is 0 if none were kept.
        per_sample: Score of each test sample; empty if quality was not measured.
        interrupted: Whether the user interrupted the task.
        outputs: Scored output for the first test samples, shape (n, ...); empty if not requested.
        requests: Requests of a case that generates text, shape (columns, n); n is 0 for any other.
        evaluation: Results of an evaluation as lm_eval wrote them; empty without one.
    """

    record: Record
    trace: Trace
    completions: np.ndarray
    per_sample: np.ndarray
    interrupted: bool = False
    outputs: np.ndarray = field(default_factory=lambda: np.zeros(0))
    requests: np.ndarray = field(default_factory=lambda: np.zeros((len(REQUEST_COLUMNS), 0), dtype=np.int64))
    evaluation: str = ""


class _End(NamedTuple):
    """How a task ended."""

    status: Status = "ok"
    reason: str | None = None
    interrupted: bool = False


def run(
    task: Task,
    request: Request,
    context: RunContext,
    on_phase: Callable[[str], None] = lambda phase: None,
    on_slow: Callable[[float, float], None] = lambda waited_s, limit_s: None,
) -> Outcome:
    """Run one task and return its record, even if the child fails.

    Args:
        task: A build or one repetition of a case.
        request: What the child is started with.
        context: What all tasks of the run have in common.
        on_phase: Called with the name of each phase as it begins.
        on_slow: Called from time to time while the child loads or builds, with the seconds that it has taken and may take.

    Raises:
        WorkerError: The child could not be started.
    """
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        return _Execution(task, request, context, Path(folder), on_slow).run(on_phase)


class _Execution:
    """One task being run."""

    def __init__(self, task: Task, request: Request, context: RunContext, folder: Path, on_slow: Callable[[float, float], None]) -> None:
        self.task, self.request, self.context, self.folder, self.on_slow = task, request, context, folder, on_slow
        domains = [domain for _, each in context.sensors for domain in each]
        self.timing = Timing(domains, device_of(task), context.domains, context.profile, context.limits)
        self.sampler = Sampler(context.sensors, context.keep, self.timing.near)
        self.started_utc, self.offset_s = datetime.now(UTC), time.time() - time.monotonic()
        self.ready: Ready | None = None
        self.facts: dict[str, Any] = {}
        self.result: Result | None = None
        self.findings: list[Finding] = []
        self.kernels: tuple[Kernel, ...] = ()

    def run(self, on_phase: Callable[[str], None]) -> Outcome:
        """Run the task to its end; the child has ended afterwards."""
        kills = oom_kills()
        self.sampler.start()
        try:
            self.child = Child(replace(self.request, task=with_paths(self.request.task, self.task, self.folder, self.context.limits)))
        except BaseException:
            self.sampler.stop()
            raise
        self.conversation = Conversation(self.child)
        self.windows = Windows(self.sampler, self.timing, self.conversation, on_phase)
        end = _End()
        try:
            end = self._work(kills)
        finally:
            self.child.end(grace_s=1.0 if end.status == "ok" else 0.0)
            self._watch(None)
            self.windows.end()  # of a task that was cut off: its energy so far
            trace = self.sampler.stop()
        return self._outcome(end, trace)

    def _work(self, kills: int) -> _End:
        """Run the phases, and convert an early end to a status and a reason."""
        try:
            self._watch(self.child.pid)
            (self._case if self.task.case else self._build)()
        except TaskEndedError as ended:
            return _End(ended.status, ended.reason)
        except EOFError:
            return _End(*exit_reason(self.child, kills))
        except WorkerError as error:
            return _End("failed", str(error))
        except KeyboardInterrupt:
            return _End("killed", "interrupted by the user", interrupted=True)
        return _End(self.result.status, self.result.reason) if self.result else _End()

    def _watch(self, pid: int | None) -> None:
        for sensor, _ in self.context.sensors:
            sensor.watch(pid)

    def _path(self, name: str) -> Path:
        return child_file(self.folder, name)

    # --- phases ---

    def _case(self) -> None:
        """Idle, warm up, measure from tick to tick, score, idle again."""
        windows, wait_for, timing = self.windows, self.conversation.wait_for, self.timing
        windows.begin("load")
        self.ready = wait_for(Ready, timing.loading, lambda waited_s: self.on_slow(waited_s, timing.loading.seconds))
        self.facts = dict(self.ready.facts) | (self.request.artifact.weight_facts if self.request.artifact else {})
        windows.end()
        self._idle()
        windows.begin("warmup")
        self.sampler.watch_closely(self.timing.lag_watch_s)
        (self._generate if self._load else self._query)()
        windows.begin("quality")
        self.result = wait_for(Result, timing.scoring(self._evaluation_s))
        self.facts |= self.result.facts
        if "quality" in self.conversation.marks:
            windows.end()
        if self.result.status == "ok":
            self._idle()
            self._ask_kernels()

    def _query(self) -> None:
        """Warm up with queries, then measure a window of them."""
        windows, wait_for, timing = self.windows, self.conversation.wait_for, self.timing
        warmed_s = self._warm_up()
        self.conversation.send(Go(shift_s=timing.shift_s, group=self.task.repetition * self._groups()))
        while "go" not in self.conversation.marks:  # a busy machine may delay the child for longer than any lead-in
            wait_for(Mark, self._query_limit)
        self.conversation.listen(timing.lead_in_s(warmed_s))
        windows.end()
        windows.begin("steady")
        windows.measure("steady", timing.window_s(self._query_s), timing.edge_ticks(self._query_s), exact=True)
        self.conversation.send(Close(until_s=windows.closed[-1].end_s))
        wait_for(Done, self._query_limit)

    def _generate(self) -> None:
        """Start a load of requests for text, measure a window when it is steady, and wait for the requests in progress at its end."""
        windows, conversation, timing = self.windows, self.conversation, self.timing
        began_s = time.monotonic()
        conversation.send(Go())
        while "go" not in conversation.marks:
            conversation.wait_for(Mark, timing.warming)
        warmed = conversation.warmed
        assert warmed
        if not warmed.steady:
            self.findings.append(codes.finding("steady_state_not_reached", seconds=time.monotonic() - began_s))
        conversation.listen(timing.lead_in_s(time.monotonic() - began_s))
        windows.end()
        windows.begin("steady")
        windows.measure("steady", timing.token_window_s(warmed.request_s), exact=True)
        conversation.send(Close(until_s=windows.closed[-1].close_s))
        windows.begin("drain")
        conversation.wait_for(Done, timing.draining)
        windows.end()

    def _build(self) -> None:
        """Wait until the artifact is built."""
        self.windows.begin("build")
        limit = self.timing.building
        self.result = self.conversation.wait_for(Result, limit, lambda waited_s: self.on_slow(waited_s, limit.seconds))
        self.windows.end()

    def _idle(self) -> None:
        """Measure without load, once the sensors no longer show the load before; not for a server that others may use."""
        if self.facts.get("server") == "external":
            return
        self.windows.begin("idle")
        self.conversation.listen(self.timing.settle_s)
        self.windows.measure("idle", self.context.profile.idle_s)

    def _warm_up(self) -> float:
        """Run queries until the machine is steady; returns the seconds taken."""
        rates: list[float] = []
        began_s = time.monotonic()
        while time.monotonic() - began_s + ROUND_S <= self.context.profile.warmup_s:
            round_s = time.monotonic()
            self.conversation.send(More(seconds=ROUND_S))
            n = self.conversation.wait_for(Done, self._query_limit._replace(seconds=ROUND_S + self._query_limit.seconds)).n
            rates.append(n / (time.monotonic() - round_s))
            if len(rates) > 1 and abs(rates[-1] / rates[-2] - 1) <= SETTLED and self._is_level(began_s):
                return time.monotonic() - began_s
        if rates:
            self.findings.append(codes.finding("steady_state_not_reached", seconds=self.context.profile.warmup_s))
        return time.monotonic() - began_s

    def _is_level(self, began_s: float) -> bool:
        """Whether temperature and power are level for as long as required."""
        now_s, slope_s = time.monotonic(), self.context.profile.slope_s
        return not slope_s or (now_s - began_s >= slope_s and steady_state.is_steady(self.sampler.trace(), now_s - slope_s, now_s))

    def _ask_kernels(self) -> None:
        """Ask for the kernels that ran, once per case and after all measurements."""
        if not self.task.profiled and not self._load:  # a server also ends in answer to this
            return
        self.conversation.send(AskKernels())
        try:
            reply = self.conversation.wait_for(Kernels, Limit(PROFILE_PATIENCE_S + self._query_limit.seconds, "profiling the kernels", ""))
        except (TaskEndedError, EOFError, WorkerError) as error:
            self.facts["profile_failed"] = str(error) or "the process died in its profiler"
            return
        self.kernels = reply.kernels
        self.facts |= reply.facts
        self.facts |= {"precision_reported": self._precision} if self.kernels else {}
        self.facts |= {"stored_types": list(reply.stored)} if reply.stored is not None else {}
        self.facts |= {"profile_failed": reply.reason} if reply.reason else {}

    @property
    def _load(self) -> TokenLoad | None:
        """Load of a case that generates text; None for any other task."""
        return self.task.case.load if self.task.case else None

    @property
    def _evaluation_s(self) -> float:
        """Time limit of the child's evaluation with lm_eval, s; 0 without one."""
        evaluation = self.request.task.evaluation if isinstance(self.request.task, ServeTask) and self.task.profiled else None
        return evaluation.timeout_s if evaluation else 0.0

    @property
    def _query_s(self) -> float:
        """Duration of the first query in seconds."""
        assert self.ready
        return self.ready.first_query_s

    @property
    def _precision(self) -> str | None:
        return self.ready.precision if self.ready else None

    @property
    def _query_limit(self) -> Limit:
        return self.timing.querying(self._query_s, self.task.case.in_flight if self.task.case else 1)

    def _groups(self) -> int:
        """Numbers of query groups reserved for each repetition."""
        return int((self.timing.window_s(self._query_s) + LEAD_IN_S) / GROUP_S) + 1

    def _outcome(self, end: _End, trace: Trace) -> Outcome:
        case, ended = self.task.case, end.status == "ok"
        raw = Raw(
            trace=trace,
            windows=self.windows.closed,
            completions=child_array(self._path("completions"), (3, 0)),
            per_sample=child_array(self._path("per_sample"), (0,)),
            scores=self.result.quality if self.result else None,
            load_s=self.conversation.marks.get("warmup"),
            clock_step_s=time.time() - time.monotonic() - self.offset_s,
            precision=self._precision,
            kernels=self.kernels,
            facts=self.facts,
            requests=child_array(self._path("requests"), (len(REQUEST_COLUMNS), 0)),
        )
        setting = Setting(
            case=case,
            domains=self.context.domains,
            allow=self.context.allow,
            simulated=self.request.simulated,
            shift_s=self.timing.shift_s if case and not case.load else None,
            requested_precision=self.request.precision,
            profiled=self.task.profiled,
            slo=self.context.slo,
        )
        figures_ = figures(raw, setting, ended=ended)
        record = Record(
            run_id=self.context.run_id,
            **self.task.identity,
            status=end.status,
            reason=end.reason,
            environment_id=self.context.environment_id,
            boot_id=self.context.boot_id,
            started_utc=self.started_utc.isoformat(timespec="milliseconds"),
            utc_minus_monotonic_s=self.offset_s,
            windows=tuple(self.windows.closed),
            load_s=raw.load_s,
            clock_step_s=raw.clock_step_s,
            copies=case.copies if case else None,
            in_flight=case.in_flight if case else None,
            shift_s=setting.shift_s,
            profiled=self.task.profiled if case else None,
            peak_memory_bytes=self.result.peak_memory_bytes if self.result else None,
            resident_bytes=self.result.resident_bytes if self.result else None,
            kernels=self.kernels,
            engine_facts=self.facts,
            artifact=self.request.artifact or (self.result.artifact if self.result else None),
            warnings=(*self.findings, *figures_.findings),
            stderr_tail=None if ended else self.child.tail or None,
            **figures_.of_record(trace),
        )
        outputs, evaluation = child_array(self._path("outputs"), (0,)), child_text(self._path("evaluation"))
        return Outcome(record, trace, raw.completions, raw.per_sample, end.interrupted, outputs, raw.requests, evaluation)
