"""A case's launches -> the terms of the uncertainty of its energy."""

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
"""Standard uncertainty of the offset of NVIDIA's uncalibrated readings (authors' data of arXiv 2312.02741)."""


def terms(result: Result) -> Terms:
    """Each term of the mean energy per inference, J."""
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
    """Relative standard uncertainty of the gain of the scope's sum; null where that of a domain is not known, as of a model."""
    u_gain_j = _gain_j(result)
    return None if u_gain_j is None or not result.energies else u_gain_j / float(np.mean(result.energies))


def gain_moves(result: Result) -> dict[str, float]:
    """By how much one standard uncertainty of the gain of each domain of the scope moves the sum, relative; empty where one is not known.

    What moves two cases alike cancels between them. On one sensor that is all of it; where one sum holds a card's joules and the other
    does not, it is not.
    """
    shares = [] if result.kind == "modelled" else result.shares
    whole_j = sum(joules or 0.0 for _, joules in shares)
    if not whole_j > 0 or any(gain is None or joules is None for gain, joules in shares):
        return {}
    return {name: (gain or 0.0) * (joules or 0.0) / whole_j for name, (gain, joules) in zip(_scope(result), shares, strict=True)}


def offset_w(result: Result) -> float | None:
    """Standard uncertainty of the offset of the sensors in the scope, W; null where none is known."""
    offsets = _offsets_w(result)
    return float(np.sqrt(sum(watts**2 for watts in offsets.values()))) if offsets else None


def per_inference_s(windows: Sequence[Measurement]) -> float | None:
    """T / n of one domain over its windows, s; null where the inferences are not known."""
    inferences = sum(known([m.inferences for m in windows]))
    return sum([m.end_s - m.start_s for m in windows]) / inferences if inferences else None


def _gain_j(result: Result) -> float | None:
    """Gains of the scope's domains, which are independent of each other."""
    if result.kind == "modelled" or any(gain is None or joules is None for gain, joules in result.shares):
        return None
    return float(np.sqrt(sum(((gain or 0.0) * (joules or 0.0)) ** 2 for gain, joules in result.shares)))


def _offset_j(result: Result) -> float | None:
    """The term o T / n of the sensors whose offset is known; it is common to all launches, so that more of them do not make it smaller."""
    squares = []
    for name, watts in _offsets_w(result).items():
        seconds = known(per_inference_s(each.windows[name]) for _, each in result.launches)
        squares += [(watts * float(np.mean(seconds))) ** 2] if seconds else []
    return float(np.sqrt(sum(squares))) if squares else None


def _base_j(record: Record, energy: CaseEnergy) -> float | None:
    """u(P0) T / n of one launch; null where a domain's idle power was not measured before and after."""
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
    """By domain of the scope, where it is known."""
    names = _scope(result)
    found = {d.name: _domain_offset_w(d) for d in result.run.header.domains if d.name in names and result.kind != "modelled"}
    return {name: watts for name, watts in found.items() if watts is not None}


def _scope(result: Result) -> list[str]:
    return (result.scope or "").split("+")


def _domain_offset_w(domain: Domain) -> float | None:
    """As fitted where the sensor was calibrated; else what is known of NVIDIA's cards."""
    if calibration := domain.detail.get("calibration"):
        return float(calibration["offset_u_w"] / calibration["gain"])
    if domain.sensor != "nvml":
        return None
    name = str(domain.detail.get("name"))
    return GEFORCE_W if any(word in name for word in ("GeForce", "RTX")) else DATA_CENTRE_W
