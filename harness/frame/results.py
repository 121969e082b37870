"""A stored run -> the results of each case: the attempts that count, the domains that count, joules per inference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np

from harness.analysis.stopping import quantile
from harness.schema import KINDS, Case, Domain, Environment, Header, Kind, Measurement, Quality, Record, StoredRun

HOST_FAMILIES = ("package", "dram")
"""What every case uses, whatever its device."""

Reading = Literal["gross_j", "net_j", "integrated_j"]
T = TypeVar("T")


@dataclass(frozen=True)
class Result:
    """A case with the attempts that count, one per repetition."""

    run: StoredRun
    case: Case
    chosen: tuple[Record, ...]

    @cached_property
    def ok(self) -> tuple[Record, ...]:
        """Those that ran to their end."""
        return tuple(r for r in self.chosen if r.status == "ok")

    @cached_property
    def valid(self) -> tuple[Record, ...]:
        """Those without a finding that forbids their energy."""
        return tuple(r for r in self.ok if not any(f.invalid for f in r.warnings))

    @cached_property
    def scope(self) -> Scope:
        """The domains that count as its energy."""
        return scope(self.run.header, self.case.device)

    @cached_property
    def energetic(self) -> tuple[Record, ...]:
        """The valid repetitions in which no domain of the scope is missing: a partial sum is no energy."""
        return tuple(r for r in self.valid if per_unit(r, self.scope.counted) is not None)

    @cached_property
    def energies(self) -> list[float]:
        """Joules per unit of each of `energetic`."""
        return known(per_unit(r, self.scope.counted) for r in self.energetic)

    @cached_property
    def kind(self) -> Kind:
        """The weakest kind in these energies."""
        return weakest(m.kind for r in self.energetic for m in r.measurements if m.phase == "steady" and m.domain in self.scope.counted)

    @cached_property
    def q(self) -> float:
        """The quantile of t its intervals are told with."""
        return quantile(self.run.header.profile.half_width)

    @cached_property
    def qualities(self) -> list[Quality]:
        """Of the repetitions in which it was measured."""
        return known(r.quality for r in self.ok)

    @property
    def environment(self) -> Environment | None:
        """Where it ran; null where the run does not hold it."""
        wanted = self.chosen[-1].environment_id
        return next((e for e in self.run.header.environments if e.environment_id == wanted), None)

    @property
    def peers(self) -> tuple[str, ...]:
        """Cases that agree in this may stand on one front: never a measured energy beside a modelled one."""
        evidence = "measured" if self.kind in ("counter", "sampled") else self.kind
        metric = self.qualities[-1].metric if self.qualities else ""
        return self.case.model, metric, self.chosen[-1].environment_id, evidence


def results(run: StoredRun) -> list[Result]:
    """The cases that ran, in the suite's order."""
    attempts: dict[str, dict[int, Record]] = {}
    for record in run.records:
        if record.task == "case" and record.case_id:
            repetition = attempts.setdefault(record.case_id, {})
            if record.status == "ok" or getattr(repetition.get(record.repetition), "status", None) != "ok":
                repetition[record.repetition] = record
    return [
        Result(run, case, tuple(attempts[case.case_id][k] for k in sorted(attempts[case.case_id])))
        for case in run.header.suite.cases
        if case.case_id in attempts
    ]


def per_unit(record: Record, names: Sequence[str], reading: Reading = "gross_j") -> float | None:
    """Joules per inference summed over domains, each with its own count between its own edges; null where any is missing."""
    parts = [of_domain(record, name, reading) for name in names]
    return sum(known(parts)) if parts and None not in parts else None


def of_domain(record: Record, name: str, reading: Reading = "gross_j") -> float | None:
    """Joules per inference of one domain; null where it is missing."""
    windows = steady(record, name)
    joules = [getattr(m, reading) for m in windows]
    inferences = [m.inferences for m in windows]
    if not windows or None in joules or None in inferences or not sum(known(inferences)) > 0:
        return None
    return float(sum(joules) / sum(known(inferences)))


def steady(record: Record, name: str) -> list[Measurement]:
    """What was measured of one domain in `steady`: several windows where the load was shifted."""
    return [m for m in record.measurements if m.domain == name and m.phase == "steady"]


def weakest(kinds: Iterable[Kind]) -> Kind:
    """A sum is as strong as its weakest part; of nothing, absent."""
    return KINDS[max((KINDS.index(kind) for kind in kinds), default=KINDS.index("absent"))]


@dataclass(frozen=True)
class Scope:
    """The domains of a case's energy: those that are measured, and those that are modelled."""

    measured: tuple[str, ...]
    modelled: tuple[str, ...]

    @property
    def counted(self) -> tuple[str, ...]:
        """What is summed: measured and modelled joules are never added."""
        return self.measured or self.modelled

    @property
    def text(self) -> str | None:
        """As `energy_scope` names it."""
        return "+".join(self.counted) or None


def scope(header: Header, device: str) -> Scope:
    """The domains that count as the energy of what runs on a device: the suite's, or packages, DRAM and the device's own.

    Args:
        header: Of the run: its domains and its suite.
        device: `cpu`, `gpu`, `gpu:1`, ...
    """
    asked, found = header.suite.domains, rails(header.domains)
    if asked is not None:
        chosen = [d for d in found if d.name in asked or family(d) in asked]
    else:
        chosen = [d for d in found if family(d) in HOST_FAMILIES or (device != "cpu" and device in (d.device, d.name))]
    names = {d.name for d in chosen}
    chosen = [d for d in chosen if not names & _ancestors(d, header.domains)]
    modelled = tuple(d.name for d in chosen if d.kind == "modelled")
    return Scope(tuple(d.name for d in chosen if d.kind != "modelled"), modelled)


def rails(found: Sequence[Domain]) -> list[Domain]:
    """The domains that carry energy; a power reading of a rail that has a counter is the counter's second witness, not another rail."""
    names = {d.name for d in found}
    return [d for d in found if d.quantity in ("energy", "power", "mean_power") and d.counter not in names]


def family(domain: Domain) -> str:
    """`package` of `package:1`."""
    return domain.name.split(":")[0]


def _ancestors(domain: Domain, found: Iterable[Domain]) -> set[str]:
    """Every domain that contains this one."""
    parents = {d.name: d.parent for d in found}
    above: set[str] = set()
    parent = domain.parent
    while parent and parent not in above:
        above.add(parent)
        parent = parents.get(parent)
    return above


def known(values: Iterable[T | None]) -> list[T]:
    """Without the nulls."""
    return [value for value in values if value is not None]


def mean(values: Iterable[float | None]) -> float | None:
    """The mean; null where there is no value, or one is missing: a mean of some is not the mean of all."""
    values = list(values)
    return float(np.mean(known(values))) if values and None not in values else None
