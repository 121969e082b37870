"""Offset of a meter's clock, by cross-correlation of its power with a known load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.schema import Floats

MIN_STEP_S = 0.01
MAX_POINTS = 2**21
ABSURD_W = 1e9
"""Larger readings are marks of over-range, which would hide the load."""
MIN_SHARE = 0.5
"""Share of the known spans that must be inside the log at a shift."""
MIN_CORRELATION = 0.5
MIN_CONTRAST = 1.25
"""Ratio of the variances that the second-best and the best shift leave unexplained."""
FLAT = 1e-3
"""Shifts whose unexplained share of the variance differs by less are equally good."""
APART_PERIODS = 3.0
APART_S = 2.0


@dataclass(frozen=True)
class Pulse:
    """The load as found in a meter's log.

    Attributes:
        offset_s: Time by which the meter's clock is ahead, in seconds: subtract it from the log's times.
        u_s: Standard uncertainty: rectangles as wide as the meter's period, and as the shifts that fit as well (GUM 4.3.7).
        correlation: Correlation of power and load at that shift.
        runner_up: That of the best shift elsewhere; None if there is none.
        share: Share of the known spans that the log then covers.
    """

    offset_s: float
    u_s: float
    correlation: float
    runner_up: float | None
    share: float

    @property
    def sure(self) -> bool:
        """Whether the shift correlates well, and no other one nearly as well."""
        second = max(self.runner_up or 0.0, 0.0)
        return self.correlation >= MIN_CORRELATION and 1 - second**2 >= MIN_CONTRAST * (1 - self.correlation**2)


def find_pulse(t_s: Floats, power_w: Floats, spans: Sequence[tuple[float, float, float]]) -> Pulse | None:
    """Cross-correlate a meter's power with a load that is known in some spans.

    The weighted correlation of power and load over the known spans that the log covers is computed for all shifts at once by six
    convolutions (weighted normalised cross-correlation; Padfield 2012, masked registration, in one dimension).

    Args:
        t_s: Times of the readings on the meter's clock, rising, shape (n,).
        power_w: Power in W, shape (n,); NaN where missing.
        spans: (start, end, load) on the run's clock; the load in any unit, such as 0 for idle and 1 for work.

    Returns:
        The best shift; None if there are too few readings, or all spans have one load.
    """
    good = np.isfinite(power_w) & (np.abs(power_w) < ABSURD_W)
    t_s, power_w = t_s[good], power_w[good]
    steps_s = np.diff(t_s)
    steps_s = steps_s[steps_s > 0]
    if len(steps_s) < 3 or len({load for _, _, load in spans}) < 2 or np.ptp(power_w) == 0:
        return None
    period_s = float(np.median(steps_s))
    begin_s, end_s = min(s[0] for s in spans), max(s[1] for s in spans)
    step_s = max(MIN_STEP_S, period_s / 4, (t_s[-1] - t_s[0] + end_s - begin_s) / MAX_POINTS)
    power = np.interp(np.arange(t_s[0], t_s[-1], step_s), t_s, power_w)
    load, weight = _sampled(spans, begin_s, end_s, step_s)
    if len(power) < 4 or len(np.unique(load[weight > 0])) < 2:
        return None  # the log is too coarse: no grid point is inside one of the loads
    correlation, share = _correlations(power - np.mean(power), load, weight)
    if not np.any(np.isfinite(correlation)):
        return None
    best = int(np.nanargmax(correlation))
    first, last = _plateau(correlation, best, readings=weight.sum() * step_s / period_s)
    lag = (first + last) / 2 - (len(load) - 1)
    apart = int(max(APART_S, APART_PERIODS * period_s) / step_s)
    others = np.concatenate([correlation[: max(first - apart, 0)], correlation[last + apart + 1 :]])
    return Pulse(
        offset_s=float(t_s[0] + lag * step_s - begin_s),
        u_s=float(np.hypot(period_s, (last - first) * step_s) / np.sqrt(12)),
        correlation=float(correlation[best]),
        runner_up=float(np.nanmax(others)) if np.any(np.isfinite(others)) else None,
        share=float(share[best]),
    )


def _sampled(spans: Sequence[tuple[float, float, float]], begin_s: float, end_s: float, step_s: float) -> tuple[Floats, Floats]:
    """(load, 1 where it is known and 0 elsewhere) on a grid, shape (m,) each."""
    t_s = np.arange(begin_s, end_s, step_s)
    load, weight = np.zeros(len(t_s)), np.zeros(len(t_s))
    for start_s, stop_s, level in spans:
        inside = (t_s >= start_s) & (t_s < stop_s)
        load[inside], weight[inside] = level, 1.0
    return load, weight


def _correlations(power: Floats, load: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """(correlation, share of the weight inside the log) at each shift; NaN where too little is inside or nothing varies."""
    from scipy.signal import correlate

    present = np.ones(len(power))
    w, wl, wll = (correlate(present, each, method="fft") for each in (weight, weight * load, weight * load**2))
    wp, wlp = (correlate(power, each, method="fft") for each in (weight, weight * load))
    wpp = correlate(power**2, weight, method="fft")
    share = w / weight.sum()
    with np.errstate(all="ignore"):  # shifts that cover too little have no number, and are not usable
        var_load, var_power = wll / w - (wl / w) ** 2, wpp / w - (wp / w) ** 2
        correlation = (wlp / w - wl * wp / w**2) / np.sqrt(var_load * var_power)
        usable = (share >= MIN_SHARE) & (var_load > 1e-6 * np.ptp(load) ** 2) & (var_power > 1e-9 * np.ptp(power) ** 2)
    return np.where(usable, correlation, np.nan), share


def _plateau(correlation: Floats, best: int, readings: float) -> tuple[int, int]:
    """First and last of the shifts around the best one that fit equally well.

    If the load began before its known span, or ended after it, no shift in between is better than another. A shift fits equally well while
    1 - r^2 is at most 1 + 4 / n times that of the best one (twice the standard error of n independent residuals).
    """
    unexplained = 1 - correlation**2
    bound = unexplained[best] * (1 + 4 / max(readings, 1.0)) + FLAT
    worse = np.flatnonzero(~(unexplained <= bound))
    at = int(np.searchsorted(worse, best))
    first = int(worse[at - 1]) + 1 if at else 0
    last = int(worse[at]) - 1 if at < len(worse) else len(correlation) - 1
    return first, last
