"""The measurements of one repetition -> joules per inference of a case: which domains count, and what kind of number that gives."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.schema import KINDS, Domain, Kind, Measurement

CPU_FAMILIES = ("package", "dram")
CONTAINED = {
    "wall": ("system", "psys", *CPU_FAMILIES),
    "system": ("psys", *CPU_FAMILIES),
    "psys": CPU_FAMILIES,
}
"""Families whose name says what they hold, whatever the sensor says of a parent; `wall` and `system` hold every accelerator too."""


@dataclass(frozen=True)
class CaseEnergy:
    """Joules per inference of one repetition.

    Attributes:
        energy_j: Gross, the measured domains of the scope; where none is measured the modelled ones. Null where any of them is missing, and
            where the case's own device has none.
        modelled_j: The modelled domains of the scope, beside it; null where there are none.
        net_j: Without idle; null where idle was not measured.
        idle_w: Sum of the idle powers of the same domains; null where one is not known.
        kind: The weakest of the kinds summed; `absent` where there is no energy.
        scope: The domains summed, as `package+dram+gpu:0`.
        device_j: Of the case's own device alone, gross per inference; null for `cpu`, and where it has no energy.
        windows: The measurements summed, by domain.
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
        """The domains summed as figures of several boxes have them in common: `package+dram+gpu`, whichever card of the box `gpu` is."""
        return "+".join(sorted((label(name, windows[0].device) for name, windows in self.windows.items()), key=host_first))

    @property
    def parts(self) -> list[Measurement]:
        """The measurements summed."""
        return [m for windows in self.windows.values() for m in windows]


@functools.cache
def family(domain: str) -> str:
    """`package` of `package:1`."""
    return domain.split(":", 1)[0]


def label(domain: str, device: str) -> str:
    """What a domain is part of a scope as: the device of an accelerator that cases run on, else its own name.

    Args:
        domain: Its name.
        device: The device that it belongs to.
    """
    return device if family(domain) == device else domain


def host_first(name: str) -> tuple[int, str]:
    """Key that sorts names of domains or families: packages, DRAM, then the rest."""
    own = family(name)
    return (CPU_FAMILIES.index(own) if own in CPU_FAMILIES else len(CPU_FAMILIES)), name


def case_energy(measurements: Iterable[Measurement], device: str, domains: Collection[str] | None = None) -> CaseEnergy:
    """Add up what counts as a case's energy: each domain over its own edges and its own inferences.

    Args:
        measurements: Of one repetition; only those of `steady` count.
        device: Of the case: `cpu` takes packages and DRAM, another device those and its own. A case on another device whose own energy no
            domain holds has none: the host's joules are not the card's.
        domains: The suite's own choice of domains or families; null: by the device.
    """
    chosen = [m for m in measurements if m.phase == "steady" and counts(m.domain, m.device, device, domains)]
    measured = {m.domain for m in chosen if not _is_model(m)}
    modelled = _rails([m for m in chosen if m.domain not in measured])
    # Measured and modelled apart: a modelled part does not take the place of a measured whole.
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
        domain: Its name.
        own: The device that it belongs to.
        device: Of the case.
        domains: The suite's own choice of domains or families; None: by the device.
    """
    if domains is not None:
        # `gpu` is the card that cases run on, not every card of the box.
        return domain in domains or (family(domain) in domains and own in ("cpu", device, family(domain)))
    return family(domain) in CPU_FAMILIES or (device != "cpu" and own == device)


def near_domains(domains: Sequence[Domain], device: str, counted: Collection[str] | None = None) -> frozenset[str]:
    """Names of the domains that the figures of a case depend on.

    Those of its energy and of its device, with the power readings and the parts of the same rails, and the conditions of their devices.

    Args:
        domains: Of all sensors.
        device: Of the case.
        counted: The suite's own choice of domains or families; None: by the device.
    """
    energies = {d.name for d in domains if d.kind and (d.device == device or counts(d.name, d.device, device, counted))}
    devices = {d.device for d in domains if d.name in energies}
    beside = {d.name for d in domains if d.counter in energies or d.parent in energies or (not d.kind and d.device in devices)}
    return frozenset(energies | beside)


def device_detail(domains: Iterable[Domain], device: str) -> Mapping[str, Any]:
    """What its sensor reported of the device that cases run on: `name`, `uuid`, `driver`; empty where no sensor reads it.

    Args:
        domains: Of all sensors.
        device: Of the case.
    """
    return next((d.detail for d in domains if d.device == device and d.kind and d.detail.get("uuid")), {})


def holds_device(domain: str, own: str, device: str) -> bool:
    """Whether a domain's energy is, or contains, that of the case's device; any does for `cpu`.

    Args:
        domain: Its name.
        own: The device that it belongs to.
        device: Of the case.
    """
    return device in ("cpu", own) or family(domain) in ("wall", "system")


def build_energy(measurements: Iterable[Measurement]) -> CaseEnergy:
    """Add up what a build drew: the host and every accelerator, since training may use them all; here `energy_j` is of the whole build.

    Args:
        measurements: Of one build; only those of the phase `build` count.
    """
    chosen = _rails([m for m in measurements if m.phase == "build" and (family(m.domain) in CPU_FAMILIES or m.device != "cpu")])
    measured = {name: [m for m in windows if not _is_model(m)] for name, windows in chosen.items()}
    summed = {name: windows for name, windows in measured.items() if windows} or chosen
    parts = [m for windows in summed.values() for m in windows]
    energy_j = _sum([m.gross_j for m in parts])
    kind = "absent" if energy_j is None else weakest(m.kind for m in parts)
    return CaseEnergy(energy_j, None, None, None, kind, "+".join(summed), summed)


def per_inference(windows: Sequence[Measurement], reading: Literal["gross_j", "net_j", "integrated_j"] = "gross_j") -> float | None:
    """Joules per inference of one domain over its windows (several where the load was shifted); null where one is missing."""
    if len(windows) == 1:  # the usual case, and the innermost loop of the tables
        joules, inferences = getattr(windows[0], reading), windows[0].inferences
    else:
        joules, inferences = _sum([getattr(m, reading) for m in windows]), _sum([m.inferences for m in windows])
    return joules / inferences if joules is not None and inferences else None


def weakest(kinds: Iterable[Kind]) -> Kind:
    """A sum is as strong as its weakest part; of nothing, absent."""
    return max(kinds, key=KINDS.index, default="absent")


def _is_model(measurement: Measurement) -> bool:
    """Modelled, also where the kind became `simulated` or `absent`: a model has no gain."""
    return measurement.kind == "modelled" or (measurement.kind in ("simulated", "absent") and measurement.gain is None)


def _rails(measurements: Sequence[Measurement], device: str = "cpu") -> dict[str, list[Measurement]]:
    """By domain, without what contains another one that counts, and without the power reading of a rail whose counter counts.

    Where the parts lack the case's device, what holds it stays in place of them: a wall meter beside the packages, of a case on a card.
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


def contains(whole: Measurement, part: Measurement) -> bool:
    """Whether one domain's energy is in the other's: the sensor says so of its parent, or the families' names do."""
    return _holds(whole.domain, part.domain, part.parent, part.device)


@functools.cache
def _holds(whole: str, part: str, parent: str | None, device: str) -> bool:
    """Of a domain and another one with its parent and device: a run has few of them, and asks at every launch."""
    own, other = family(whole), family(part)
    if parent == whole or other in CONTAINED.get(own, ()):
        return True
    return own in ("wall", "system") and device != "cpu" and other not in CONTAINED


def _sum(values: Sequence[float | None]) -> float | None:
    """Null where there is nothing, or where a part is missing: never a partial sum."""
    return sum(values) if values and None not in values else None  # type: ignore[arg-type]  # no None is left
