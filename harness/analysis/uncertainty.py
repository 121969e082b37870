"""Standard uncertainties of the mean energy per inference, term by term (GUM)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from harness.analysis.interval import moments
from harness.schema import Finding, Measurement

EDGES_DOMINATE = Finding(
    code="edges_dominate",
    sentence="the edges of the windows add more to the uncertainty of the energy than the scatter between launches",
    remedy="use longer windows (--window) rather than more runs",
)


class Terms(NamedTuple):
    """Standard uncertainties of a mean energy per inference, J.

    Attributes:
        u_a_j: Scatter between launches, s / sqrt(R), which includes that of the edges; None for a single launch.
        u_edge_j: From the brackets around the ticks; None if no domain has ticks.
        u_gain_j: From the gains of the sensors; None if one is unknown, as for a model.
        u_offset_j: From the offsets of the sensors, o T / n, for ratios between different powers; None if none is known.
        u_base_j: From the idle power, u(P0) T / n, for the net energy; None if idle power was not measured before and after the load.
        nu: Degrees of freedom of u_c^2 = u_A^2 + u_gain^2 (Welch-Satterthwaite, GUM G.4); None for a single launch, and if u_A is 0.
    """

    u_a_j: float | None
    u_edge_j: float | None
    u_gain_j: float | None
    u_offset_j: float | None
    u_base_j: float | None
    nu: float | None

    @property
    def edges_dominate(self) -> bool:
        """Whether longer windows reduce the uncertainty more than more launches."""
        return self.u_a_j is not None and self.u_edge_j is not None and self.u_edge_j > self.u_a_j


def scatter(values: Sequence[float]) -> float | None:
    """u_A of the mean of some launches, J; None for a single one."""
    return math.sqrt(moments(values)[1]) / math.sqrt(len(values)) if len(values) > 1 else None


def of_mean(launches: Sequence[float | None]) -> float | None:
    """Standard uncertainty of a mean of launches with independent uncertainties; None if one is unknown."""
    known = [u for u in launches if u is not None]
    return math.hypot(*known) / len(known) if known and len(known) == len(launches) else None


def edges(parts: Sequence[Measurement]) -> float | None:
    """u_edge of one launch, J per inference, independent over its counters; None if it has none."""
    terms = [m.edge_j / m.inferences for m in parts if m.edge_j is not None and m.inferences]
    return math.hypot(*terms) if terms else None


def freedom(u_a_j: float | None, u_gain_j: float | None, launches: int) -> float | None:
    """Degrees of freedom (R - 1) u_c^4 / u_A^4, those of the gain being infinite; None without u_A."""
    return float((launches - 1) * (1 + ((u_gain_j or 0.0) / u_a_j) ** 2) ** 2) if u_a_j else None


def idle(before_and_after_w: Sequence[float]) -> float | None:
    """u(P0) of the mean idle power, W: half of the difference between before and after; None unless there are both."""
    return abs(before_and_after_w[1] - before_and_after_w[0]) / 2 if len(before_and_after_w) == 2 else None
