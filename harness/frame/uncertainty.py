"""Terms of the uncertainty of a case's energy per inference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.analysis import uncertainty
from harness.analysis.uncertainty import Terms
from harness.energy.scope import CaseEnergy
from harness.frame.results import Result, known
from harness.schema import Domain, Measurement, Record

GEFORCE_W, DATA_CENTRE_W = 13.0, 2.0
"""Standard uncertainty of the offset of uncalibrated NVIDIA readings, in watts (authors' data of arXiv 2312.02741)."""


def terms(result: Result) -> Terms:
    """Uncertainty terms of the mean energy per inference, in joules."""
    u_a_j, u_gain_j = uncertainty.scatter(result.energies), _gain_j(result)
    return Terms(
        u_a_j=u_a_j,
        u_edge_j=uncertainty.of_mean([uncertainty.edges(each.parts) for _, each in result.launches]),
        u_gain_j=u_gain_j,
        u_offset_j=_offset_j(result),
        u_base_j=uncertainty.of_mean([_base_j(record, each) for record, each in result.launches]),
        nu=uncertainty.freedom(u_a_j, u_gain_j, len(result.energies)),
    )


def gain(result: Result) -> float | None:
    """Relative standard uncertainty of the summed energy from the gains; None if the gain of a domain is unknown."""
    u_gain_j = _gain_j(result)
    return None if u_gain_j is None or not result.energies else u_gain_j / float(np.mean(result.energies))


def gain_moves(result: Result) -> dict[str, float]:
    """Relative change of the sum by one standard uncertainty of each domain's gain; empty if a gain is unknown.

    Equal changes cancel between two cases: fully if both use one sensor, partly if only one of the sums includes a card.
    """
    shares = [] if result.kind == "modelled" else result.shares
    total_j = sum(joules or 0.0 for _, joules in shares)
    if not total_j > 0 or any(gain is None or joules is None for gain, joules in shares):
        return {}
    return {name: (gain or 0.0) * (joules or 0.0) / total_j for name, (gain, joules) in zip(_scope(result), shares, strict=True)}


def offset_w(result: Result) -> float | None:
    """Standard uncertainty of the summed offset of the sensors in the scope, in watts; None if none is known."""
    offsets = _offsets_w(result)
    return float(np.sqrt(sum(watts**2 for watts in offsets.values()))) if offsets else None


def per_inference_s(windows: Sequence[Measurement]) -> float | None:
    """Window length per inference of one domain, in seconds; None if the number of inferences is unknown."""
    inferences = sum(known([m.inferences for m in windows]))
    return sum([m.end_s - m.start_s for m in windows]) / inferences if inferences else None


def _gain_j(result: Result) -> float | None:
    """Energy of one standard uncertainty of the domains' gains, which are independent, in joules."""
    if result.kind == "modelled" or any(gain is None or joules is None for gain, joules in result.shares):
        return None
    return float(np.sqrt(sum(((gain or 0.0) * (joules or 0.0)) ** 2 for gain, joules in result.shares)))


def _offset_j(result: Result) -> float | None:
    """Term o T / n of the sensors with a known offset, in joules; shared by all launches, so more launches do not reduce it."""
    squares = []
    for name, watts in _offsets_w(result).items():
        seconds = known(per_inference_s(each.windows[name]) for _, each in result.launches)
        squares += [(watts * float(np.mean(seconds))) ** 2] if seconds else []
    return float(np.sqrt(sum(squares))) if squares else None


def _base_j(record: Record, energy: CaseEnergy) -> float | None:
    """Term u(P0) T / n of one launch, in joules; None if the idle power of a domain was not measured before and after."""
    if energy.net_j is None:
        return None
    idle = [m for m in record.measurements if m.phase == "idle" and m.gross_j is not None and m.end_s > m.start_s]
    terms_j = []
    for name, windows in energy.windows.items():
        u_w = uncertainty.idle([(m.gross_j or 0.0) / (m.end_s - m.start_s) for m in idle if m.domain == name])
        seconds = per_inference_s(windows)
        if u_w is None or seconds is None:
            return None
        terms_j.append(u_w * seconds)
    return math.hypot(*terms_j) if terms_j else None


def _offsets_w(result: Result) -> dict[str, float]:
    """Known offset uncertainties by domain of the scope, in watts."""
    names = _scope(result) if result.kind != "modelled" else []
    offsets = {d.name: _domain_offset_w(d) for d in result.run.header.domains if d.name in names}
    return {name: watts for name, watts in offsets.items() if watts is not None}


def _scope(result: Result) -> list[str]:
    return (result.scope or "").split("+")


def _domain_offset_w(domain: Domain) -> float | None:
    """Offset uncertainty of the calibration, otherwise the published one of NVIDIA's cards, in watts; None if unknown."""
    if calibration := domain.detail.get("calibration"):
        return float(calibration["offset_u_w"] / calibration["gain"])
    if domain.sensor != "nvml":
        return None
    name = str(domain.detail.get("name"))
    return GEFORCE_W if any(word in name for word in ("GeForce", "RTX")) else DATA_CENTRE_W
