"""The measurements of one repetition -> joules per inference of a case: which domains count, and what kind of number that gives."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from harness.schema import KINDS, Kind, Measurement

CPU_FAMILIES = ("package", "dram")


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
        parts: The measurements summed.
    """

    energy_j: float | None
    modelled_j: float | None
    net_j: float | None
    idle_w: float | None
    kind: Kind
    scope: str
    parts: tuple[Measurement, ...] = ()


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
    steady = [m for m in measurements if m.phase == "steady"]
    chosen = _without_parents([m for m in steady if _counts(m, device, domains)])
    measured = [m for m in chosen if _declared(m) != "modelled"]
    modelled = [m for m in chosen if _declared(m) == "modelled"]
    summed = measured or modelled
    energy_j = _sum([_per_inference(m, m.gross_j) for m in summed])
    kind: Kind = max((m.kind for m in summed), key=KINDS.index, default="absent")
    return CaseEnergy(
        energy_j=energy_j,
        modelled_j=_sum([_per_inference(m, m.gross_j) for m in modelled]),
        net_j=_sum([_per_inference(m, m.net_j) for m in summed]),
        idle_w=_sum([m.idle_w for m in summed]),
        kind="absent" if energy_j is None else kind,
        scope="+".join(m.domain for m in summed),
        parts=tuple(summed),
    )


def _declared(measurement: Measurement) -> str:
    """Modelled or measured, also where the kind became `simulated` or `absent`: a model has no gain."""
    return "modelled" if measurement.kind == "modelled" or (measurement.kind in ("simulated", "absent") and measurement.gain is None) else "measured"


def _counts(measurement: Measurement, device: str, domains: Collection[str] | None) -> bool:
    name = measurement.domain
    if domains is not None:
        return name in domains or family(name) in domains
    return family(name) in CPU_FAMILIES or (device != "cpu" and measurement.device == device)


def _without_parents(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Leave out what contains another one that counts."""
    parents = {m.parent for m in measurements}
    return [m for m in measurements if m.domain not in parents]


def _per_inference(measurement: Measurement, joules: float | None) -> float | None:
    return joules / measurement.inferences if joules is not None and measurement.inferences else None


def _sum(values: Sequence[float | None]) -> float | None:
    """Null where there is nothing, or where a part is missing: never a partial sum."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
