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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.schema import Domain, Floats, Measurement, Sample, Trace

CLEAN_GAP_S = 0.002
EDGE_TICKS = 10
"""Among so many ticks at each edge the one nearest to a completion is taken, where inferences are long."""


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

    @classmethod
    def of(cls, start_ns: Sequence[int], end_ns: Sequence[int], count: Sequence[int], batch_size: int) -> Progress:
        """From the completion times of queries (or chunks of queries).

        Args:
            start_ns: When each began, CLOCK_MONOTONIC.
            end_ns: When each had ended.
            count: Queries that ended together.
            batch_size: Inferences a query.
        """
        first = np.asarray(start_ns[:1], dtype=np.float64)
        return cls(
            np.concatenate([first, np.asarray(end_ns, dtype=np.float64)]) * 1e-9,
            np.concatenate([np.zeros(len(first)), np.cumsum(np.asarray(count, dtype=np.float64))]) * batch_size,
        )

    def between(self, start_s: float, end_s: float) -> float | None:
        """Inferences completed in an interval, fractions by linear interpolation of completion times; null where it is not covered."""
        if len(self.t_s) < 2 or start_s < self.t_s[0] or end_s > self.t_s[-1]:
            return None
        return float(np.interp(end_s, self.t_s, self.inferences) - np.interp(start_s, self.t_s, self.inferences))

    @property
    def longest_s(self) -> float:
        """The longest gap between two completions."""
        return float(np.max(np.diff(self.t_s))) if len(self.t_s) > 1 else 0.0


@dataclass(frozen=True)
class Ticks:
    """The steps of a counter: time (middle of the bracketing polls), value after the step in J, distance of the two polls."""

    t_s: Floats
    value_j: Floats
    gap_s: Floats


def unwrap(sample: Sample, wrap_j: float | None) -> tuple[Sample, Floats]:
    """Undo the wraps of a counter.

    Args:
        sample: Readings in J.
        wrap_j: Where it starts again at 0; null: never.

    Returns:
        The readings made monotonic, and the times of backward steps that no wrap explains (resets): there the energy is unknown.
    """
    sample = sample.finite()
    step = np.diff(sample.value, prepend=sample.value[:1])
    back = step < 0
    # A wrap loses less than half the range: a larger loss means that the counter began anew.
    wrapped = back & (step < -wrap_j / 2) if wrap_j else np.zeros_like(back)
    value = sample.value + np.cumsum(wrapped) * (wrap_j or 0.0)
    return Sample(sample.start_s, sample.end_s, value), sample.t_s[back & ~wrapped]


def ticks(sample: Sample) -> Ticks:
    """Every step that was seen in a counter's readings."""
    t_s = sample.t_s
    at = np.flatnonzero(np.diff(sample.value) != 0) + 1
    return Ticks((t_s[at] + t_s[at - 1]) / 2, sample.value[at], t_s[at] - t_s[at - 1])


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


def measure(trace: Trace, windows: Iterable[Window], progress: Progress) -> list[Measurement]:
    """The energy of every domain in every window.

    Args:
        trace: What the sensors said.
        windows: The phases, in order; `steady` gets inferences, idle and net.
        progress: The completions.
    """
    windows = list(windows)
    found = []
    for domain in trace.domains.values():
        if domain.quantity in ("energy", "power", "mean_power"):
            own = [_one(trace, domain, window, progress) for window in windows]
            idle_w = _mean_power(m for m in own if m.phase == "idle")
            found += [_with_idle(m, idle_w) if m.phase == "steady" else m for m in own]
    return found


def _one(trace: Trace, domain: Domain, window: Window, progress: Progress) -> Measurement:
    """One domain, one window."""
    start_s, end_s, gross_j, edge_j, gap_s = _energy(trace, domain, window, progress)
    steady = window.phase == "steady"
    gauge = next((d for d in trace.domains.values() if d.counter == domain.name), None)
    return Measurement(
        domain=domain.name,
        sensor=domain.sensor,
        kind="absent" if gross_j is None else domain.kind or "absent",
        phase=window.phase,
        start_s=start_s,
        end_s=end_s,
        inferences=progress.between(start_s, end_s) if steady else None,
        gross_j=gross_j,
        integrated_j=integrate(trace.samples[gauge.name], start_s, end_s) if gauge else None,
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
    if len(t_s) < 2 or t_s[0] > window.begin_s:
        return window.begin_s, window.close_s, None, None, None
    energy = float(np.interp(window.close_s, t_s, value) - np.interp(window.begin_s, t_s, value))
    step_j = float(np.max(np.diff(value)))
    return window.begin_s, window.close_s, energy, step_j / float(np.sqrt(6)), None


def _mean_power(measurements: Iterable[Measurement]) -> float | None:
    """Energy over time of those that have one, W."""
    good = [(m.gross_j, m.end_s - m.start_s) for m in measurements if m.gross_j is not None]
    seconds = sum(s for _, s in good)
    return sum(j for j, _ in good) / seconds if seconds else None


def _with_idle(measurement: Measurement, idle_w: float | None) -> Measurement:
    """Add the idle power and what is left without it."""
    gross = measurement.gross_j
    net = None if gross is None or idle_w is None else gross - idle_w * (measurement.end_s - measurement.start_s)
    return measurement.model_copy(update={"idle_w": idle_w, "net_j": net})
