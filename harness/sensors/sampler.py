"""Polls the sensors from a thread of the parent: slowly between the edges of a window, quickly at them.

slow        | fast until each counter has ticked | slow ... | fast | slow
lead-in      ^ begin                               window    ^ end

A counter that ticks regularly is polled quickly only around the time at which its next tick is due.

Only the domains near the case are polled quickly; the rest of the machine (other cards) is read every few seconds. Slow polling is
stretched where reads are slow, so that it takes a bounded share of the time and of a core however many cards there are.
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

from harness.energy.tick_prediction import TickPredictor
from harness.energy.ticks import bracket_s, narrow_s, similar_s
from harness.errors import SensorError
from harness.schema import Domain, Sample, Trace
from harness.sensors.base import PATIENCE_S, Sensor

FAST_POLL_S = 0.0004
OVERDUE_S = 0.1
CONDITION_PERIOD_S = 0.25
"""Temperatures, clocks and loads need no more; each read takes time from the machine that is measured."""
SELDOM_S = 1.0
"""What is read more seldom is read at the edges of a window: the shortest would hold none of its readings."""
FAR_PERIOD_S, FAR_CONDITION_PERIOD_S = 1.0, 5.0
"""Of what is not near the case: it is recorded, and no figure of the case depends on it."""
KEEP_PERIOD_S = 1.0
LATEST = 5
"""Reads that the cost of a read is the median of."""
BATCH_S = 0.01
"""What is due so soon is read at once: waking up costs more than reading."""
QUICK_READ_S = 0.0005
"""A gauge whose read takes no longer may be read while a counter is polled quickly."""
WALL_SHARE, CORE_SHARE = 0.25, 0.01
"""Of the time and of a core: the most that slow polling takes; slower reads are made less often."""
MEASURED = ("sampled", "simulated")
STARVED_S = 0.3
"""A measured power waits no longer for its turn than this, however slow it is to read."""
LATENCY_S = 0.001
"""How late a sleep may end."""
WIDE_TICKS = 3
"""Ticks that an edge waits for a narrow bracket before it takes the narrowest so far."""


class Stream:
    """The readings of one domain so far.

    Args:
        sensor: Reads it.
        domain: What is read.
        near: Whether the case's figures depend on it.
    """

    def __init__(self, sensor: Sensor, domain: Domain, near: bool = True) -> None:
        self.sensor = sensor
        self.domain = domain
        self.near = near
        least_s = (0.0, CONDITION_PERIOD_S) if near else (FAR_PERIOD_S, FAR_CONDITION_PERIOD_S)
        self.base_s = (near and domain.poll_period_s) or max(sensor.period_s, least_s[not domain.kind])
        self.period_s = self.base_s
        gauge = near and domain.kind in MEASURED and domain.quantity != "energy"
        covers_s = 0.0 if domain.part_time else domain.average_s or 0.0
        self.most_s = max(STARVED_S, covers_s / 2) if gauge else math.inf
        """The longest that its period is stretched to: the shortest window holds enough readings of a power that no counter stands before."""
        self.due_s = 0.0
        self.failure: str | None = None
        self.still = False
        """Whether an edge waited for it in vain, and it has not moved since."""
        self.rhythm = TickPredictor(domain.update_period_s)
        self.expected_s: tuple[float, float] | None = None
        """Between when an edge expects its next tick; None: it is polled for all the time."""
        self.step_s: float | None = None
        """Width of the bracket around the tick that the newest reading shows; None where it shows none."""
        self._start, self._end, self._value = array("d"), array("d"), array("d")
        self._costs: deque[float] = deque(maxlen=LATEST)
        self._core: deque[float] = deque(maxlen=LATEST)
        self._last = (float("nan"), float("nan"))
        self._kept = 0

    def read(self) -> float:
        """Read once; a failure is kept as NaN with its reason."""
        used, start = time.thread_time(), time.monotonic()
        try:
            value = self.sensor.read(self.domain.name)
        except SensorError as error:
            self.failure = str(error)
            value = float("nan")
        except Exception as error:  # somebody else's sensor: the sampler must outlive it
            self.failure = f"the sensor failed with {type(error).__name__}: {error}"
            value = float("nan")
        end = time.monotonic()
        self._costs.append(end - start)
        self._core.append(time.thread_time() - used)
        self._start.append(start)
        self._end.append(end)
        self._value.append(value)
        self.step_s = None
        if np.isfinite(value):
            before_s, before = self._last
            if value != before and np.isfinite(before):
                self.step_s = float(bracket_s(before_s, start, end, self.domain.update_period_s))
                if self.step_s <= self.narrow_s:
                    self.rhythm.add(end - self.step_s / 2, self.step_s)
            self.still = self.still and value == before
            self._last = (start, value)
        self.due_s = start + self.period_s
        return value

    @property
    def cost_s(self) -> float:
        """How long a read takes, s; 0 before the first."""
        return statistics.median(self._costs) if self._costs else 0.0

    @property
    def core_s(self) -> float:
        """How much of a core's time a read takes, s."""
        return statistics.median(self._core) if self._core else 0.0

    @property
    def narrow_s(self) -> float:
        """Width of a bracket that reads of this length allow."""
        return narrow_s(self.cost_s)

    def expect(self) -> None:
        """Predict the next tick that an edge may wait for."""
        self.expected_s = self.rhythm.next_s(time.monotonic())

    def ahead_s(self, now_s: float) -> float:
        """How long until polling for the expected tick begins, s; 0 where it has begun, or nothing is expected."""
        if self.expected_s and now_s > self.expected_s[1]:  # it did not come
            self.rhythm.forget()
            self.expected_s = None
        return max(0.0, self.expected_s[0] - now_s) if self.expected_s else 0.0

    @property
    def ticks(self) -> bool:
        """Whether it is a counter near the case that moves."""
        return self.domain.quantity == "energy" and self.near and not self.still

    def answers(self) -> bool:
        """Whether a read succeeds now, or after a few more tries."""
        until_s = time.monotonic() + PATIENCE_S
        while not np.isfinite(self.read()):
            if time.monotonic() > until_s:
                return False
            time.sleep(FAST_POLL_S)
        return True

    def sample(self) -> Sample:
        """Everything so far, as arrays."""
        return Sample(np.array(self._start), np.array(self._end), np.array(self._value))

    def fresh(self) -> Sample:
        """What came since this was last asked."""
        since, self._kept = self._kept, len(self._value)
        return Sample(np.array(self._start[since:]), np.array(self._end[since:]), np.array(self._value[since:]))


class Edge:
    """One edge of a window: the ticks that each counter has shown while it was polled quickly.

    Args:
        streams: The counters that are waited for.
        ticks: How many each should show, so that there is a choice.
        allowed: The widest bracket that is narrow enough for a counter, s, by its name; None: any will do.
    """

    def __init__(self, streams: Iterable[Stream], ticks: int, allowed: Callable[[str], float] | None = None) -> None:
        self.pending: dict[Stream, list[float]] = {stream: [] for stream in streams}
        self.brackets_s: dict[str, list[float]] = {stream.domain.name: seen for stream, seen in self.pending.items()}
        """Widths of the brackets around the ticks so far, s, by counter."""
        self.reached = threading.Event()
        self._wanted, self._allowed = ticks, allowed
        for stream in self.pending:
            stream.expect()
        if not self.pending:
            self.reached.set()

    def note(self, stream: Stream) -> None:
        """Count the tick that the newest reading of a counter shows, if it shows one."""
        seen = self.pending.get(stream)
        if seen is None or stream.step_s is None:
            return
        seen.append(stream.step_s)
        if stream.expected_s and stream.step_s > stream.narrow_s:  # it came when nobody looked
            stream.rhythm.forget()
        stream.expect()
        enough = sum(width <= stream.narrow_s for width in seen) >= self._wanted or len(seen) >= self._wanted + WIDE_TICKS
        if enough and (self._allowed is None or similar_s(seen) <= self._allowed(stream.domain.name)):
            del self.pending[stream]
            if not self.pending:
                self.reached.set()


class Sampler:
    """Samples every domain of the sensors given, from `start` to `stop`.

    Args:
        sensors: Opened sensors, each with its domains.
        keep: Given what is new about once a second while nothing is polled quickly, so that a harness that is killed leaves it; None: nobody.
        near: Names of the domains that the case's figures depend on; None: all of them.
    """

    def __init__(
        self,
        sensors: Iterable[tuple[Sensor, Sequence[Domain]]],
        keep: Callable[[Mapping[str, Sample]], None] | None = None,
        near: Collection[str] | None = None,
    ) -> None:
        self._keep, self._kept_s = keep, time.monotonic()
        self._streams = [Stream(sensor, domain, near is None or domain.name in near) for sensor, domains in sensors for domain in domains]
        ticking = {s.domain.name for s in self._streams if s.domain.quantity == "energy" and s.domain.update_period_s}
        for stream in self._streams:
            if stream.domain.counter in ticking:
                stream.most_s = math.inf
        self._lock = threading.Lock()  # a sensor is read by one thread at a time
        self._wake = threading.Event()
        self._over = False
        self._edge = Edge((), 0)
        self._close_until_s = 0.0
        self._thread = threading.Thread(target=self._loop, name="sampler", daemon=True)

    def start(self) -> None:
        """Read everything once, then begin to poll."""
        for stream in self._streams:
            self._read(stream)
        self._pace()
        for stream in self._streams:
            stream.due_s += stream.period_s - stream.base_s
        self._thread.start()

    def stop(self) -> Trace:
        """End the polling and give what was seen."""
        self._over = True
        self._wake.set()
        if self._thread.ident:
            self._thread.join()
        for stream in self._streams:
            self._read(stream)
        return self.trace()

    def trace(self) -> Trace:
        """What was seen so far."""
        with self._lock:
            return Trace(
                domains={s.domain.name: s.domain for s in self._streams},
                samples={s.domain.name: s.sample() for s in self._streams},
                failures={s.domain.name: s.failure for s in self._streams if s.failure},
            )

    def read_gauges(self) -> None:
        """Read what has no ticks near the case, now: power and what counts time, whose edges are bracketed so, and what is else read too seldom for a window."""
        for stream in self._streams:
            domain = stream.domain
            if stream.near and domain.quantity != "energy" and (domain.kind or domain.quantity == "duration" or stream.period_s > SELDOM_S):
                self._read(stream)

    def edge(self, ticks: int = 1, allowed: Callable[[str], float] | None = None) -> Edge:
        """Poll the counters near the case quickly until each has shown `ticks` narrow ticks.

        Args:
            ticks: How many.
            allowed: The widest bracket that is narrow enough for a counter, s, by its name; None: the narrowest of a few ticks will do.

        Returns:
            The edge; it is reached at once where there is no counter that works.
        """
        with self._lock:
            self._edge = Edge([s for s in self._streams if s.ticks and s.answers()], ticks, allowed)
        self._wake.set()
        return self._edge

    def watch_closely(self, seconds: float) -> None:
        """Poll every counter near the case quickly for a time: where the load begins, its lag shows."""
        self._close_until_s = time.monotonic() + seconds
        self._wake.set()

    def give_up(self) -> None:
        """Stop polling quickly; a counter that showed no tick is not waited for again until it moves."""
        with self._lock:
            for stream, seen in self._edge.pending.items():
                stream.still = not seen
            self._edge = Edge((), 0)

    def _read(self, stream: Stream) -> None:
        with self._lock:
            stream.read()

    @property
    def _quickly(self) -> bool:
        return bool(self._edge.pending) or time.monotonic() < self._close_until_s

    def _loop(self) -> None:
        while not self._over:
            if self._quickly:
                ahead_s = self._ahead_s()
                if not ahead_s:
                    self._poll_counters()
                self._poll_one_overdue(ahead_s)
                time.sleep(min(max(FAST_POLL_S, ahead_s - LATENCY_S), OVERDUE_S))
            else:
                self._keep_fresh()
                self._poll_due()
                if not self._quickly:
                    self._wake.wait(max(0.0, min((s.due_s for s in self._streams), default=time.monotonic() + 1.0) - time.monotonic()))
                self._wake.clear()

    def _keep_fresh(self) -> None:
        if time.monotonic() - self._kept_s < KEEP_PERIOD_S:
            return
        self._kept_s = time.monotonic()
        self._pace()
        if self._keep:
            with self._lock:
                fresh = {stream.domain.name: stream.fresh() for stream in self._streams}
            self._keep(fresh)

    def _pace(self) -> None:
        """Stretch the periods so that slow polling takes no more than its share, whatever a read costs."""
        wall, core = (
            sum(cost / s.base_s for s, cost in costs)
            for costs in ([(s, s.cost_s) for s in self._streams], [(s, s.core_s) for s in self._streams])
        )
        stretch = max(1.0, wall / WALL_SHARE, core / CORE_SHARE)
        for stream in self._streams:
            stream.period_s = max(stream.base_s, min(stream.base_s * stretch, stream.most_s))

    def _poll_due(self) -> None:
        """Read what is due, the most overdue first, until an edge is asked for."""
        until_s = time.monotonic() + BATCH_S
        for stream in sorted((s for s in self._streams if s.due_s <= until_s), key=lambda s: s.due_s):
            if self._quickly or self._over:
                return
            self._read(stream)

    def _ahead_s(self) -> float:
        """How long nobody need poll quickly: no counter that owes a tick is expected to tick."""
        with self._lock:
            now_s = time.monotonic()
            if now_s < self._close_until_s:
                return 0.0
            return min((stream.ahead_s(now_s) for stream in self._edge.pending), default=0.0)

    def _poll_counters(self) -> None:
        """Read each counter that still owes a tick and may show it now, or every one that is watched closely."""
        with self._lock:
            now_s = time.monotonic()
            closely = now_s < self._close_until_s
            owing = [s for s in self._edge.pending if not s.ahead_s(now_s)]
            for stream in [s for s in self._streams if s.ticks] if closely else owing:
                stream.read()
                self._edge.note(stream)

    def _poll_one_overdue(self, ahead_s: float) -> None:
        """While the counters are polled quickly the rest is read late and one at a time, so that no bracket grows much.

        What is slow to read has its turn where no tick is due meanwhile; a power reading also where it has waited long, since it may have to
        stand in for a counter that does not tick.
        """
        with self._lock:
            now_s, least_s = time.monotonic(), max(QUICK_READ_S, ahead_s / 2)
            late = [s for s in self._streams if s.near and s.domain.quantity != "energy" and s.due_s < now_s - OVERDUE_S]
            late = [s for s in late if s.cost_s <= least_s or (s.domain.kind in MEASURED and s.due_s < now_s - STARVED_S)]
            if late:
                min(late, key=lambda s: s.due_s).read()
