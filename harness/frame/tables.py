"""Public tables of stored runs: `cases`, `runs` (repetitions), `domains`, `builds` and `history`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.energy.scope import CaseEnergy, build_energy, per_inference, weakest
from harness.frame.baseline import joint_verdicts
from harness.frame.cases import artifact, case_row, codes, window_s
from harness.frame.columns import TABLES
from harness.frame.device_state import launch_state
from harness.frame.fronts import fronts
from harness.frame.history import differing, history_rows
from harness.frame.objectives import to_cell
from harness.frame.order import CODE, finding_of
from harness.frame.results import Result, calibrated, known, mean, precision_ran, rails, results
from harness.frame.rows import Row
from harness.frame.tokens import token_launch
from harness.frame.with_interval import with_interval
from harness.schema import OBJECTIVES, Build, Domain, Measurement, Objective, Record, StoredRun

if TYPE_CHECKING:
    import pandas as pd

AS_RECORDED = (
    "run_id", "case_id", "environment_id", "block", "repetition", "attempt", "status", "reason", "started_utc", "inferences",
    "throughput_per_s", "peak_memory_bytes", "peak_device_memory_bytes", "peak_device_memory_source", "trace",
)  # fmt: skip
"""Columns of `runs` that are fields of a record."""
TYPES = {"str": "string", "float": "float64", "int": "Int64", "bool": "boolean"}
"""pandas types of the columns."""


def tables(stored: Sequence[StoredRun], objectives: Sequence[Objective] = OBJECTIVES) -> dict[str, pd.DataFrame]:
    """Tables `cases`, `runs`, `domains` and `builds`, by name."""
    of_runs = [results(run) for run in stored]  # once: the tables share what they compute of a case
    return {"cases": _cases(of_runs, objectives), "runs": _runs(of_runs), "domains": _domains(of_runs), "builds": builds(stored)}


def cases(stored: Iterable[StoredRun], objectives: Sequence[Objective] = OBJECTIVES) -> pd.DataFrame:
    """One row per case that ran, in the suite's order; columns: `harness.frame.columns.CASES`."""
    return _cases([results(run) for run in stored], objectives)


def runs(stored: Iterable[StoredRun]) -> pd.DataFrame:
    """One row per case and repetition; columns: `harness.frame.columns.RUNS`."""
    return _runs([results(run) for run in stored])


def domains(stored: Iterable[StoredRun]) -> pd.DataFrame:
    """One row per case and sampled domain; columns: `harness.frame.columns.DOMAINS`."""
    return _domains([results(run) for run in stored])


def builds(stored: Iterable[StoredRun]) -> pd.DataFrame:
    """One row per build, of its last attempt; columns: `harness.frame.columns.BUILDS`."""
    last = [(run, {r.build_id: r for r in run.records if r.task == "build"}) for run in stored]
    return _frame("builds", [_build_row(run, record) for run, records in last for record in records.values()])


def history(stored: Sequence[StoredRun], case_id: str) -> pd.DataFrame:
    """One row per run of a case, in order of time; columns: `harness.frame.columns.HISTORY`."""
    of_case = [result for run in stored for result in results(run) if result.case.case_id == case_id]
    return _frame("history", history_rows([(result, case_row(result)) for result in of_case]))


def history_differences(stored: Sequence[StoredRun], case_id: str) -> list[str]:
    """Names of the settings, other than the power limit, that differ between the runs of a case."""
    of_case = [result for run in stored for result in results(run) if result.case.case_id == case_id]
    return differing(of_case, [case_row(result) for result in of_case])


def _cases(of_runs: Sequence[Sequence[Result]], objectives: Sequence[Objective]) -> pd.DataFrame:
    rows = []
    for of_run in of_runs:
        own = [case_row(result) | {"front_objectives": to_cell(objectives)} for result in of_run]
        if finding_of(of_run):
            for row in own:
                row["warnings"] = ";".join(filter(None, (row["warnings"], CODE)))
        places = fronts(of_run, own, objectives)
        joint = joint_verdicts(of_run)
        rows += [row | places[row["case_id"]] | joint.get(row["case_id"], {}) for row in own]
    return _frame("cases", rows)


def _runs(of_runs: Sequence[Sequence[Result]]) -> pd.DataFrame:
    return _frame("runs", [row for of_run in of_runs for result in of_run for row in _repetition_rows(result)])


def _domains(of_runs: Sequence[Sequence[Result]]) -> pd.DataFrame:
    return _frame("domains", [row for of_run in of_runs for result in of_run for row in _domain_rows(result)])


def _frame(name: str, rows: Sequence[Row]) -> pd.DataFrame:
    import pandas as pd

    # Objects first: an integer of a column with missing values must not pass through a float.
    columns = {c.name: np.array([row.get(c.name) for row in rows], dtype=object) for c in TABLES[name]}
    # Column by column and with types that are parsed once: in a sixth of the time of `DataFrame.astype` for a small table.
    types = _types()
    return pd.DataFrame({c.name: pd.array(columns[c.name], dtype=types[c.type]) for c in TABLES[name]}, copy=False)


@functools.cache
def _types() -> dict[str, Any]:
    """Pandas types by the types of the columns."""
    import pandas as pd

    return {name: pd.api.types.pandas_dtype(type_) for name, type_ in TYPES.items()}


def _repetition_rows(result: Result) -> list[Row]:
    energies, valid = {id(record): energy for record, energy in result.launches}, {id(record) for record in result.valid}
    shared: Row = {
        "precision_ran": precision_ran(result),
        "calibrated": calibrated(result.run.header.domains, result.scope),
        "energy_scope": result.scope_label,
        "unit": result.case.unit,
    }
    return [
        shared
        | launch_state(result, record)
        | token_launch(record)
        | _repetition_row(record, energies.get(id(record)), valid=id(record) in valid)
        for record in result.chosen
    ]


def _repetition_row(record: Record, energy: CaseEnergy | None, *, valid: bool) -> Row:
    row: Row = {
        **{name: getattr(record, name) for name in AS_RECORDED},
        **({f"latency_{name}": value for name, value in record.latency} if record.latency else {}),
        "window_s": window_s(record),
        "quality": record.quality.value if record.quality else None,
        "valid": valid if record.status == "ok" else None,
        "invalid_reasons": codes(f for f in record.warnings if f.invalid),
        "warnings": codes(f for f in record.warnings if not f.invalid),
        "energy_kind": "absent",
    }
    return row | (
        {
            "energy_kind": energy.kind,
            "energy_j": energy.energy_j,
            "energy_net_j": energy.net_j,
            "energy_modelled_j": energy.modelled_j,
            "idle_w": energy.idle_w,
            "device_energy_j": energy.device_j,
        }
        if energy
        else {}
    )


def _domain_rows(result: Result) -> list[Row]:
    windows: dict[str, list[list[Measurement]]] = {}
    for record in result.valid:
        steady: dict[str, list[Measurement]] = {}
        for m in record.measurements:
            if m.phase == "steady":
                steady.setdefault(m.domain, []).append(m)
        for name, own in steady.items():
            windows.setdefault(name, []).append(own)
    return [_domain_row(result, domain, windows.get(domain.name, [])) for domain in rails(result.domains)]


def _domain_row(result: Result, domain: Domain, windows: Sequence[Sequence[Measurement]]) -> Row:
    """Row of one rail from its windows in each valid launch."""
    windows = [each for each in windows if per_inference(each) is not None]
    every = [m for each in windows for m in each]
    energy_j, net_j = mean(map(per_inference, windows)), mean(per_inference(each, "net_j") for each in windows)
    in_scope, total_j = domain.name in (result.scope or "").split("+"), mean(result.energies)
    return {
        "run_id": result.run.header.run_id,
        "case_id": result.case.case_id,
        "domain": domain.name,
        **{name: getattr(domain, name) for name in ("sensor", "device", "parent", "gain", "update_period_s")},
        "kind": weakest(m.kind for m in every),
        "in_scope": in_scope,
        "repetitions": len(windows),
        **with_interval("energy", "j", known(map(per_inference, windows)), result.q),
        "energy_net_j": net_j,
        "energy_share": energy_j / total_j if in_scope and energy_j is not None and total_j else None,
        "idle_share": None if net_j is None or not energy_j else 1 - net_j / energy_j,
        "integrated_j": mean(per_inference(each, "integrated_j") for each in windows),
        "power_w": mean((m.gross_j or 0.0) / (m.end_s - m.start_s) for m in every),
        "idle_w": mean(m.idle_w for m in every),
        "calibrated": calibrated([domain], domain.name),
        "unit": result.case.unit,
    }


def _build_row(run: StoredRun, record: Record) -> Row:
    build: Build | None = next((b for b in run.header.suite.builds if b.build_id == record.build_id), None)
    energy = build_energy(record.measurements, build.target.device if build and build.target else None)
    return {
        "run_id": run.header.run_id,
        **{name: getattr(record, name) for name in ("build_id", "status", "reason", "cached")},
        "model": build.model if build else None,
        "lineage": " > ".join(build.lineage) if build else None,
        "format": build.format if build else None,
        "seconds": sum(p.duration_s for p in record.phases if p.name == "build") or None,
        "energy_j": energy.energy_j,
        "energy_kind": energy.kind,
        "energy_scope": energy.scope or None,
        "calibrated": calibrated(run.header.domains, energy.scope),
        **artifact(record),
    }
