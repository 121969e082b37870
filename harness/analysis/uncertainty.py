"""What is known of the joules per inference of each launch -> the standard uncertainties of their mean, term by term (GUM style)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from harness.analysis.interval import moments
from harness.schema import Finding, Measurement

EDGES_DOMINATE = Finding(
    code="edges_dominate",
    sentence="the edges of the windows make the energy more uncertain than the scatter between launches does",
    remedy="longer windows (--window), not more runs",
)


class Terms(NamedTuple):
    """Standard uncertainties of a mean energy per inference, J; each is null where it has no meaning.

    Attributes:
        u_a_j: Run to run, s / sqrt(R); it already holds the scatter of the edges. Null for a single launch.
        u_edge_j: From the poll gaps at the ticks; null where no domain has ticks.
        u_gain_j: From the gains of the sensors; null where one is not known, as of a model.
        u_offset_j: From the offsets of the sensors, o T / n; null where none is known. For ratios between different powers.
        u_base_j: From the idle power, u(P0) T / n; of the net energy alone. Null where idle was not measured twice.
        nu: Degrees of freedom of u_c^2 = u_A^2 + u_gain^2 (Welch-Satterthwaite, GUM G.4); null for a single launch, and where u_A is 0, so that they are infinite.
    """

    u_a_j: float | None
    u_edge_j: float | None
    u_gain_j: float | None
    u_offset_j: float | None
    u_base_j: float | None
    nu: float | None

    @property
    def edges_dominate(self) -> bool:
        """Whether longer windows would help more than more launches."""
        return self.u_a_j is not None and self.u_edge_j is not None and self.u_edge_j > self.u_a_j


def scatter(values: Sequence[float]) -> float | None:
    """u_A of the mean of launches, J; null for a single one."""
    return math.sqrt(moments(values)[1]) / math.sqrt(len(values)) if len(values) > 1 else None


def of_mean(launches: Sequence[float | None]) -> float | None:
    """Standard uncertainty of a mean of launches whose own uncertainties are independent; null where one is not known."""
    known = [u for u in launches if u is not None]
    return math.hypot(*known) / len(known) if known and len(known) == len(launches) else None


def edges(parts: Sequence[Measurement]) -> float | None:
    """u_edge of one launch, J per inference: independent over the edges of its counters; null where it has none."""
    terms = [m.edge_j / m.inferences for m in parts if m.edge_j is not None and m.inferences]
    return math.hypot(*terms) if terms else None


def freedom(u_a_j: float | None, u_gain_j: float | None, launches: int) -> float | None:
    """Degrees of freedom, (R - 1) u_c^4 / u_A^4, the gain being known with infinitely many degrees of freedom; null where there is no u_A."""
    return float((launches - 1) * (1 + ((u_gain_j or 0.0) / u_a_j) ** 2) ** 2) if u_a_j else None


def idle(before_and_after_w: Sequence[float]) -> float | None:
    """u(P0) of the mean of the idle powers before and after, W: half of what they differ by; null where there are not both."""
    return abs(before_and_after_w[1] - before_and_after_w[0]) / 2 if len(before_and_after_w) == 2 else None
