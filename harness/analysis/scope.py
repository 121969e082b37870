"""The measurements of one repetition -> joules per inference of a case: which domains count, and what kind of number that gives."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.schema import KINDS, Kind, Measurement

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
        energy_j: Gross, the measured domains of the scope; where none is measured the modelled ones. Null where any of them is missing.
        modelled_j: The modelled domains of the scope, beside it; null where there are none.
        net_j: Without idle; null where idle was not measured.
        idle_w: Sum of the idle powers of the same domains; null where one is not known.
        kind: The weakest of the kinds summed; `absent` where there is no energy.
        scope: The domains summed, as `package+dram+gpu:0`.
        windows: The measurements summed, by domain.
    """

    energy_j: float | None
    modelled_j: float | None
    net_j: float | None
    idle_w: float | None
    kind: Kind
    scope: str
    windows: Mapping[str, Sequence[Measurement]]

    @property
    def parts(self) -> list[Measurement]:
        """The measurements summed."""
        return [m for windows in self.windows.values() for m in windows]


@functools.cache
def family(domain: str) -> str:
    """`package` of `package:1`."""
    return domain.split(":", 1)[0]


def case_energy(measurements: Iterable[Measurement], device: str, domains: Collection[str] | None = None) -> CaseEnergy:
    """Add up what counts as a case's energy: each domain over its own edges and its own inferences.

    Args:
        measurements: Of one repetition; only those of `steady` count.
        device: Of the case: `cpu` takes packages and DRAM, another device those and its own.
        domains: The suite's own choice of domains or families; null: by the device.
    """
    chosen = [m for m in measurements if m.phase == "steady" and _counts(m, device, domains)]
    measured = {m.domain for m in chosen if not _is_model(m)}
    modelled = _rails([m for m in chosen if m.domain not in measured])
    # Measured and modelled apart: a modelled part does not take the place of a measured whole.
    summed = _rails([m for m in chosen if m.domain in measured]) or modelled
    energy_j = _sum([per_inference(windows) for windows in summed.values()])
    return CaseEnergy(
        energy_j=energy_j,
        modelled_j=_sum([per_inference(windows) for windows in modelled.values()]),
        net_j=_sum([per_inference(windows, "net_j") for windows in summed.values()]),
        idle_w=_sum([windows[0].idle_w for windows in summed.values()]),
        kind="absent" if energy_j is None else weakest(m.kind for windows in summed.values() for m in windows),
        scope="+".join(summed),
        windows=summed,
    )


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


def _counts(measurement: Measurement, device: str, domains: Collection[str] | None) -> bool:
    name = measurement.domain
    if domains is not None:
        return name in domains or family(name) in domains
    return family(name) in CPU_FAMILIES or (device != "cpu" and measurement.device == device)


def _rails(measurements: Sequence[Measurement]) -> dict[str, list[Measurement]]:
    """By domain, without what contains another one that counts, and without the power reading of a rail whose counter counts."""
    names = {m.domain for m in measurements}
    rails: dict[str, list[Measurement]] = {}
    for m in measurements:
        if not any(contains(m, other) for other in measurements) and m.counter not in names:
            rails.setdefault(m.domain, []).append(m)
    return rails


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
