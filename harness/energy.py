"""Trace + windows -> measurements: counter differences from tick to tick, integrals of power, idle, edges. Pure.

A counter that updates every u seconds is a staircase. Its value is exact only at a step, so a window begins and ends at steps
("ticks"), and the energy between them is the difference of the values; nothing is interpolated and nothing subtracted:

    value            ____|
                ____|    .
           ____|    .    .
          |    .    .    .
       ---+----|----|----|---> t        tick = middle of the two polls that bracket the step
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.counter import CLEAN_GAP_S, EDGE_TICKS, Ticks, ticks, unwrap
from harness.analysis.lag import Lag
from harness.schema import Domain, Floats, Measurement, Sample, Trace

WAIT_S = 0.0005
"""A longer gap between two queries of a shifted load is a wait."""
SAME_S = 1e-6
"""Two ticks are never so close: a stored edge is found again within this."""


@dataclass(frozen=True)
class Window:
    """When a phase was asked to begin and end, and when every sensor had been read for it.

    Attributes:
        phase: Its name.
        begin_s: From here on the counters were polled quickly for the first edge.
        open_s: By now each had ticked, and the rest had been read.
        end_s: From here on they were polled quickly for the last edge.
        close_s: By now each had ticked again, and the rest had been read.
        edges: False where nobody polled for ticks (load, warm-up, quality): the counter is then interpolated at the edges.
    """

    phase: str
    begin_s: float
    open_s: float
    end_s: float
    close_s: float
    edges: bool = True

    @classmethod
    def loose(cls, phase: str, start_s: float, end_s: float) -> Window:
        """A phase whose edges nobody aligned."""
        return cls(phase, start_s, start_s, end_s, end_s, edges=False)


@dataclass(frozen=True)
class Progress:
    """How many inferences had been completed when: arrays of one length, non-decreasing."""

    t_s: Floats
    inferences: Floats
    waits: Floats
    """Shape (n, 2): where the load paused so that its phase was shifted, s."""

    @classmethod
    def of(
        cls, start_ns: Sequence[int], end_ns: Sequence[int], count: Sequence[int], batch_size: int, *, shifted: bool = False
    ) -> Progress:
        """From the completion times of queries (or chunks of queries).

        Args:
            start_ns: When each began, CLOCK_MONOTONIC.
            end_ns: When each had ended.
            count: Queries that ended together.
            batch_size: Inferences a query.
            shifted: Whether gaps between queries are waits that shifted the load's phase.
        """
        begun_s, ended_s = (np.asarray(times, dtype=np.float64) * 1e-9 for times in (start_ns, end_ns))
        pauses = np.stack([ended_s[:-1], begun_s[1:]], axis=1) if shifted and len(ended_s) else np.zeros((0, 2))
        done = np.cumsum(np.asarray(count, dtype=np.float64)) * batch_size
        before = np.concatenate([np.zeros(len(begun_s[:1])), done[:-1]])
        # Nothing is completed in a wait; without waits a query begins where the last one ended.
        begins = slice(None) if shifted else slice(1)
        t_s, inferences = np.concatenate([begun_s[begins], ended_s]), np.concatenate([before[begins], done])
        order = np.lexsort((inferences, t_s))
        return cls(t_s[order], inferences[order], pauses[pauses[:, 1] - pauses[:, 0] > WAIT_S])

    def between(self, start_s: float, end_s: float) -> float | None:
        """Inferences completed in an interval, fractions by linear interpolation of completion times; null where it is not covered."""
        if len(self.t_s) < 2 or start_s < self.t_s[0] or end_s > self.t_s[-1]:
            return None
        return float(np.interp(end_s, self.t_s, self.inferences) - np.interp(start_s, self.t_s, self.inferences))

    def waited_s(self, start_s: float, end_s: float) -> float:
        """How much of an interval the load paused."""
        overlaps = np.minimum(self.waits[:, 1], end_s) - np.maximum(self.waits[:, 0], start_s)
        return float(np.sum(np.maximum(overlaps, 0.0)))


def integrate(sample: Sample, start_s: float, end_s: float) -> float | None:
    """Energy of a power gauge over an interval, J: trapezoid, both edges interpolated.

    Returns:
        null where no reading brackets an edge: that would be extrapolation.
    """
    sample = sample.finite()
    t_s = sample.t_s
    if len(t_s) < 2 or t_s[0] > start_s or t_s[-1] < end_s or end_s <= start_s:
        return None
    inside = (t_s > start_s) & (t_s < end_s)
    edges = np.interp([start_s, end_s], t_s, sample.value)
    return float(
        np.trapezoid(np.concatenate([edges[:1], sample.value[inside], edges[1:]]), np.concatenate([[start_s], t_s[inside], [end_s]]))
    )


def integrate_means(sample: Sample, start_s: float, end_s: float) -> float | None:
    """Energy of readings that carry the mean power since the reading before, J: the rectangle rule."""
    sample = sample.finite()
    t_s = sample.t_s
    if len(t_s) < 2 or t_s[0] > start_s or t_s[-1] < end_s or end_s <= start_s:
        return None
    cumulative = np.concatenate([[0.0], np.cumsum(sample.value[1:] * np.diff(t_s))])
    return float(np.interp(end_s, t_s, cumulative) - np.interp(start_s, t_s, cumulative))


def measure(trace: Trace, windows: Iterable[Window], progress: Progress, lags: Mapping[str, Lag] | None = None) -> list[Measurement]:
    """The energy of every domain in every window.

    Args:
        trace: What the sensors said.
        windows: The phases, in order; `steady` gets inferences, idle and net.
        progress: The completions.
        lags: Of the counters for which it is known; null: of none.
    """
    windows = list(windows)
    found = []
    for domain in trace.domains.values():
        if domain.quantity in ("energy", "power", "mean_power"):
            rest = {index: _one(trace, domain, window, progress) for index, window in enumerate(windows) if window.phase != "steady"}
            idle_w = mean_power(m for m in rest.values() if m.phase == "idle")
            for index, window in enumerate(windows):
                found.append(rest.get(index) or _one(trace, domain, window, progress, idle_w, (lags or {}).get(domain.name)))
    return found


def again(trace: Trace, stored: Sequence[Measurement], progress: Progress) -> list[Measurement | None]:
    """The same measurements computed anew from the trace, between their own edges; a counter's lag is taken as stored.

    Returns:
        One for each; null where the trace lacks its domain, or where a counter's window has no energy: no tick tells its edges.
    """
    idle: dict[str, list[Measurement]] = {}
    found: dict[int, Measurement] = {}
    for index in sorted(range(len(stored)), key=lambda k: stored[k].phase == "steady"):  # idle goes first: steady is net of it
        was = stored[index]
        domain = trace.domains.get(was.domain)
        if domain is None or was.domain not in trace.samples or (was.poll_gap_s is None and _waited_for_ticks(domain, was.phase)):
            continue
        lag = None if was.lag_s is None else Lag(was.lag_s, 0.0)
        now = _one(trace, domain, _window_of(was), progress, mean_power(idle.get(was.domain, [])), lag)
        found[index] = now
        if was.phase == "idle":
            idle.setdefault(was.domain, []).append(now)
    return [found.get(index) for index in range(len(stored))]


def _waited_for_ticks(domain: Domain, phase: str) -> bool:
    """Whether the phase may begin and end at ticks of this domain."""
    return domain.quantity == "energy" and phase in ("idle", "steady")


def _window_of(was: Measurement) -> Window:
    """The window that a measurement came from: where polls bracket a tick, that tick alone lies at its edge."""
    start_s, end_s = was.start_s + (was.lag_s or 0.0), was.end_s + (was.lag_s or 0.0)
    if was.poll_gap_s is None:
        return Window.loose(was.phase, start_s, end_s)
    return Window(was.phase, start_s - SAME_S, start_s + SAME_S, end_s - SAME_S, end_s + SAME_S)


def is_level(trace: Trace, start_s: float, end_s: float) -> bool:
    """Whether the machine is in a steady state: temperature changes by less than 0.5 K/min, power by less than 0.5 %/min, beyond their noise.

    Args:
        trace: So far.
        start_s: From here on.
        end_s: Until now.
    """
    for name, domain in trace.domains.items():
        sample = trace.samples[name].finite()
        if domain.quantity == "energy":
            level, _ = unwrap(sample, domain.wrap_j)
            steps = ticks(level)
            sample = Sample(steps.t_s[1:], steps.t_s[1:], np.diff(steps.value_j) / np.diff(steps.t_s)) if len(steps.t_s) > 1 else sample
        if domain.kind == "modelled" or domain.quantity not in ("energy", "power", "temperature"):
            continue
        inside = (sample.t_s >= start_s) & (sample.t_s <= end_s)
        if np.sum(inside) > 3:
            line, covariance = np.polyfit(sample.t_s[inside] - start_s, sample.value[inside], 1, cov=True)
            bound = 0.5 if domain.quantity == "temperature" else 0.005 * abs(float(np.mean(sample.value[inside])))
            if 60 * (abs(line[0]) - 2 * np.sqrt(covariance[0, 0])) > bound:
                return False
    return True


def _one(
    trace: Trace, domain: Domain, window: Window, progress: Progress, idle_w: float | None = None, lag: Lag | None = None
) -> Measurement:
    """One domain, one window."""
    start_s, end_s, gross_j, edge_j, gap_s = _energy(trace, domain, window, progress)
    steady = window.phase == "steady"
    lag_s = lag.seconds if lag and lag.known and steady else None
    if steady and domain.part_time and gross_j is not None:
        waited_s = progress.waited_s(start_s, end_s)
        gross_j = gross_j - idle_w * waited_s if idle_w is not None else gross_j if not waited_s else None
    gauge = next((d for d in trace.domains.values() if d.counter == domain.name), None)
    start_s, end_s = start_s - (lag_s or 0.0), end_s - (lag_s or 0.0)
    busy_s = end_s - start_s - (progress.waited_s(start_s, end_s) if domain.part_time else 0.0)
    return Measurement(
        domain=domain.name,
        sensor=domain.sensor,
        kind="absent" if gross_j is None else domain.kind or "absent",
        phase=window.phase,
        start_s=start_s,
        end_s=end_s,
        inferences=progress.between(start_s, end_s) if steady else None,
        gross_j=gross_j,
        idle_w=idle_w if steady else None,
        net_j=gross_j - idle_w * busy_s if steady and gross_j is not None and idle_w is not None else None,
        integrated_j=integrate(trace.samples[gauge.name], start_s, end_s) if gauge else None,
        lag_s=lag_s,
        edge_j=edge_j,
        poll_gap_s=gap_s,
        device=domain.device,
        parent=domain.parent,
        counter=domain.counter,
        gain=domain.gain,
    )


def _energy(
    trace: Trace, domain: Domain, window: Window, progress: Progress
) -> tuple[float, float, float | None, float | None, float | None]:
    """(start, end, energy or null, standard uncertainty from the edges or null, wider poll gap or null)."""
    sample = trace.samples[domain.name]
    if domain.quantity != "energy":
        rule = integrate if domain.quantity == "power" else integrate_means
        return window.open_s, window.close_s, rule(sample, window.open_s, window.close_s), None, None
    level, resets = unwrap(sample, domain.wrap_j)
    if np.any((resets > window.begin_s) & (resets <= window.close_s)):
        return window.begin_s, window.close_s, None, None, None
    if not window.edges:
        return _free_edges(level, window)
    steps = ticks(level)
    first, last = _edge(steps, window.begin_s, window.open_s, progress), _edge(steps, window.end_s, window.close_s, progress)
    if first is None or last is None:
        return window.begin_s, window.close_s, None, None, None
    (t0, e0, gap0), (t1, e1, gap1) = first, last
    power = (e1 - e0) / (t1 - t0)
    return t0, t1, e1 - e0, power * float(np.hypot(gap0, gap1)) / (2 * np.sqrt(3)), max(gap0, gap1)


def _edge(steps: Ticks, from_s: float, until_s: float, progress: Progress) -> tuple[float, float, float] | None:
    """The tick that opens or closes a window: (time, value, poll gap); null where none was clean.

    The first clean one; where an inference takes longer than a tick, among the first `EDGE_TICKS` the one nearest to a completion.
    """
    clean = np.flatnonzero((steps.t_s >= from_s) & (steps.t_s <= until_s) & (steps.gap_s <= CLEAN_GAP_S))[:EDGE_TICKS]
    if not len(clean):
        return None
    at = clean[0]
    if len(progress.t_s) and len(clean) > 1:
        after = np.clip(np.searchsorted(progress.t_s, steps.t_s[clean]), 1, len(progress.t_s) - 1)
        distance = np.minimum(np.abs(progress.t_s[after] - steps.t_s[clean]), np.abs(steps.t_s[clean] - progress.t_s[after - 1]))
        at = clean[int(np.argmin(distance))]
    return float(steps.t_s[at]), float(steps.value_j[at]), float(steps.gap_s[at])


def _free_edges(level: Sample, window: Window) -> tuple[float, float, float | None, float | None, float | None]:
    """A counter between ticks nobody waited for: interpolated between its steps, with the uncertainty of that."""
    steps = ticks(level)
    t_s, value = np.concatenate([level.t_s[:1], steps.t_s]), np.concatenate([level.value[:1], steps.value_j])
    if len(t_s) < 2 or t_s[0] > window.begin_s or level.t_s[-1] < window.close_s:
        return window.begin_s, window.close_s, None, None, None
    energy = float(np.interp(window.close_s, t_s, value) - np.interp(window.begin_s, t_s, value))
    step_j = float(np.max(np.diff(value)))
    return window.begin_s, window.close_s, energy, step_j / float(np.sqrt(6)), None


def mean_power(measurements: Iterable[Measurement]) -> float | None:
    """Energy over time of those that have one, W."""
    good = [(m.gross_j, m.end_s - m.start_s) for m in measurements if m.gross_j is not None]
    seconds = sum(s for _, s in good)
    return sum(j for j, _ in good) / seconds if seconds else None
