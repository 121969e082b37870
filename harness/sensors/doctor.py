"""Diagnosis of a machine: readable domains with their expected error, how to fix the others, environments, and what affects comparability."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness import environment, venvs
from harness.energy.ticks import Z95, edge_share
from harness.schema import Catalogue, Domain, Kind
from harness.sensors.base import Sensor
from harness.sensors.card_probe import CardProbe, stored_probe
from harness.sensors.probe import Opened, disagreement, open_sensors, probe
from harness.sensors.sampler import FAST_POLL_S
from harness.text import estimate_text

WINDOW_S = 1.5
"""Window length of the quick profile, in seconds."""
INT8_FLAGS = ("avx2", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""CPU flags of instructions that speed up int8; the last two are Arm's."""


@dataclass(frozen=True)
class Diagnosis:
    """Result for one domain, or for a sensor that could not be opened.

    Attributes:
        sensor: Name of the sensor.
        domain: Name of the domain; None for a sensor without one here.
        readable: Whether a value could be read.
        why_not: Reason; None if readable.
        fix: Next step with the least privilege; None if there is none.
        kind: Kind of the energy; None for conditions.
        update_period_s: Probed update period; None for models and conditions, and if no tick was seen.
        expected_error: Relative standard uncertainty of the requested window, from its edges; None if unknown.
        counter_vs_power: Integrated power over the counter, minus 1; None if one of the two is missing.
        note: Warning or restriction; None if there is none.
    """

    sensor: str
    domain: str | None
    readable: bool
    why_not: str | None = None
    fix: str | None = None
    kind: Kind | None = None
    update_period_s: float | None = None
    expected_error: float | None = None
    counter_vs_power: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Machine:
    """Properties of the machine, apart from its sensors, that affect comparability.

    Attributes:
        governor: Clock governor; None if unknown.
        turbo: Whether turbo is on; None if unknown.
        virtual: Hypervisor and container; None on bare metal.
        int8_flags: CPU flags of instructions for int8.
        advice: Sentences on how to get more stable figures.
    """

    governor: str | None
    turbo: bool | None
    virtual: str | None
    int8_flags: tuple[str, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True)
class Examination:
    """Result of the doctor: the machine, every domain and sensor, the window length of the errors, environments, and stored probes of cards."""

    machine: Machine
    findings: tuple[Diagnosis, ...]
    window_s: float
    environments: tuple[venvs.VirtualEnvironment, ...] = ()
    probes: tuple[CardProbe, ...] = ()


def examine(catalogue: Catalogue, seconds: float = 5.0, window_s: float = WINDOW_S) -> Examination:
    """Open, probe and close every sensor, and look at the machine.

    Args:
        catalogue: Available plug-ins.
        seconds: Maximum duration of the probe.
        window_s: Window length in seconds for which the error is computed.
    """
    opened, unavailable = open_sensors(catalogue)
    try:
        opened, probed = probe(opened, seconds)
        findings = [_of_domain(sensor, domain, probed.get(domain.name, {}), window_s) for sensor, domains in opened for domain in domains]
        findings += [
            _unavailable(sensor.spec.name, device["left_out"], device["domain"])
            for sensor, _ in opened
            for device in sensor.describe()
            if "left_out" in device
        ]
    finally:
        for sensor, _ in opened:
            sensor.close()
    findings += [_unavailable(name, why) for name, why in unavailable.items()]
    return Examination(machine(), tuple(findings), window_s, tuple(venvs.environments(catalogue)), tuple(_probes(opened)))


def to_json(examination: Examination) -> str:
    """The examination as JSON; absent values are null."""
    probes = [probe.model_dump() for probe in examination.probes]
    return json.dumps({**asdict(examination), "probes": probes}, indent=2)


def to_text(examination: Examination) -> str:
    """The examination as text: energies, conditions, what is unavailable with the next step, environments, and the machine."""
    energies = [f for f in examination.findings if f.domain and f.kind]
    conditions = [f.domain for f in examination.findings if f.domain and f.readable and not f.kind]
    sections = {
        "Energy": _energy_lines(energies, examination.window_s) if energies else ["no sensor of energy or power is readable"],
        "Conditions": [", ".join(conditions) or "none"],
        "Not available": [line for f in examination.findings if not f.readable for line in _unavailable_lines(f)],
        "Environments": _environment_lines(examination.environments),
        "Probes of GPUs": [_probe_line(probe) for probe in examination.probes],
        "Machine": _machine_lines(examination.machine),
    }
    return "\n\n".join("\n".join([title, *(f"  {line}".rstrip() for line in lines)]) for title, lines in sections.items() if lines)


def _probes(opened: Opened) -> Iterator[CardProbe]:
    """Stored probes of the cards here, of the driver that is loaded."""
    cards = {d.detail["uuid"]: d.detail.get("driver", "") for _, domains in opened for d in domains if d.detail.get("uuid")}
    for uuid, driver in cards.items():
        probe, _ = stored_probe(uuid, driver)
        if probe:
            yield probe


def _probe_line(probe: CardProbe) -> str:
    """A stored probe in a line."""
    seen, spread = probe.sees_all.get("counter"), probe.spreads.get("counter")
    covers = "unknown" if seen is None else f"{'yes' if seen else 'no'} (spread {spread:.1%})"
    tick = "unknown" if probe.tick_period_s is None else f"{probe.tick_period_s * 1e3:.3g} ms"
    return f"{probe.uuid}, {probe.probed_utc[:10]}, driver {probe.driver}: counter ticks each {tick}; sees all of a periodic load: {covers}"


def _energy_lines(findings: Sequence[Diagnosis], window_s: float) -> list[str]:
    from tabulate import tabulate

    rows = [
        {
            "domain": f.domain,
            "sensor": f.sensor,
            "kind": f.kind,
            "readable": "yes" if f.readable else "no",
            "update period": None if f.update_period_s is None else f"{f.update_period_s * 1e3:.3g} ms",
            f"error of {window_s:g} s": None if f.expected_error is None else f"{f.expected_error:.2%}",
            "power vs counter": None if f.counter_vs_power is None else f"{f.counter_vs_power:+.1%}",
        }
        for f in findings
    ]
    table = str(tabulate(rows, headers="keys", missingval="-", disable_numparse=True))
    notes = [f"{f.domain}: {f.note}" for f in findings if f.note]
    return [*table.splitlines(), *([""] if notes else []), *notes]


def _unavailable_lines(finding: Diagnosis) -> Iterator[str]:
    """Reason and next step; further lines of the step have no arrow, so that commands can be pasted."""
    yield f"{finding.domain or finding.sensor}: {finding.why_not}"
    for number, line in enumerate((finding.fix or "").splitlines()):
        yield f"  {'' if number else '-> '}{line}"


def _environment_lines(environments: Sequence[venvs.VirtualEnvironment]) -> list[str]:
    """A row for each separate environment, and below the table how to set up those that are missing."""
    from tabulate import tabulate

    if not environments:
        return []
    rows = [{"name": e.name, "installed": _installed(e), "used by": ", ".join(e.plugins)} for e in environments]
    table = str(tabulate(rows, headers="keys", disable_numparse=True, maxcolwidths=[None, 40, 60]))
    setups = [line for e in environments if e.missing for line in (f"{e.name}: not installed", f"  -> {e.setup}")]
    return [*table.splitlines(), *([""] if setups else []), *setups]


def _installed(here: venvs.VirtualEnvironment) -> str:
    if here.installed:
        return f"yes, {here.folder}"
    if not here.in_ours:
        return "no"
    return "no; ours has the libraries" if not here.missing else f"no; ours has those of {', '.join(here.in_ours)}"


def _machine_lines(here: Machine) -> list[str]:
    return [
        f"clock governor: {here.governor or 'unknown'}",
        f"turbo: {'unknown' if here.turbo is None else 'on' if here.turbo else 'off'}",
        f"virtual: {here.virtual or 'no'}",
        f"int8 instructions: {', '.join(here.int8_flags) or 'none'}",
        *(f"-> {advice}" for advice in here.advice),
    ]


def machine() -> Machine:
    """Properties of this machine that need no sensor."""
    here = environment.environment()
    advice = []
    if here.governor not in (None, "performance"):
        advice.append(f"the clock governor is {here.governor}: clocks follow the load; compare only runs with the same governor")
    if here.virtual:
        advice.append(
            f"the machine is virtual ({here.virtual}): it shares hardware with other machines, and usually has no CPU energy counters"
        )
    if here.cpu_limit:
        advice.append(f"the harness may use {here.cpu_limit:g} of {here.cpu_count} CPUs: compare only runs with the same limit")
    flags = tuple(flag for flag in INT8_FLAGS if flag in here.cpu_flags)
    if not set(flags) - {"avx2"}:
        advice.append("the CPU has no instructions for int8 dot products: int8 may not be faster here")
    return Machine(here.governor, here.turbo, here.virtual, flags, tuple(advice))


def _of_domain(sensor: Sensor, domain: Domain, probed: dict[str, Any], window_s: float) -> Diagnosis:
    error = probed.get("error")
    return Diagnosis(
        sensor=sensor.spec.name,
        domain=domain.name,
        readable=error is None,
        why_not=error,
        fix="run `harness doctor` again; if the error persists, see `dmesg`" if error else None,
        kind=domain.kind,
        update_period_s=domain.update_period_s,
        expected_error=_expected_error(domain, probed, window_s),
        counter_vs_power=disagreement(probed),
        note="; ".join(filter(None, (_warning(domain, probed), _card_note(domain)))) or None,
    )


def _unavailable(sensor: str, why: str, domain: str | None = None) -> Diagnosis:
    """Result for an unreadable domain or sensor from the text of an error, whose second line is the next step."""
    what, _, hint = why.partition("\n")
    return Diagnosis(sensor, domain, readable=False, why_not=what, fix=hint or None)


def _expected_error(domain: Domain, probed: dict[str, Any], window_s: float) -> float | None:
    """Relative standard uncertainty of a window's energy from its edges alone, without the gain of the sensor.

    Counters: `edge_share` of two brackets, each from the start of a poll to the end of the next. Power samples: u = sigma sqrt(T dt) over P T,
    pessimistically with sigma = P, since the load is not known before it runs.
    """
    if domain.update_period_s is None or domain.kind == "modelled":
        return None
    if domain.quantity == "energy":
        bracket_s = FAST_POLL_S + 2 * float(probed.get("poll_s") or 0.0)
        return edge_share(bracket_s, bracket_s, window_s) / Z95
    return math.sqrt(domain.update_period_s / window_s) if domain.quantity == "power" else None


def _warning(domain: Domain, probed: dict[str, Any]) -> str | None:
    """Reason to doubt a reading; None if there is none."""
    if domain.kind == "modelled":
        estimate = estimate_text(domain.detail)
        return "modelled from the load of the whole machine, not measured" + (f"; {estimate}" if estimate else "")
    if domain.quantity == "energy" and not probed.get("error") and domain.update_period_s is None:
        return "no tick was seen: the counter may be stuck, so its energy is not reliable"
    if probed.get("disagree"):
        return "counter and integrated power differ by more than 5 %: calibrate against a meter, or use both with care"
    if domain.quantity == "power" and domain.counter is None:
        return "power without a counter: the error assumes a load that varies by its mean; it is larger for a load periodic with the sensor"
    return str(domain.detail["unseen"]) if domain.detail.get("unseen") and domain.counter is None else None


def _card_note(domain: Domain) -> str | None:
    """Whether cases run on this card, and what its energy covers."""
    if not domain.detail.get("uuid") or domain.counter is not None:
        return None
    if domain.device == "gpu":
        runs = f"cases on the device gpu run on this card, {domain.detail['uuid']}"
    else:
        hidden = domain.detail.get("not_selectable")
        runs = f"no case can run on this card: {hidden}" if hidden else f"select this card with --device gpu:{domain.detail['uuid']}"
    scope, missed = domain.detail.get("scope"), domain.detail.get("missed_share")
    notes = [runs, f"covers the {scope}" if scope in ("whole GPU", "module") else None, domain.detail.get("constants")]
    notes.append(f"the counter misses part of a periodic load (up to {missed:.0%}): its phase is shifted" if missed else None)
    return "; ".join(filter(None, notes))
