"""Row of the table `cases`: every figure of one case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.analysis.interval import absolute_interval
from harness.analysis.kernels import kernels_text, share_of
from harness.analysis.stopping import HalfWidth
from harness.analysis.uncertainty import EDGES_DOMINATE, Terms
from harness.energy.placement import share_elsewhere
from harness.energy.scope import CaseEnergy, family, per_inference
from harness.frame.baseline import ratios
from harness.frame.device_state import case_state
from harness.frame.payback import payback
from harness.frame.quality import against_reference, differs_from_reference, paired, quality
from harness.frame.results import Result, calibrated, known, mean, precision_ran, profiled_first, rails, tf32
from harness.frame.rows import Row
from harness.frame.tokens import token_row
from harness.frame.uncertainty import terms
from harness.frame.with_interval import with_interval
from harness.schema import Case, Finding, Record


def case_row(result: Result) -> Row:
    """Columns of `cases` except for those of the front; absent columns are empty."""
    uncertainty = terms(result)
    energy = _energy(result, uncertainty)
    return {
        **_identity(result),
        **_status(result, uncertainty),
        **quality(result),
        **paired(result),
        **against_reference(result),
        **_performance(result),
        **energy,
        **token_row(result, energy.get("energy_j")),
        **artifact((result.ok or result.chosen)[-1]),
        **ratios(result, result.baseline),
        **payback(result, result.baseline),
    }


def artifact(record: Record) -> Row:
    """Size, hash and counts of the model file of a record; empty without one."""
    if not record.artifact:
        return {}
    facts = record.artifact.facts
    counts = {name: getattr(facts, name) for name in ("parameters", "nonzero_parameters", "macs")}
    return {"artifact_bytes": record.artifact.bytes, "sha256": record.artifact.sha256, **counts}


def window_s(record: Record) -> float | None:
    """Length of the measured window in seconds; None if it was not reached."""
    return sum([p.duration_s for p in record.phases if p.name == "steady"]) or None


def codes(findings: Iterable[Finding]) -> str | None:
    """Codes of findings, each once, joined by semicolons; None without findings."""
    return ";".join(dict.fromkeys([f.code for f in findings])) or None


def _identity(result: Result) -> Row:
    header, case, environment = result.run.header, result.case, result.environment
    name, count = _device(result)
    copied = ("case_id", "model", "variant", "engine", "batch_size", "threads", "scenario", "copies", "in_flight", "baseline_case_id")
    return {
        **{field: getattr(case, field) for field in copied},
        "device": case.device_text,
        "engine_options": _options(case),
        "schema_version": header.schema_version,
        "run_id": header.run_id,
        "suite_hash": header.suite.sha256,
        "environment_id": result.chosen[-1].environment_id,
        "host": environment.host if environment else None,
        "device_name": name,
        "device_count": count,
        "unit": case.unit,
    }


def _options(case: Case) -> str | None:
    """Engine options in the case's id, which omits defaults: `xla=true, inter_op=2`; None without options."""
    start = f"{case.model}/{case.variant}/{case.engine}("
    return case.case_id.removeprefix(start).partition(f")/{case.device}")[0] if case.case_id.startswith(start) else None


def _device(result: Result) -> tuple[str | None, int | None]:
    """(product name, number of domains) of the case's device."""
    device, domains = result.case.device, rails(result.domains)
    if device == "cpu":
        own = [d for d in domains if family(d.name) == "package"]
        name = result.environment.cpu if result.environment else None
    else:
        own = [d for d in domains if device in (d.device, d.name) and d.parent is None]
        name = next((str(d.detail["name"]) for d in own if d.detail.get("name")), None)
    return name, len(own) or None


def _status(result: Result, uncertainty: Terms) -> Row:
    last = (result.ok or result.chosen)[-1]
    failed = [r for r in result.chosen if r.status != "ok"]
    findings = [f for r in result.ok for f in r.warnings]
    valid = bool(result.valid) if result.ok else None
    of_case = [EDGES_DOMINATE] if uncertainty.edges_dominate else []
    of_case += [each] if (each := differs_from_reference(result)) else []
    return {
        "status": last.status,
        "reason": failed[-1].reason if failed else None,
        "valid": valid,
        "invalid_reasons": None if valid else codes(f for f in findings if f.invalid),
        "warnings": codes(f for f in (*findings, *of_case) if valid or not f.invalid),
        "repetitions": len(result.ok),
        "failed_repetitions": len(failed),
        "window_s": mean(window_s(r) for r in result.ok),
        "precision_ran": precision_ran(result),
        **_kernels(result),
        **case_state(result),
        "tf32": tf32(result),
        "operators_elsewhere_share": max(known(share_elsewhere(r.engine_facts) for r in result.ok), default=None),
        **{name: _largest(result, name) for name in ("peak_memory_bytes", "peak_device_memory_bytes", "resident_bytes")},
    }


def _largest(result: Result, name: str) -> int | None:
    return max(known(getattr(r, name) for r in result.ok), default=None)


def _kernels(result: Result) -> Row:
    kernels = next((r.kernels for r in profiled_first(result)), ())
    return {"kernels": kernels_text(kernels), "int8_share": share_of(kernels, "int8")}


def _performance(result: Result) -> Row:
    row = with_interval("throughput", "per_s", [r.throughput_per_s for r in result.ok], result.q)
    for p in ("p50", "p90", "p99"):
        values = [getattr(r.latency, f"{p}_s") if r.latency else None for r in result.ok]
        row |= with_interval(f"latency_{p}", "s", values, result.q)
    return row


def _energy(result: Result, uncertainty: Terms) -> Row:
    header, energies = result.run.header, [energy for _, energy in result.launches]
    row: Row = {
        "energy_kind": result.kind,
        "energy_scope": result.scope_label,
        "device_uuid": result.device_uuid,
        "calibrated": calibrated(header.domains, result.scope),
        "energy_repetitions": len(energies),
        "energy_modelled_j": mean(result.sum(r).modelled_j for r in result.valid),
    }
    if not energies:
        return row
    row |= with_interval("energy", "j", result.energies, result.q)
    return {
        **row,
        **uncertainty._asdict(),
        **_absolute(result, row["energy_j"], uncertainty.u_gain_j),
        **with_interval("device_energy", "j", [energy.device_j for energy in energies], result.q),
        **_split(energies, row["energy_j"]),
        "idle_w": mean(energy.idle_w for energy in energies),
        "carbon_g": row["energy_j"] / 3.6e6 * header.grid.g_per_kwh if header.grid else None,
        "target_reached": _reached(result),
    }


def _split(energies: Sequence[CaseEnergy], energy_j: float) -> Row:
    """Energy of the packages and of the DRAM, and what the idle machine would have used of it; empty if not measured."""

    def part(energy: CaseEnergy, name: str) -> float | None:
        own = [per_inference(windows) for domain, windows in energy.windows.items() if family(domain) == name]
        return sum(known(own)) if own and None not in own else None

    net_j = mean(energy.net_j for energy in energies)
    return {
        "energy_net_j": net_j,
        "idle_share": None if net_j is None else 1 - net_j / energy_j,
        "package_energy_j": mean(part(energy, "package") for energy in energies),
        "dram_energy_j": mean(part(energy, "dram") for energy in energies),
    }


def _absolute(result: Result, energy_j: float, u_gain_j: float | None) -> Row:
    """Bounds that include the gain uncertainty of the domains; empty if one is unknown."""
    if u_gain_j is None:
        return {}
    interval = absolute_interval(result.energies, u_gain_j / energy_j, result.q)
    return {"energy_abs_low_j": interval.low, "energy_abs_high_j": interval.high}


def _reached(result: Result) -> bool | None:
    profile = result.run.header.profile
    rule = HalfWidth(profile.first, profile.cap, profile.half_width)
    for energy in result.energies:
        rule.add(energy)
    return rule.reached
