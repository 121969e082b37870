"""Measurements from a trace and its windows: counter differences from tick to tick, integrals of power, idle power, edges.

A counter that updates every u seconds is a staircase. Its value is exact only at a step, so a window begins and ends at steps
("ticks"), and the energy between them is the difference of the values, without interpolation:

    value            ____|
                ____|    .
           ____|    .    .
          |    .    .    .
       ---+----|----|----|---> t        tick = middle of its bracket: from the start of
                                        the poll before the step to the end of the poll that shows it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.energy.completions import CompletionCurve
from harness.energy.lag import Lag
from harness.energy.ticks import EDGE_TICKS, Ticks, similar_s, ticks, ticks_between_middles, unwrap
from harness.schema import Domain, Floats, Measurement, Sample, Trace, WindowTimes

SAME_S = 1e-6
"""Tolerance for finding a stored edge, s; two ticks are never this close."""


class Window(WindowTimes):
    """A phase, and how its edges are found."""

    near: frozenset[str] | None = None
    """Names of the counters that were polled for ticks; None: all. The others are interpolated."""
    legacy: bool = False
    """Whether a tick is the middle between the middles of two reads, as in records of schema 2 and before."""

    def polled(self, domain: str) -> bool:
        """Whether a counter was polled for ticks at both edges."""
        return self.edges and (self.near is None or domain in self.near)


class _Span(NamedTuple):
    """Energy between two edges; the last three fields are those of a counter that was polled for ticks."""

    start_s: float
    end_s: float
    joules: float | None = None
    edge_j: float | None = None
    gap_s: float | None = None
    no_tick: bool = False


def measure(trace: Trace, windows: Iterable[Window], progress: CompletionCurve, lags: Mapping[str, Lag] | None = None) -> list[Measurement]:
    """The energy of every domain in every window.

    Args:
        trace: Readings of the task.
        windows: Phases in order; `steady` gets inferences, idle power and net energy.
        progress: Completions.
        lags: Known lags of counters, by domain; None: none is known.
    """
    windows = list(windows)
    measurements = []
    for domain in trace.domains.values():
        if domain.quantity in ("energy", "power", "mean_power"):
            others = {index: _one(trace, domain, window, progress) for index, window in enumerate(windows) if window.phase != "steady"}
            idle_w = mean_power(m for m in others.values() if m.phase == "idle")
            for index, window in enumerate(windows):
                measurements.append(others.get(index) or _one(trace, domain, window, progress, idle_w, (lags or {}).get(domain.name)))
    return measurements


def recompute(trace: Trace, stored: Sequence[Measurement], progress: CompletionCurve, *, legacy: bool = False) -> list[Measurement | None]:
    """Stored measurements recomputed from the trace between their own edges; a counter's lag is taken as stored.

    Args:
        trace: Readings of the task.
        stored: Measurements.
        progress: Completions.
        legacy: Whether the record is of schema 2 or before, whose ticks are between the middles of two reads.

    Returns:
        One for each; None where the trace lacks its domain, or where a counter has no energy because no tick shows its edges.
    """
    idle: dict[str, list[Measurement]] = {}
    recomputed: dict[int, Measurement] = {}
    for index in sorted(range(len(stored)), key=lambda k: stored[k].phase == "steady"):  # idle goes first: steady is net of it
        was = stored[index]
        domain = trace.domains.get(was.domain)
        if domain is None or was.domain not in trace.samples or _has_no_edges(was, domain):
            continue
        lag = None if was.lag_s is None else Lag(was.lag_s, 0.0)
        now = _one(trace, domain, _window_of(was, legacy), progress, mean_power(idle.get(was.domain, [])), lag)
        recomputed[index] = now
        if was.phase == "idle":
            idle.setdefault(was.domain, []).append(now)
    return [recomputed.get(index) for index in range(len(stored))]


def integrate(sample: Sample, start_s: float, end_s: float) -> float | None:
    """Integral of power readings over an interval, J: trapezoidal rule, both edges interpolated; None if they do not cover it."""
    sample = sample.finite()
    t_s = sample.t_s
    if not _cover(t_s, start_s, end_s):
        return None
    inside = (t_s > start_s) & (t_s < end_s)
    edges = np.interp([start_s, end_s], t_s, sample.value)
    return float(
        np.trapezoid(np.concatenate([edges[:1], sample.value[inside], edges[1:]]), np.concatenate([[start_s], t_s[inside], [end_s]]))
    )


def integrate_means(sample: Sample, start_s: float, end_s: float) -> float | None:
    """Integral of readings that are means since the previous one, J: rectangle rule; None if they do not cover the interval."""
    sample = sample.finite()
    t_s = sample.t_s
    if not _cover(t_s, start_s, end_s):
        return None
    cumulative = np.concatenate([[0.0], np.cumsum(sample.value[1:] * np.diff(t_s))])
    return float(np.interp(end_s, t_s, cumulative) - np.interp(start_s, t_s, cumulative))


def mean_power(measurements: Iterable[Measurement]) -> float | None:
    """Total energy over total time of the measurements that have an energy, W; None if none has."""
    known = [(m.gross_j, m.end_s - m.start_s) for m in measurements if m.gross_j is not None]
    seconds = sum(s for _, s in known)
    return sum(j for j, _ in known) / seconds if seconds else None


def sampling_u_j(sample: Sample, gauge: Domain, start_s: float, end_s: float, swing_w: float = 0.0) -> float | None:
    """Standard uncertainty of an integral of power readings without the sensor's gain, J; None if no bound is known.

    Readings `dt` apart miss what happens between them: sigma_P sqrt(T dt) (measurement.md, section 5). At the edges a reading is
    as old as its period and averaging time; the power there is off by no more than the range of the readings.

    Args:
        sample: Readings, W.
        gauge: Their domain.
        start_s: Start of the window.
        end_s: End of the window.
        swing_w: Range of another reading of the same rail, W: means over a second hide shorter variation.
    """
    watts = sample.finite().between(start_s, end_s).value
    if gauge.part_time or len(watts) < 2:
        return None
    period_s = max(gauge.update_period_s or 0.0, (end_s - start_s) / len(watts))
    age_s = period_s + (gauge.average_s or 0.0)
    return float(
        np.hypot(np.std(watts) * np.sqrt((end_s - start_s) * period_s), np.sqrt(2 / 3) * max(float(np.ptp(watts)), swing_w) * age_s)
    )


def _one(
    trace: Trace, domain: Domain, window: Window, progress: CompletionCurve, idle_w: float | None = None, lag: Lag | None = None
) -> Measurement:
    """The measurement of one domain in one window."""
    span = _span(trace.samples[domain.name], domain, window, progress)
    steady = window.phase == "steady"
    lag_s = lag.seconds if lag and lag.known and steady else None
    start_s, end_s, gross_j, edge_j = span.start_s - (lag_s or 0.0), span.end_s - (lag_s or 0.0), span.joules, span.edge_j
    waited_s = progress.waited_s(start_s, end_s) if steady and domain.part_time else 0.0
    if waited_s and gross_j is not None:  # the pauses of a shifted load are at idle power
        gross_j = None if idle_w is None else gross_j - idle_w * waited_s
    gauges = [d for d in trace.domains.values() if d.counter == domain.name]
    integrated_j = integrate(trace.samples[gauges[0].name], start_s, end_s) if gauges else None
    source = domain
    if span.no_tick and (substitute := _substitute(trace, gauges, start_s, end_s)):
        source, gross_j, edge_j = substitute
        integrated_j = gross_j
    if steady and gross_j is not None and (share := progress.between_u(start_s, end_s)):
        edge_j = float(np.hypot(edge_j or 0.0, share * gross_j))
    return Measurement(
        domain=domain.name,
        sensor=domain.sensor,
        kind=(source.kind if gross_j is not None else None) or "absent",
        phase=window.phase,
        start_s=start_s,
        end_s=end_s,
        inferences=progress.between(start_s, end_s) if steady else None,
        gross_j=gross_j,
        idle_w=idle_w if steady else None,
        net_j=gross_j - idle_w * (end_s - start_s - waited_s) if steady and gross_j is not None and idle_w is not None else None,
        integrated_j=integrated_j,
        lag_s=lag_s,
        edge_j=edge_j,
        poll_gap_s=span.gap_s,
        device=domain.device,
        parent=domain.parent,
        counter=domain.counter,
        gain=domain.gain,
        gauge=source.name if source is not domain else None,
    )


def _substitute(trace: Trace, gauges: Sequence[Domain], start_s: float, end_s: float) -> tuple[Domain, float, float | None] | None:
    """The power domain whose integral replaces a counter, with its energy and uncertainty in J; one that covers all of its period is preferred."""
    swing_w = max((float(np.ptp(w)) for d in gauges if len(w := trace.readings(d.name, start_s, end_s))), default=0.0)
    for gauge in sorted(gauges, key=lambda d: d.part_time):
        sample = trace.samples[gauge.name]
        joules = integrate(sample, start_s, end_s)
        if joules is not None:
            return gauge, joules, sampling_u_j(sample, gauge, start_s, end_s, swing_w)
    return None


def _span(sample: Sample, domain: Domain, window: Window, progress: CompletionCurve) -> _Span:
    """The edges of a domain in a window, and the energy between them."""
    if domain.quantity != "energy":
        rule = integrate if domain.quantity == "power" else integrate_means
        return _Span(window.open_s, window.close_s, rule(sample, window.open_s, window.close_s))
    level, resets = unwrap(sample, domain.wrap_j)
    if np.any((resets > window.begin_s) & (resets <= window.close_s)):
        return _Span(window.begin_s, window.close_s)
    if not window.polled(domain.name):
        return _interpolated(level, window, domain.update_period_s)
    steps = ticks_between_middles(level) if window.legacy else ticks(level, domain.update_period_s)
    first, last = _edge(steps, window.begin_s, window.open_s, progress), _edge(steps, window.end_s, window.close_s, progress)
    if first is None or last is None or last[0] <= first[0]:
        return _Span(window.open_s, window.end_s, no_tick=len(level.between(window.begin_s, window.close_s).value) > 0)
    (t0, e0, gap0), (t1, e1, gap1) = first, last
    power = (e1 - e0) / (t1 - t0)
    return _Span(t0, t1, e1 - e0, power * float(np.hypot(gap0, gap1)) / (2 * np.sqrt(3)), max(gap0, gap1))


def _edge(steps: Ticks, from_s: float, until_s: float, progress: CompletionCurve) -> tuple[float, float, float] | None:
    """Time, value and bracket width of the tick that opens or closes a window; None if there is none.

    It is the first tick with a narrow bracket, or the one of the first `EDGE_TICKS` that is nearest to a completion, which matters where an
    inference takes longer than a tick.
    """
    inside = np.flatnonzero((steps.t_s >= from_s) & (steps.t_s <= until_s))
    if not len(inside):
        return None
    narrow = inside[steps.gap_s[inside] <= similar_s(steps.gap_s[inside])][:EDGE_TICKS]
    at = narrow[0]
    if len(progress.t_s) and len(narrow) > 1:
        at = narrow[int(np.argmin(progress.distance_s(steps.t_s[narrow])))]
    return float(steps.t_s[at]), float(steps.value_j[at]), float(steps.gap_s[at])


def _interpolated(level: Sample, window: Window, period_s: float | None) -> _Span:
    """A counter that was not polled for ticks: interpolated between its steps, with the uncertainty of that.

    A counter of unknown period is read rarely, and its readings are taken to be equally old: an equal age cancels between two of them,
    where the middle of a long gap would be wrong by another amount each time.
    """
    steps = ticks_between_middles(level) if window.legacy else ticks(level, period_s or 0.0)
    t_s, value = np.concatenate([level.t_s[:1], steps.t_s]), np.concatenate([level.value[:1], steps.value_j])
    if len(t_s) < 2 or t_s[0] > window.begin_s or level.t_s[-1] < window.close_s:
        return _Span(window.begin_s, window.close_s)
    joules = float(np.interp(window.close_s, t_s, value) - np.interp(window.begin_s, t_s, value))
    return _Span(window.begin_s, window.close_s, joules, float(np.max(np.diff(value))) / float(np.sqrt(6)))


def _has_no_edges(was: Measurement, domain: Domain) -> bool:
    """Whether a counter was polled for ticks and showed none, so that there is nothing to recompute."""
    polled = domain.quantity == "energy" and was.phase in ("idle", "steady")
    return polled and was.poll_gap_s is None and was.gross_j is None


def _window_of(was: Measurement, legacy: bool) -> Window:
    """The window that gives a measurement again: where polls bracket a tick, only that tick is at its edge."""
    start_s, end_s = was.start_s + (was.lag_s or 0.0), was.end_s + (was.lag_s or 0.0)
    if was.poll_gap_s is None and was.gauge is None:
        return Window.loose(was.phase, start_s, end_s, legacy=legacy)
    margin_s = SAME_S if was.gauge is None else 0.0  # no tick: not found in the same interval either
    return Window(
        phase=was.phase, begin_s=start_s - margin_s, open_s=start_s + margin_s, end_s=end_s - margin_s, close_s=end_s + margin_s,
        legacy=legacy,
    )  # fmt: skip


def _cover(t_s: Floats, start_s: float, end_s: float) -> bool:
    """Whether readings enclose an interval, so that nothing is extrapolated."""
    return len(t_s) >= 2 and bool(t_s[0] <= start_s < end_s <= t_s[-1])
