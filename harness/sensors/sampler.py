"""The sampler: a thread of the parent that polls the sensors, quickly at the edges of a window and slowly between them.

slow        | fast until each counter has ticked | slow ... | fast | slow
lead-in      ^ begin                               window    ^ end

A counter that ticks regularly is polled quickly only around the time of its next tick.

Only the domains near the case are polled quickly; the others (other cards) are read every few seconds. If reads are slow, the periods of
slow polling are stretched, so that it takes a bounded share of the time and of a core with any number of cards.
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
"""Least period of temperatures, clocks and loads, since each read takes time from the measured machine."""
EDGE_READ_S = 1.0
"""A domain with a longer period is also read at the edges of a window; the shortest window would contain no reading."""
FAR_PERIOD_S, FAR_CONDITION_PERIOD_S = 1.0, 5.0
"""Least periods of domains that are not near the case: they are recorded, but no figure of the case depends on them."""
KEEP_PERIOD_S = 1.0
LATEST = 5
"""Number of reads whose median is the cost of a read."""
BATCH_S = 0.01
"""Domains due within this time are read at once, since waking up costs more than reading."""
QUICK_READ_S = 0.0005
"""A power reading that takes no longer may be read while a counter is polled quickly."""
WALL_SHARE, CORE_SHARE = 0.25, 0.01
"""Largest shares of the time and of a core for slow polling; slower reads are made less often."""
MEASURED = ("sampled", "simulated")
STARVED_S = 0.3
"""Longest time between readings of a measured power, however slow its reads are."""
LATENCY_S = 0.001
"""Largest delay of the end of a sleep."""
WIDE_TICKS = 3
"""Further ticks that an edge waits for narrow brackets before it takes the narrowest so far."""


class Stream:
    """Readings of one domain.

    Args:
        sensor: Sensor of the domain.
        domain: The domain.
        near: Whether figures of the case depend on it.
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
        """Longest stretched period, so that the shortest window has enough readings of a power without a counter."""
        self.due_s = 0.0
        self.failure: str | None = None
        self.still = False
        """Whether an edge waited for a tick without success and it has not changed since."""
        self.predictor = TickPredictor(domain.update_period_s)
        self.expected_s: tuple[float, float] | None = None
        """Interval in which an edge expects the next tick; None: it is polled all the time."""
        self.step_s: float | None = None
        """Width in s of the bracket around the tick of the latest reading; None if it has none."""
        self._start, self._end, self._value = array("d"), array("d"), array("d")
        self._costs: deque[float] = deque(maxlen=LATEST)
        self._core: deque[float] = deque(maxlen=LATEST)
        self._last = (float("nan"), float("nan"))
        self._kept = 0

    def read(self) -> float:
        """Read once; a failure is recorded as NaN, with its reason in `failure`."""
        used, start = time.thread_time(), time.monotonic()
        try:
            value = self.sensor.read(self.domain.name)
        except SensorError as error:
            self.failure = str(error)
            value = float("nan")
        except Exception as error:  # a plug-in may raise anything
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
                    self.predictor.add(end - self.step_s / 2, self.step_s)
            self.still = self.still and value == before
            self._last = (start, value)
        self.due_s = start + self.period_s
        return value

    @property
    def cost_s(self) -> float:
        """Duration of a read in s; 0 before the first."""
        return statistics.median(self._costs) if self._costs else 0.0

    @property
    def core_s(self) -> float:
        """CPU time of a read in s; 0 before the first."""
        return statistics.median(self._core) if self._core else 0.0

    @property
    def narrow_s(self) -> float:
        """Width in s of the narrowest bracket that reads of this duration allow."""
        return narrow_s(self.cost_s)

    def expect(self) -> None:
        """Predict the next tick."""
        self.expected_s = self.predictor.next_s(time.monotonic())

    def ahead_s(self, now_s: float) -> float:
        """Time in s until polling for the expected tick begins; 0 if it has begun or no tick is expected."""
        if self.expected_s and now_s > self.expected_s[1]:  # there was no tick
            self.predictor.forget()
            self.expected_s = None
        return max(0.0, self.expected_s[0] - now_s) if self.expected_s else 0.0

    @property
    def ticks(self) -> bool:
        """Whether it is a counter near the case that changes."""
        return self.domain.quantity == "energy" and self.near and not self.still

    @property
    def read_at_edges(self) -> bool:
        """Whether it has no ticks, is near the case, and is a power, a counter of time, or polled too rarely for a window."""
        domain = self.domain
        to_read = domain.kind or domain.quantity == "duration" or self.period_s > EDGE_READ_S
        return self.near and domain.quantity != "energy" and bool(to_read)

    def is_readable(self) -> bool:
        """Whether a read succeeds within `PATIENCE_S`."""
        until_s = time.monotonic() + PATIENCE_S
        while not np.isfinite(self.read()):
            if time.monotonic() > until_s:
                return False
            time.sleep(FAST_POLL_S)
        return True

    def sample(self) -> Sample:
        """All readings."""
        return Sample(np.array(self._start), np.array(self._end), np.array(self._value))

    def fresh(self) -> Sample:
        """Readings since the previous call."""
        since, self._kept = self._kept, len(self._value)
        return Sample(np.array(self._start[since:]), np.array(self._end[since:]), np.array(self._value[since:]))


class Edge:
    """One edge of a window: the ticks of each counter while it is polled quickly.

    Args:
        streams: Counters to wait for.
        ticks: Number of narrow ticks per counter, from which one is chosen.
        allowed: Function from the name of a counter to its widest allowed bracket in s; None allows any.
    """

    def __init__(self, streams: Iterable[Stream], ticks: int, allowed: Callable[[str], float] | None = None) -> None:
        self.pending: dict[Stream, list[float]] = {stream: [] for stream in streams}
        self.brackets_s: dict[str, list[float]] = {stream.domain.name: widths for stream, widths in self.pending.items()}
        """Widths in s of the brackets around the ticks so far, by counter."""
        self.reached = threading.Event()
        self._ticks, self._allowed = ticks, allowed
        for stream in self.pending:
            stream.expect()
        if not self.pending:
            self.reached.set()

    def note(self, stream: Stream) -> None:
        """Record the tick of a counter's latest reading, if there is one."""
        widths = self.pending.get(stream)
        if widths is None or stream.step_s is None:
            return
        widths.append(stream.step_s)
        if stream.expected_s and stream.step_s > stream.narrow_s:  # the tick was outside the expected interval
            stream.predictor.forget()
        stream.expect()
        enough = sum(width <= stream.narrow_s for width in widths) >= self._ticks or len(widths) >= self._ticks + WIDE_TICKS
        if enough and (self._allowed is None or similar_s(widths) <= self._allowed(stream.domain.name)):
            del self.pending[stream]
            if not self.pending:
                self.reached.set()


class Sampler:
    """Samples all domains of the sensors from `start` to `stop`.

    Args:
        sensors: Opened sensors with their domains.
        keep: Function that stores new readings, called about once a second during slow polling, so that a killed harness leaves them.
        near: Names of the domains that figures of the case depend on; None for all.
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
        """Read every domain once, then start polling."""
        for stream in self._streams:
            self._read(stream)
        self._pace()
        for stream in self._streams:
            stream.due_s += stream.period_s - stream.base_s
        self._thread.start()

    def stop(self) -> Trace:
        """Stop polling, and return all readings."""
        self._over = True
        self._wake.set()
        if self._thread.ident:
            self._thread.join()
        for stream in self._streams:
            self._read(stream)
        return self.trace()

    def trace(self) -> Trace:
        """Readings so far."""
        with self._lock:
            return Trace(
                domains={s.domain.name: s.domain for s in self._streams},
                samples={s.domain.name: s.sample() for s in self._streams},
                failures={s.domain.name: s.failure for s in self._streams if s.failure},
            )

    def read_gauges(self) -> None:
        """Read now what has no ticks near the case: power, counters of time, and domains with too long a period for a window."""
        for stream in self._streams:
            if stream.read_at_edges:
                self._read(stream)

    def edge(self, ticks: int = 1, allowed: Callable[[str], float] | None = None) -> Edge:
        """Poll the counters near the case quickly until each has shown enough narrow ticks.

        Args:
            ticks: Number of narrow ticks per counter.
            allowed: Function from the name of a counter to its widest allowed bracket in s; None allows any.

        Returns:
            The edge, which is reached immediately if no counter works.
        """
        with self._lock:
            self._edge = Edge([s for s in self._streams if s.ticks and s.is_readable()], ticks, allowed)
        self._wake.set()
        return self._edge

    def watch_closely(self, seconds: float) -> None:
        """Poll every counter near the case quickly for a time; the start of the load shows a counter's lag."""
        self._close_until_s = time.monotonic() + seconds
        self._wake.set()

    def give_up(self) -> None:
        """Stop polling quickly; a counter without a tick is not waited for again until it changes."""
        with self._lock:
            for stream, widths in self._edge.pending.items():
                stream.still = not widths
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
        """Stretch the periods so that slow polling takes at most its shares of the time and of a core."""
        wall = sum(stream.cost_s / stream.base_s for stream in self._streams)
        core = sum(stream.core_s / stream.base_s for stream in self._streams)
        stretch = max(1.0, wall / WALL_SHARE, core / CORE_SHARE)
        for stream in self._streams:
            stream.period_s = max(stream.base_s, min(stream.base_s * stretch, stream.most_s))

    def _poll_due(self) -> None:
        """Read the due domains, the most overdue first, until an edge is requested."""
        until_s = time.monotonic() + BATCH_S
        for stream in sorted((s for s in self._streams if s.due_s <= until_s), key=lambda s: s.due_s):
            if self._quickly or self._over:
                return
            self._read(stream)

    def _ahead_s(self) -> float:
        """Time in s until a pending counter is expected to tick; 0 during close watching."""
        with self._lock:
            now_s = time.monotonic()
            if now_s < self._close_until_s:
                return 0.0
            return min((stream.ahead_s(now_s) for stream in self._edge.pending), default=0.0)

    def _poll_counters(self) -> None:
        """Read each pending counter whose tick may be due, or every counter during close watching."""
        with self._lock:
            now_s = time.monotonic()
            closely = now_s < self._close_until_s
            due = [s for s in self._edge.pending if not s.ahead_s(now_s)]
            for stream in [s for s in self._streams if s.ticks] if closely else due:
                stream.read()
                self._edge.note(stream)

    def _poll_one_overdue(self, ahead_s: float) -> None:
        """Read the most overdue other domain: only one during quick polling, so that brackets stay narrow.

        A slow read has its turn when no tick is due meanwhile; a power reading also after a long wait, since it may have to replace a counter
        that does not tick.
        """
        with self._lock:
            now_s, least_s = time.monotonic(), max(QUICK_READ_S, ahead_s / 2)
            late = [s for s in self._streams if s.near and s.domain.quantity != "energy" and s.due_s < now_s - OVERDUE_S]
            late = [s for s in late if s.cost_s <= least_s or (s.domain.kind in MEASURED and s.due_s < now_s - STARVED_S)]
            if late:
                min(late, key=lambda s: s.due_s).read()
