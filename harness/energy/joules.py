"""Trace + windows -> measurements: counter differences from tick to tick, integrals of power, idle, edges. Pure.

A counter that updates every u seconds is a staircase. Its value is exact only at a step, so a window begins and ends at steps
("ticks"), and the energy between them is the difference of the values; nothing is interpolated and nothing subtracted:

    value            ____|
                ____|    .
           ____|    .    .
          |    .    .    .
       ---+----|----|----|---> t        tick = middle of its bracket: from the start of
                                        the poll before the step to the end of the poll that shows it
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.energy.lag import Lag
from harness.energy.ticks import EDGE_TICKS, Ticks, similar_s, ticks, ticks_between_middles, unwrap
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
        near: Counters that were polled for ticks, by domain; None: all. The others are interpolated.
        legacy: Whether a tick is the middle between the middles of two reads, as in records of schema 2 and before.
    """

    phase: str
    begin_s: float
    open_s: float
    end_s: float
    close_s: float
    edges: bool = True
    near: Collection[str] | None = None
    legacy: bool = False

    def waited_for(self, domain: str) -> bool:
        """Whether a counter was polled for ticks at both edges."""
        return self.edges and (self.near is None or domain in self.near)

    @classmethod
    def loose(cls, phase: str, start_s: float, end_s: float, *, legacy: bool = False) -> Window:
        """A phase whose edges nobody aligned."""
        return cls(phase, start_s, start_s, end_s, end_s, edges=False, legacy=legacy)


@dataclass(frozen=True)
class CompletionCurve:
    """How many inferences had been completed when: arrays of one length, non-decreasing."""

    t_s: Floats
    inferences: Floats
    waits: Floats
    """Shape (n, 2): where the load paused so that its phase was shifted, s."""

    @classmethod
    def of(
        cls, start_ns: Sequence[int], end_ns: Sequence[int], count: Sequence[int], batch_size: int, *, shifted: bool = False
    ) -> CompletionCurve:
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


def measure(trace: Trace, windows: Iterable[Window], progress: CompletionCurve, lags: Mapping[str, Lag] | None = None) -> list[Measurement]:
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


def recompute(trace: Trace, stored: Sequence[Measurement], progress: CompletionCurve, *, legacy: bool = False) -> list[Measurement | None]:
    """The same measurements computed anew from the trace, between their own edges; a counter's lag is taken as stored.

    Args:
        trace: What the sensors showed.
        stored: The measurements.
        progress: The completions.
        legacy: Whether the record is of schema 2 or before, whose ticks lie between the middles of two reads.

    Returns:
        One for each; None where the trace lacks its domain, or where a counter's window has no energy: no tick shows its edges.
    """
    idle: dict[str, list[Measurement]] = {}
    found: dict[int, Measurement] = {}
    for index in sorted(range(len(stored)), key=lambda k: stored[k].phase == "steady"):  # idle goes first: steady is net of it
        was = stored[index]
        domain = trace.domains.get(was.domain)
        if domain is None or was.domain not in trace.samples or _has_no_edges(was, domain):
            continue
        lag = None if was.lag_s is None else Lag(was.lag_s, 0.0)
        now = _one(trace, domain, _window_of(was, legacy), progress, mean_power(idle.get(was.domain, [])), lag)
        found[index] = now
        if was.phase == "idle":
            idle.setdefault(was.domain, []).append(now)
    return [found.get(index) for index in range(len(stored))]


def _has_no_edges(was: Measurement, domain: Domain) -> bool:
    """Whether it is of a counter that was polled for ticks and showed none, so that there is nothing to look at again."""
    waited = domain.quantity == "energy" and was.phase in ("idle", "steady")
    return waited and was.poll_gap_s is None and was.gross_j is None


def _window_of(was: Measurement, legacy: bool) -> Window:
    """The window that a measurement came from: where polls bracket a tick, that tick alone lies at its edge."""
    start_s, end_s = was.start_s + (was.lag_s or 0.0), was.end_s + (was.lag_s or 0.0)
    if was.gauge is not None:  # no tick: searched for again in the same stretch, in vain again
        return Window(was.phase, start_s, start_s, end_s, end_s, legacy=legacy)
    if was.poll_gap_s is None:
        return Window.loose(was.phase, start_s, end_s, legacy=legacy)
    return Window(was.phase, start_s - SAME_S, start_s + SAME_S, end_s - SAME_S, end_s + SAME_S, legacy=legacy)


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
            steps = ticks(level, domain.update_period_s)
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
    trace: Trace, domain: Domain, window: Window, progress: CompletionCurve, idle_w: float | None = None, lag: Lag | None = None
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
    integrated_j = integrate(trace.samples[gauge.name], start_s, end_s) if gauge else None
    stands_in = gross_j is None and _lacks_edges_alone(trace, domain, window)
    substitute = _substitute(trace, domain, start_s, end_s) if stands_in else None
    if substitute:
        gauge, gross_j, edge_j = substitute
        integrated_j = gross_j
    busy_s = end_s - start_s - (progress.waited_s(start_s, end_s) if domain.part_time else 0.0)
    kind = (gauge.kind if gauge and stands_in else domain.kind) or "absent"
    return Measurement(
        domain=domain.name,
        sensor=domain.sensor,
        kind="absent" if gross_j is None else kind,
        phase=window.phase,
        start_s=start_s,
        end_s=end_s,
        inferences=progress.between(start_s, end_s) if steady else None,
        gross_j=gross_j,
        idle_w=idle_w if steady else None,
        net_j=gross_j - idle_w * busy_s if steady and gross_j is not None and idle_w is not None else None,
        integrated_j=integrated_j,
        lag_s=lag_s,
        edge_j=edge_j,
        poll_gap_s=gap_s,
        device=domain.device,
        parent=domain.parent,
        counter=domain.counter,
        gain=domain.gain,
        gauge=gauge.name if gauge and substitute else None,
    )


def _substitute(trace: Trace, domain: Domain, start_s: float, end_s: float) -> tuple[Domain, float, float | None] | None:
    """The power reading beside a counter that stands in for it, its integral and the uncertainty of that in J; one that misses nothing goes first."""
    beside = [d for d in trace.domains.values() if d.counter == domain.name]
    swing_w = max((_swing_w(trace.samples[d.name], start_s, end_s) for d in beside), default=0.0)
    for gauge in sorted(beside, key=lambda d: d.part_time):
        joules = integrate(trace.samples[gauge.name], start_s, end_s)
        if joules is not None:
            return gauge, joules, gauge_u_j(trace.samples[gauge.name], gauge, start_s, end_s, swing_w)
    return None


def _swing_w(sample: Sample, start_s: float, end_s: float) -> float:
    """Range of the readings in a window, W; 0 where there are none."""
    sample = sample.finite()
    watts = sample.value[(sample.t_s >= start_s) & (sample.t_s <= end_s)]
    return float(np.ptp(watts)) if len(watts) else 0.0


def _lacks_edges_alone(trace: Trace, domain: Domain, window: Window) -> bool:
    """Whether a counter has no energy for want of ticks at the edges alone: it works, and never went backwards."""
    if domain.quantity != "energy" or not window.waited_for(domain.name):
        return False
    level, resets = unwrap(trace.samples[domain.name], domain.wrap_j)
    inside = (level.t_s >= window.begin_s) & (level.t_s <= window.close_s)
    return bool(np.any(inside)) and not np.any((resets > window.begin_s) & (resets <= window.close_s))


def gauge_u_j(sample: Sample, gauge: Domain, start_s: float, end_s: float, swing_w: float = 0.0) -> float | None:
    """Standard uncertainty of an integral of power readings, J, without the gain of the sensor; None where no bound is known.

    Readings that are `dt` apart miss what happens between them: sigma_P sqrt(T dt) (measurement.md, section 5). At the edges a reading is
    as old as its period and the time it is the mean of; the power there is off by no more than the range of the readings.

    Args:
        sample: The readings, W.
        gauge: Their domain.
        start_s: Of the window.
        end_s: Of the window.
        swing_w: Range of another reading of the same rail, W: a mean of a second hides what swings within it.
    """
    sample = sample.finite()
    watts = sample.value[(sample.t_s >= start_s) & (sample.t_s <= end_s)]
    if gauge.part_time or len(watts) < 2:
        return None
    period_s = max(gauge.update_period_s or 0.0, (end_s - start_s) / len(watts))
    old_s = period_s + (gauge.average_s or 0.0)
    return float(
        np.hypot(np.std(watts) * np.sqrt((end_s - start_s) * period_s), np.sqrt(2 / 3) * max(float(np.ptp(watts)), swing_w) * old_s)
    )


def _energy(
    trace: Trace, domain: Domain, window: Window, progress: CompletionCurve
) -> tuple[float, float, float | None, float | None, float | None]:
    """(start, end, energy or None, standard uncertainty from the edges or None, width of the wider bracket or None)."""
    sample = trace.samples[domain.name]
    if domain.quantity != "energy":
        rule = integrate if domain.quantity == "power" else integrate_means
        return window.open_s, window.close_s, rule(sample, window.open_s, window.close_s), None, None
    level, resets = unwrap(sample, domain.wrap_j)
    if np.any((resets > window.begin_s) & (resets <= window.close_s)):
        return window.begin_s, window.close_s, None, None, None
    if not window.waited_for(domain.name):
        return _free_edges(level, window, domain.update_period_s)
    steps = ticks_between_middles(level) if window.legacy else ticks(level, domain.update_period_s)
    first, last = _edge(steps, window.begin_s, window.open_s, progress), _edge(steps, window.end_s, window.close_s, progress)
    if first is None or last is None or last[0] <= first[0]:
        return window.open_s, window.end_s, None, None, None
    (t0, e0, gap0), (t1, e1, gap1) = first, last
    power = (e1 - e0) / (t1 - t0)
    return t0, t1, e1 - e0, power * float(np.hypot(gap0, gap1)) / (2 * np.sqrt(3)), max(gap0, gap1)


def _edge(steps: Ticks, from_s: float, until_s: float, progress: CompletionCurve) -> tuple[float, float, float] | None:
    """The tick that opens or closes a window: (time, value, width of its bracket); None where there was none.

    The first of those whose brackets are narrow; where an inference takes longer than a tick, among the first `EDGE_TICKS` of them the
    one nearest to a completion.
    """
    inside = np.flatnonzero((steps.t_s >= from_s) & (steps.t_s <= until_s))
    if not len(inside):
        return None
    narrow = inside[steps.gap_s[inside] <= similar_s(steps.gap_s[inside])][:EDGE_TICKS]
    at = narrow[0]
    if len(progress.t_s) and len(narrow) > 1:
        after = np.clip(np.searchsorted(progress.t_s, steps.t_s[narrow]), 1, len(progress.t_s) - 1)
        distance = np.minimum(np.abs(progress.t_s[after] - steps.t_s[narrow]), np.abs(steps.t_s[narrow] - progress.t_s[after - 1]))
        at = narrow[int(np.argmin(distance))]
    return float(steps.t_s[at]), float(steps.value_j[at]), float(steps.gap_s[at])


def _free_edges(level: Sample, window: Window, period_s: float | None) -> tuple[float, float, float | None, float | None, float | None]:
    """A counter between ticks nobody waited for: interpolated between its steps, with the uncertainty of that.

    A counter whose period is not known is one that is read seldom: each of its readings is taken to be equally old. An equal age cancels between
    two of them, where the middle of a long gap is wrong by another amount each time.
    """
    steps = ticks_between_middles(level) if window.legacy else ticks(level, period_s or 0.0)
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
