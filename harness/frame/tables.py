"""Stored runs -> tidy pandas tables by declared lists of columns: `cases`, `runs` (repetitions), `domains` (of each case), `builds`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from harness.analysis.interval import Interval, absolute_interval, positive_interval
from harness.analysis.kernels import kernels_text, share_of
from harness.analysis.stopping import HalfWidth
from harness.analysis.uncertainty import EDGES_DOMINATE, Terms
from harness.energy.scope import CaseEnergy, build_energy, family, per_inference, weakest
from harness.frame.columns import TABLES
from harness.frame.compare import against, fronts
from harness.frame.history import history_rows
from harness.frame.objectives import written
from harness.frame.payback import payback
from harness.frame.quality import paired, quality
from harness.frame.results import Result, calibrated, known, mean, rails, results
from harness.frame.rows import Row
from harness.frame.uncertainty import terms
from harness.schema import OBJECTIVES, Build, Case, Domain, Finding, Measurement, Objective, Record, StoredRun

if TYPE_CHECKING:
    import pandas as pd

AS_RECORDED = (
    "run_id", "case_id", "environment_id", "block", "repetition", "attempt", "status", "reason", "started_utc", "inferences",
    "throughput_per_s", "peak_memory_bytes", "peak_device_memory_bytes", "peak_device_memory_source", "trace",
)  # fmt: skip
"""Columns of `runs` that are a record's own fields."""


def tables(stored: Sequence[StoredRun], objectives: Sequence[Objective] = OBJECTIVES) -> dict[str, pd.DataFrame]:
    """All public tables, by name.

    Args:
        stored: Runs read back from their folders.
        objectives: What the fronts are of.
    """
    found = [results(run) for run in stored]  # once: the tables share what they compute of a case
    return {"cases": _cases(found, objectives), "runs": _runs(found), "domains": _domains(found), "builds": builds(stored)}


def cases(stored: Iterable[StoredRun], objectives: Sequence[Objective] = OBJECTIVES) -> pd.DataFrame:
    """One row per case that ran at least once, in the suite's order; columns: `harness.frame.columns.CASES`."""
    return _cases([results(run) for run in stored], objectives)


def runs(stored: Iterable[StoredRun]) -> pd.DataFrame:
    """One row per case and repetition: the last attempt that is ok, else the last; columns: `harness.frame.columns.RUNS`."""
    return _runs([results(run) for run in stored])


def domains(stored: Iterable[StoredRun]) -> pd.DataFrame:
    """One row per case and domain that was sampled; columns: `harness.frame.columns.DOMAINS`."""
    return _domains([results(run) for run in stored])


def builds(stored: Iterable[StoredRun]) -> pd.DataFrame:
    """One row per build, its last attempt; columns: `harness.frame.columns.BUILDS`."""
    return _frame("builds", [_build_row(run, record) for run in stored for record in _last_builds(run)])


def history(stored: Sequence[StoredRun], case_id: str) -> pd.DataFrame:
    """One row per run that has the case, in the order of time; columns: `harness.frame.columns.HISTORY`.

    Args:
        stored: Runs read back from their folders.
        case_id: Of the case.
    """
    found = [(result, _case_row(result)) for run in stored for result in results(run) if result.case.case_id == case_id]
    return _frame("history", history_rows(found))


def _cases(found: Sequence[Sequence[Result]], objectives: Sequence[Objective]) -> pd.DataFrame:
    return _frame("cases", [row for run in found for row in _case_rows(run, objectives)])


def _runs(found: Sequence[Sequence[Result]]) -> pd.DataFrame:
    return _frame("runs", [row for run in found for result in run for row in _repetition_rows(result)])


def _domains(found: Sequence[Sequence[Result]]) -> pd.DataFrame:
    return _frame("domains", [row for run in found for result in run for row in _domain_rows(result)])


def _frame(name: str, rows: Sequence[Row]) -> pd.DataFrame:
    import pandas as pd

    types = {"str": "string", "float": "float64", "int": "Int64", "bool": "boolean"}
    # Objects at first: a number of a column with nulls must not become a float on the way.
    objects = pd.DataFrame(list(rows), columns=[c.name for c in TABLES[name]], dtype=object)
    return objects.astype({c.name: types[c.type] for c in TABLES[name]})


def _case_rows(found: Sequence[Result], objectives: Sequence[Objective]) -> list[Row]:
    rows = [_case_row(result) for result in found]
    places, of = fronts(found, rows, objectives), {"front_objectives": written(objectives)}
    return [row | of | places[row["case_id"]] for row in rows]


def _case_row(result: Result) -> Row:
    uncertainties = terms(result)
    return {
        **_identity(result),
        **_status(result, uncertainties),
        **quality(result),
        **paired(result),
        **_latency(result),
        **_energy(result, uncertainties),
        **_artifact((result.ok or result.chosen)[-1]),
        **against(result, result.baseline),
        **payback(result, result.baseline),
    }


def _identity(result: Result) -> Row:
    header, case, environment = result.run.header, result.case, result.environment
    name, count = _device(result)
    return {
        **{
            field: getattr(case, field)
            for field in ("case_id", "model", "variant", "engine", "device", "batch_size", "threads", "scenario")
        },
        "engine_options": _options(case),
        "schema_version": header.schema_version,
        "run_id": header.run_id,
        "suite_hash": header.suite.sha256,
        "environment_id": result.chosen[-1].environment_id,
        "host": environment.host if environment else None,
        "device_name": name,
        "device_count": count,
        "unit": "inference",
        "baseline_case_id": case.baseline_case_id,
    }


def _options(case: Case) -> str | None:
    """The options of the engine as the case's id, which leaves defaults out, has them: `xla=true, inter_op=2`; null where it has none."""
    begun = f"{case.model}/{case.variant}/{case.engine}("
    return case.case_id.removeprefix(begun).partition(f")/{case.device}/")[0] if case.case_id.startswith(begun) else None


def _device(result: Result) -> tuple[str | None, int | None]:
    """(name, how many) of the case's device, as sensors and system tell."""
    device, found = result.case.device, rails(result.run.header.domains)
    if device == "cpu":
        own = [d for d in found if family(d.name) == "package"]
        name = result.environment.cpu if result.environment else None
    else:
        own = [d for d in found if device in (d.device, d.name) and d.parent is None]
        name = next((str(d.detail["name"]) for d in own if d.detail.get("name")), None)
    return name, len(own) or None


def _status(result: Result, uncertainties: Terms) -> Row:
    last = (result.ok or result.chosen)[-1]
    findings = [f for r in result.ok for f in r.warnings]
    valid = bool(result.valid) if result.ok else None
    return {
        "status": last.status,
        "reason": last.reason,
        "valid": valid,
        "invalid_reasons": None if valid else _codes(f for f in findings if f.invalid),
        "warnings": _codes(f for f in (*findings, *([EDGES_DOMINATE] if uncertainties.edges_dominate else [])) if valid or not f.invalid),
        "repetitions": len(result.ok),
        "window_s": mean(_window_s(r) for r in result.ok),
        "peak_memory_bytes": max(known(r.peak_memory_bytes for r in result.ok), default=None),
        **_accelerator(result),
        **_ran(result),
    }


def _accelerator(result: Result) -> Row:
    """What the case's accelerator was asked for: memory, its power limit, its arithmetic."""
    cards = [d.name for d in rails(result.run.header.domains) if d.device == result.case.device and d.device != "cpu"]
    shares = [share for r in result.ok for card in cards if (share := r.conditions.get(f"{card} power_capped")) is not None]
    return {
        "peak_device_memory_bytes": max(known(r.peak_device_memory_bytes for r in result.ok), default=None),
        "power_capped_share": mean(shares),
        "tf32": next((r.engine_facts["tf32"] for r in result.ok if r.engine_facts.get("tf32") is not None), None),
    }


def _ran(result: Result) -> Row:
    """What really ran: of the repetition that was profiled; else what the engine says."""
    known_best = sorted(result.ok, key=lambda r: not r.kernels)
    kernels = known_best[0].kernels if known_best else ()
    return {
        "precision_ran": next((r.precision_ran for r in known_best if r.precision_ran), None),
        "kernels": kernels_text(kernels),
        "int8_share": share_of(kernels, "int8"),
        "resident_bytes": max(known(r.resident_bytes for r in result.ok), default=None),
    }


def _latency(result: Result) -> Row:
    row = _throughput(result)
    for p in ("p50", "p90", "p99"):
        values = [getattr(r.latency, f"{p}_s") if r.latency else None for r in result.ok]
        if values and None not in values:
            interval = positive_interval(known(values), result.q)
            row |= {f"latency_{p}_s": interval.value, f"latency_{p}_low_s": interval.low, f"latency_{p}_high_s": interval.high}
    return row


def _throughput(result: Result) -> Row:
    rates = [r.throughput_per_s for r in result.ok]
    if not rates or None in rates:
        return {}
    interval = positive_interval(known(rates), result.q)
    return {"throughput_per_s": interval.value, "throughput_low_per_s": interval.low, "throughput_high_per_s": interval.high}


def _energy(result: Result, uncertainties: Terms) -> Row:
    grid = result.run.header.grid
    row: Row = {
        "energy_kind": result.kind,
        "energy_scope": result.scope_label,
        "device_uuid": result.device_uuid,
        "calibrated": calibrated(result.run.header.domains, result.scope),
        "energy_repetitions": len(result.energies),
        "energy_modelled_j": mean(result.sum(r).modelled_j for r in result.valid),
    }
    if not result.energies:
        return row
    interval = positive_interval(result.energies, result.q)
    absolute = _absolute(result, interval.value, uncertainties.u_gain_j)
    return (
        row
        | uncertainties._asdict()
        | {
            "energy_j": interval.value,
            "energy_low_j": interval.low,
            "energy_high_j": interval.high,
            "energy_abs_low_j": absolute.low,
            "energy_abs_high_j": absolute.high,
            "energy_net_j": mean(each.net_j for _, each in result.launches),
            "idle_w": mean(each.idle_w for _, each in result.launches),
            "carbon_g": interval.value / 3.6e6 * grid.g_per_kwh if grid else None,
            "target_reached": _reached(result),
        }
        | _device_energy(result)
    )


def _device_energy(result: Result) -> Row:
    """Of the accelerator alone; nothing on the processor, or where a wall meter is the scope."""
    energies = [each.device_j for _, each in result.launches]
    if not energies or None in energies:
        return {}
    interval = positive_interval(known(energies), result.q)
    return {"device_energy_j": interval.value, "device_energy_low_j": interval.low, "device_energy_high_j": interval.high}


def _absolute(result: Result, energy_j: float, u_gain_j: float | None) -> Interval:
    """With the gains of the scope's domains; NaN where one is not known."""
    if u_gain_j is None:
        return Interval(float("nan"), float("nan"), float("nan"))
    return absolute_interval(result.energies, u_gain_j / energy_j, result.q)


def _reached(result: Result) -> bool | None:
    profile = result.run.header.profile
    rule = HalfWidth(profile.first, profile.cap, profile.half_width)
    for energy in result.energies:
        rule.add(energy)
    return rule.reached


def _artifact(record: Record) -> Row:
    artifact = record.artifact
    if not artifact:
        return {}
    facts = artifact.facts
    return {
        "artifact_bytes": artifact.bytes,
        "parameters": facts.parameters,
        "nonzero_parameters": facts.nonzero_parameters,
        "macs": facts.macs,
        "sha256": artifact.sha256,
    }


# --- the other tables ------------------------------------------------------------------------------------------------


def _repetition_rows(result: Result) -> list[Row]:
    energies, valid = {id(record): each for record, each in result.launches}, {id(record) for record in result.valid}
    # What they have in common once.
    shared: Row = {
        "precision_ran": _ran(result)["precision_ran"],
        "calibrated": calibrated(result.run.header.domains, result.scope),
        "energy_scope": result.scope_label,
    }
    return [shared | _repetition_row(record, energies.get(id(record)), valid=id(record) in valid) for record in result.chosen]


def _repetition_row(record: Record, each: CaseEnergy | None, *, valid: bool) -> Row:
    row: Row = {name: getattr(record, name) for name in AS_RECORDED}
    row["window_s"] = _window_s(record)
    row["quality"] = record.quality.value if record.quality else None
    row["valid"] = valid if record.status == "ok" else None
    row["invalid_reasons"] = _codes([f for f in record.warnings if f.invalid])
    row["warnings"] = _codes([f for f in record.warnings if not f.invalid])
    if record.latency:
        row |= {f"latency_{name}": value for name, value in record.latency}
    row["energy_kind"] = each.kind if each else "absent"
    if each:
        row |= {"energy_j": each.energy_j, "energy_net_j": each.net_j, "energy_modelled_j": each.modelled_j, "idle_w": each.idle_w}
        row["device_energy_j"] = each.device_j
    return row


def _domain_rows(result: Result) -> list[Row]:
    """Of every rail that was sampled."""
    windows: dict[str, list[list[Measurement]]] = {}
    for record in result.valid:
        steady: dict[str, list[Measurement]] = {}
        for m in record.measurements:
            if m.phase == "steady":
                steady.setdefault(m.domain, []).append(m)
        for name, own in steady.items():
            windows.setdefault(name, []).append(own)
    return [_domain_row(result, domain, windows.get(domain.name, [])) for domain in rails(result.run.header.domains)]


def _domain_row(result: Result, domain: Domain, windows: Sequence[Sequence[Measurement]]) -> Row:
    """Of one rail from its windows in each valid launch."""
    windows = [each for each in windows if per_inference(each) is not None]
    interval = positive_interval(known(map(per_inference, windows)), result.q)
    every = [m for each in windows for m in each]
    return {
        "run_id": result.run.header.run_id,
        "case_id": result.case.case_id,
        "domain": domain.name,
        "sensor": domain.sensor,
        "kind": weakest(m.kind for m in every),
        "device": domain.device,
        "parent": domain.parent,
        "in_scope": domain.name in (result.scope or "").split("+"),
        "repetitions": len(windows),
        "energy_j": interval.value,
        "energy_low_j": interval.low,
        "energy_high_j": interval.high,
        "energy_net_j": mean(per_inference(each, "net_j") for each in windows),
        "integrated_j": mean(per_inference(each, "integrated_j") for each in windows),
        "power_w": mean((m.gross_j or 0.0) / (m.end_s - m.start_s) for m in every),
        "idle_w": mean(m.idle_w for m in every),
        "gain": domain.gain,
        "update_period_s": domain.update_period_s,
        "calibrated": calibrated([domain], domain.name),
    }


def _last_builds(run: StoredRun) -> list[Record]:
    last = {record.build_id: record for record in run.records if record.task == "build"}
    return list(last.values())


def _build_row(run: StoredRun, record: Record) -> Row:
    build: Build | None = next((b for b in run.header.suite.builds if b.build_id == record.build_id), None)
    energy = build_energy(record.measurements)
    return {
        "run_id": run.header.run_id,
        "build_id": record.build_id,
        "model": build.model if build else None,
        "lineage": " > ".join(build.lineage) if build else None,
        "format": build.format if build else None,
        "status": record.status,
        "reason": record.reason,
        "cached": record.cached,
        "seconds": sum(p.duration_s for p in record.phases if p.name == "build") or None,
        "energy_j": energy.energy_j,
        "energy_kind": energy.kind,
        "energy_scope": energy.scope or None,
        "calibrated": calibrated(run.header.domains, energy.scope),
        **_artifact(record),
    }


def _window_s(record: Record) -> float | None:
    return sum([p.duration_s for p in record.phases if p.name == "steady"]) or None


def _codes(findings: Iterable[Finding]) -> str | None:
    return ";".join(dict.fromkeys([f.code for f in findings])) or None
