"""Payback columns of a case: number of inferences after which the energy of its own build steps is saved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from harness.analysis.payback import Saving
from harness.analysis.payback import payback as fieller
from harness.energy.scope import CaseEnergy, build_energy
from harness.frame.results import Result, known
from harness.frame.uncertainty import offset_w, per_inference_s
from harness.schema import Build, Record, StoredRun, evidence


def payback(result: Result, baseline: Result | None) -> dict[str, Any]:
    """Payback columns of `cases`; empty unless build and saving are both measured or both modelled, over one scope."""
    if baseline is None or result.case.case_id == baseline.case.case_id or not (result.energies and baseline.energies):
        return {}
    own = _own_steps(result, baseline)
    spent = [_energy(result.run, build) for build in own]
    build_j = _sum(each.energy_j if each else None for each in spent)
    kinds = {evidence(each.kind) for each in spent if each} | {evidence(result.kind), evidence(baseline.kind)}
    if not build_j or len(kinds) > 1 or result.scope != baseline.scope:
        return {}
    offset_j, build_offset_j = _offsets_j(result, baseline, known(spent))
    saving = Saving.of_launches(result.energies, baseline.energies, offset_j)
    edges_j = [m.edge_j for each in known(spent) for m in each.parts if m.edge_j is not None]
    u_build_j = float(np.sqrt(sum(edge**2 for edge in edges_j) + build_offset_j**2))
    point = fieller(build_j, saving, result.q, u_build_j, build_offset_j * offset_j)
    return {
        "build_j": build_j,
        "payback_inferences": point.inferences,
        "payback_low": point.low,
        "payback_high": point.high,
        "payback_verdict": point.verdict,
    }


def _own_steps(result: Result, baseline: Result) -> list[Build]:
    """Steps of the case's build that the baseline's build does not share."""
    shared = {build.build_id for build in _chain(result.run, baseline.case.build_id)}
    return [build for build in _chain(result.run, result.case.build_id) if build.build_id not in shared]


def _chain(run: StoredRun, build_id: str | None) -> list[Build]:
    """A build and its ancestors, the build itself first."""
    builds = {build.build_id: build for build in run.header.suite.builds}
    chain = []
    while build_id in builds:
        chain.append(builds[build_id])
        build_id = builds[build_id].parent
    return chain


def _energy(run: StoredRun, build: Build) -> CaseEnergy | None:
    """Energy of the last completed record of a build, which for a cached one is the original's; None if there is none."""
    records: list[Record] = [r for r in run.records if r.task == "build" and r.build_id == build.build_id and r.status == "ok"]
    return build_energy(records[-1].measurements, build.target.device if build.target else None) if records else None


def _offsets_j(result: Result, baseline: Result, spent: Iterable[CaseEnergy]) -> tuple[float, float]:
    """Energy that one standard uncertainty of the sensors' offset adds to the saving (signed) and to the build, in joules."""
    watts = offset_w(result)
    seconds = [_seconds(each) for each in (baseline, result)]
    if watts is None or None in seconds:
        return 0.0, 0.0
    before, after = known(seconds)
    build_s = sum(max((m.end_s - m.start_s for m in each.parts), default=0.0) for each in spent)
    return watts * (before - after), watts * build_s


def _seconds(result: Result) -> float | None:
    """Window length per inference, mean over launches and domains, in seconds."""
    seconds = known(per_inference_s([m]) for _, each in result.launches for m in each.parts)
    return float(np.mean(seconds)) if seconds else None


def _sum(values: Iterable[float | None]) -> float | None:
    """Sum of the values; None if there are none or one is None."""
    values = list(values)
    return sum(known(values)) if values and None not in values else None
