"""Polls the sensors from a thread of the parent: slowly between the edges of a window, quickly at them.

slow        | fast until each counter has ticked | slow ... | fast | slow
lead-in      ^ begin                               window    ^ end
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from harness.analysis.counter import CLEAN_GAP_S
from harness.errors import SensorError
from harness.schema import Domain, Sample, Trace
from harness.sensors.base import PATIENCE_S, Sensor

FAST_POLL_S = 0.0004
OVERDUE_S = 0.1
CONDITION_PERIOD_S = 0.25
"""Temperatures, clocks and loads need no more; each read takes time from the machine that is measured."""
KEEP_PERIOD_S = 1.0
LATEST = 3
"""One read that is slow does not take a counter out of an edge."""
BATCH_S = 0.01
"""What is due so soon is read at once: waking up costs more than reading."""


class Stream:
    """The readings of one domain so far."""

    def __init__(self, sensor: Sensor, domain: Domain) -> None:
        self.sensor = sensor
        self.domain = domain
        self.period_s = domain.poll_period_s or (sensor.period_s if domain.kind else max(sensor.period_s, CONDITION_PERIOD_S))
        self.due_s = 0.0
        self.failure: str | None = None
        self.still = False
        """Whether an edge waited for it in vain, and it has not moved since."""
        self._start, self._end, self._value = array("d"), array("d"), array("d")
        self._last = (float("nan"), float("nan"))
        self._kept = 0

    def read(self) -> float:
        """Read once; a failure is kept as NaN with its reason."""
        start = time.monotonic()
        try:
            value = self.sensor.read(self.domain.name)
        except SensorError as error:
            self.failure = str(error)
            value = float("nan")
        except Exception as error:  # somebody else's sensor: the sampler must outlive it
            self.failure = f"the sensor failed with {type(error).__name__}: {error}"
            value = float("nan")
        self._start.append(start)
        self._end.append(time.monotonic())
        self._value.append(value)
        if np.isfinite(value):
            self.still = self.still and value == self._last[1]
            self._last = ((start + self._end[-1]) / 2, value)
        self.due_s = start + self.period_s
        return value

    def last(self) -> tuple[float, float]:
        """(middle of the read, value) of the newest reading that did not fail; NaN before the first."""
        return self._last

    @property
    def ticks_cleanly(self) -> bool:
        """Whether it is a counter that moves, and its latest reads were not all too slow to bracket a tick: it would keep the others from theirs."""
        if self.domain.quantity != "energy" or self.still:
            return False
        latest = zip(self._start[-LATEST:], self._end[-LATEST:], strict=True)
        return min((end - start for start, end in latest), default=0.0) <= CLEAN_GAP_S

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


class Sampler:
    """Samples every domain of the sensors given, from `start` to `stop`.

    Args:
        sensors: Opened sensors, each with its domains.
        keep: Given what is new about once a second while nothing is polled quickly, so that a harness that is killed leaves it; null: nobody.
    """

    def __init__(
        self, sensors: Iterable[tuple[Sensor, Sequence[Domain]]], keep: Callable[[Mapping[str, Sample]], None] | None = None
    ) -> None:
        self._keep, self._kept_s = keep, time.monotonic()
        self._streams = [Stream(sensor, domain) for sensor, domains in sensors for domain in domains]
        self._lock = threading.Lock()  # a sensor is read by one thread at a time
        self._wake = threading.Event()
        self._over = False
        self._pending: dict[Stream, int] = {}
        self._reached = threading.Event()
        self._close_until_s = 0.0
        self._thread = threading.Thread(target=self._loop, name="sampler", daemon=True)

    def start(self) -> None:
        """Read everything once, then begin to poll."""
        self.read_all()
        self._thread.start()

    def stop(self) -> Trace:
        """End the polling and give what was seen."""
        self._over = True
        self._wake.set()
        if self._thread.ident:
            self._thread.join()
        self.read_all()
        return self.trace()

    def trace(self) -> Trace:
        """What was seen so far."""
        with self._lock:
            return Trace(
                domains={s.domain.name: s.domain for s in self._streams},
                samples={s.domain.name: s.sample() for s in self._streams},
                failures={s.domain.name: s.failure for s in self._streams if s.failure},
            )

    def read_all(self) -> None:
        """Read every domain now: the edges of what has no ticks."""
        with self._lock:
            for stream in self._streams:
                stream.read()

    def edge(self, ticks: int = 1) -> threading.Event:
        """Poll the counters quickly until each has shown `ticks` clean ticks.

        Returns:
            An event that is set then; at once where there is no counter that works.
        """
        reached = threading.Event()
        with self._lock:
            self._pending = {s: ticks for s in self._streams if s.ticks_cleanly and s.answers()}
            self._reached = reached
        if not self._pending:
            reached.set()
        self._wake.set()
        return reached

    def watch_closely(self, seconds: float) -> None:
        """Poll every counter quickly for a time: where the load begins, its lag shows."""
        self._close_until_s = time.monotonic() + seconds
        self._wake.set()

    def give_up(self) -> None:
        """Stop polling quickly for a counter that does not tick."""
        with self._lock:
            for stream in self._pending:
                stream.still = True
            self._pending = {}

    def _loop(self) -> None:
        while not self._over:
            if self._pending or time.monotonic() < self._close_until_s:
                self._poll_counters()
                self._poll_one_overdue()
                time.sleep(FAST_POLL_S)
            else:
                self._keep_fresh()
                self._wake.wait(self._poll_due())
                self._wake.clear()

    def _keep_fresh(self) -> None:
        if self._keep and time.monotonic() - self._kept_s >= KEEP_PERIOD_S:
            self._kept_s = time.monotonic()
            with self._lock:
                fresh = {stream.domain.name: stream.fresh() for stream in self._streams}
            self._keep(fresh)

    def _poll_due(self) -> float:
        """Read what is due; returns how long until the next."""
        with self._lock:
            now = time.monotonic()
            for stream in self._streams:
                if stream.due_s <= now + BATCH_S:
                    stream.read()
            return max(0.0, min((s.due_s for s in self._streams), default=now + 1.0) - time.monotonic())

    def _poll_counters(self) -> None:
        """Read each counter that still owes a tick, or every one that is watched closely."""
        with self._lock:
            closely = time.monotonic() < self._close_until_s
            for stream in [s for s in self._streams if s.ticks_cleanly] if closely else list(self._pending):
                before, old = stream.last()
                new = stream.read()
                ticked = new != old and np.isfinite(new) and np.isfinite(old) and stream.last()[0] - before <= CLEAN_GAP_S
                if ticked and stream in self._pending:
                    self._pending[stream] -= 1
                    if not self._pending[stream]:
                        del self._pending[stream]
            if not self._pending:
                self._reached.set()

    def _poll_one_overdue(self) -> None:
        """While the counters are polled quickly the rest is read late and one at a time, so that no poll gap grows."""
        with self._lock:
            late = [s for s in self._streams if s.domain.quantity != "energy" and s.due_s < time.monotonic() - OVERDUE_S]
            if late:
                min(late, key=lambda s: s.due_s).read()
