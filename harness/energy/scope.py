"""Joules per inference of a case from the measurements of one repetition: which domains are summed, and the resulting kind."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.energy.clock_limits import card_of
from harness.schema import KINDS, Domain, Kind, Measurement

CPU_FAMILIES = ("package", "dram")
CONTAINED = {
    "wall": ("system", "psys", *CPU_FAMILIES),
    "system": ("psys", *CPU_FAMILIES),
    "psys": CPU_FAMILIES,
}
"""Families contained in each family, regardless of the parent that the sensor reports; `wall` and `system` also contain all accelerators."""


@dataclass(frozen=True)
class CaseEnergy:
    """Joules per inference of one repetition.

    Attributes:
        energy_j: Gross energy of the measured domains of the scope, or of the modelled ones if none is measured. None if any of them is
            missing, or if the case's own device has none.
        modelled_j: Energy of the modelled domains of the scope; None if there are none.
        net_j: Energy without idle power; None if idle power was not measured.
        idle_w: Sum of the idle powers of the same domains, W; None if one is unknown.
        kind: Weakest of the summed kinds; `absent` without an energy.
        scope: Summed domains, as `package+dram+gpu:0`.
        windows: Summed measurements, by domain.
        device_j: Gross energy of the case's own device alone; None for `cpu`, or if it has none.
    """

    energy_j: float | None
    modelled_j: float | None
    net_j: float | None
    idle_w: float | None
    kind: Kind
    scope: str
    windows: Mapping[str, Sequence[Measurement]]
    device_j: float | None = None

    @property
    def label(self) -> str:
        """Summed domains in the same words for several machines: `package+dram+gpu`, whichever card `gpu` is."""
        return "+".join(sorted((label(name, windows[0].device) for name, windows in self.windows.items()), key=host_first))

    @property
    def parts(self) -> list[Measurement]:
        """Summed measurements."""
        return [m for windows in self.windows.values() for m in windows]


@functools.cache
def family(domain: str) -> str:
    """Family of a domain: `package` of `package:1`."""
    return domain.split(":", 1)[0]


def label(domain: str, device: str) -> str:
    """Name in a label of a domain that belongs to a device: the device of an accelerator that cases run on, else its own name."""
    return device if family(domain) == device else domain


def host_first(name: str) -> tuple[int, str]:
    """Sort key of domains or families: packages, DRAM, then the rest."""
    own = family(name)
    return (CPU_FAMILIES.index(own) if own in CPU_FAMILIES else len(CPU_FAMILIES)), name


def case_energy(measurements: Iterable[Measurement], device: str, domains: Collection[str] | None = None) -> CaseEnergy:
    """Sum of the domains that count as a case's energy, each over its own edges and inferences.

    Args:
        measurements: Measurements of one repetition; only those of `steady` count.
        device: Device of the case: `cpu` takes packages and DRAM, another device those and its own. A case on another device has no energy if
            no domain contains that device: the energy of the host is not a substitute.
        domains: The suite's choice of domains or families; None: by the device.
    """
    chosen = [m for m in measurements if m.phase == "steady" and counts(m.domain, m.device, device, domains)]
    measured = {m.domain for m in chosen if not _is_model(m)}
    modelled = _rails([m for m in chosen if m.domain not in measured])
    # Measured and modelled domains are separate: a modelled part does not replace a measured whole.
    summed = _rails([m for m in chosen if m.domain in measured], device) or modelled
    own = {name: windows for name, windows in summed.items() if holds_device(name, windows[0].device, device)}
    summed = summed if own else {}
    energy_j = _sum([per_inference(windows) for windows in summed.values()])
    return CaseEnergy(
        energy_j=energy_j,
        modelled_j=_sum([per_inference(windows) for windows in modelled.values()]),
        net_j=_sum([per_inference(windows, "net_j") for windows in summed.values()]),
        idle_w=_sum([windows[0].idle_w for windows in summed.values()]),
        kind="absent" if energy_j is None else weakest(m.kind for windows in summed.values() for m in windows),
        scope="+".join(summed),
        windows=summed,
        device_j=_sum([per_inference(w) for w in own.values() if w[0].device == device]) if device != "cpu" else None,
    )


def counts(domain: str, own: str, device: str, domains: Collection[str] | None = None) -> bool:
    """Whether a domain is part of the energy of a case.

    Args:
        domain: Name of the domain.
        own: Device that it belongs to.
        device: Device of the case.
        domains: The suite's choice of domains or families; None: by the device.
    """
    if domains is not None:
        # `gpu` is the card that cases run on, not every card of the machine.
        return domain in domains or (family(domain) in domains and own in ("cpu", device, family(domain)))
    return family(domain) in CPU_FAMILIES or (device != "cpu" and own == device)


def near_domains(domains: Sequence[Domain], device: str, counted: Collection[str] | None = None) -> frozenset[str]:
    """Names of the domains that the figures of a case depend on.

    These are the domains of its energy and its device, their power readings and parts, and the conditions of their devices.
    """
    energies = {d.name for d in domains if d.kind and (d.device == device or counts(d.name, d.device, device, counted))}
    devices = {d.device for d in domains if d.name in energies}
    related = {d.name for d in domains if d.counter in energies or d.parent in energies or (not d.kind and d.device in devices)}
    return frozenset(energies | related)


def for_card(domains: Iterable[Domain], card: str | None) -> list[Domain]:
    """The domains as a case on one of several cards sees them: that card is the device `gpu`, every other card has its own name.

    Args:
        domains: Domains of a run, in which `gpu` is the first card that CUDA programs see.
        card: UUID of the card that the case chose; None: the domains are as they are.
    """
    domains = list(domains)
    if card is None:
        return domains
    own = {card_of(d.name) for d in domains if d.detail.get("uuid") == card}
    names = {"gpu", *own}
    return [
        d.model_copy(update={"device": "gpu" if card_of(d.name) in own else card_of(d.name)})
        if d.device in names or card_of(d.name) in own
        else d
        for d in domains
    ]


def device_detail(domains: Iterable[Domain], device: str) -> Mapping[str, Any]:
    """Facts that the sensor reports of a device (`name`, `uuid`, `driver`); empty if no sensor reads it."""
    return next((d.detail for d in domains if d.device == device and d.kind and d.detail.get("uuid")), {})


def holds_device(domain: str, own: str, device: str) -> bool:
    """Whether a domain's energy is, or contains, that of the case's device; always true for `cpu`."""
    return device in ("cpu", own) or family(domain) in ("wall", "system")


def build_energy(measurements: Iterable[Measurement], device: str | None = None) -> CaseEnergy:
    """Sum of the host and accelerators; `energy_j` is that of the whole build.

    Args:
        measurements: Measurements of the build.
        device: Device that it is for, whose energy alone counts next to the host's; None: all accelerators, which training may use.
    """
    accelerators = {m.device for m in measurements if m.device != "cpu" and device in (None, m.device)}
    chosen = _rails([m for m in measurements if m.phase == "build" and (family(m.domain) in CPU_FAMILIES or m.device in accelerators)])
    measured = {name: [m for m in windows if not _is_model(m)] for name, windows in chosen.items()}
    summed = {name: windows for name, windows in measured.items() if windows} or chosen
    parts = [m for windows in summed.values() for m in windows]
    energy_j = _sum([m.gross_j for m in parts])
    kind = "absent" if energy_j is None else weakest(m.kind for m in parts)
    return CaseEnergy(energy_j, None, None, None, kind, "+".join(summed), summed)


def per_inference(windows: Sequence[Measurement], reading: Literal["gross_j", "net_j", "integrated_j"] = "gross_j") -> float | None:
    """Joules per inference of one domain over its windows (several if the load was shifted); None if one is missing."""
    if len(windows) == 1:  # the usual case, and the innermost loop of the tables
        joules, inferences = getattr(windows[0], reading), windows[0].inferences
    else:
        joules, inferences = _sum([getattr(m, reading) for m in windows]), _sum([m.inferences for m in windows])
    return joules / inferences if joules is not None and inferences else None


def weakest(kinds: Iterable[Kind]) -> Kind:
    """The weakest of some kinds; `absent` of none."""
    return max(kinds, key=KINDS.index, default="absent")


def _is_model(measurement: Measurement) -> bool:
    """Whether it is modelled, even if its kind became `simulated` or `absent`: a model has no gain."""
    return measurement.kind == "modelled" or (measurement.kind in ("simulated", "absent") and measurement.gain is None)


def _rails(measurements: Sequence[Measurement], device: str = "cpu") -> dict[str, list[Measurement]]:
    """Measurements by domain, without domains that contain another one, and without the power reading of a counter.

    If the parts lack the case's device, the domains that contain it replace them: the wall meter for a case on a card, not the packages.
    """
    names = {m.domain for m in measurements}
    rails: dict[str, list[Measurement]] = {}
    for m in measurements:
        if not any(contains(m, other) for other in measurements) and m.counter not in names:
            rails.setdefault(m.domain, []).append(m)
    wholes = [m for m in measurements if holds_device(m.domain, m.device, device)]
    if not wholes or any(holds_device(name, windows[0].device, device) for name, windows in rails.items()):
        return rails
    return _rails(wholes)


def contains(outer: Measurement, part: Measurement) -> bool:
    """Whether one domain contains another, by the reported parent or by their families."""
    return _holds(outer.domain, part.domain, part.parent, part.device)


@functools.cache
def _holds(outer: str, part: str, parent: str | None, device: str) -> bool:
    """As `contains`; cached, since a run has few domains and many launches."""
    own, other = family(outer), family(part)
    if parent == outer or other in CONTAINED.get(own, ()):
        return True
    return own in ("wall", "system") and device != "cpu" and other not in CONTAINED


def _sum(values: Sequence[float | None]) -> float | None:
    """The sum; None if there is nothing, or if a part is missing."""
    return sum(values) if values and None not in values else None  # type: ignore[arg-type]  # no None is left
