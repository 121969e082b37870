"""A stored run -> the results of each case: the attempts that count, and the energy of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.analysis.agreement import close, max_difference, same_class
from harness.analysis.interval import wilson
from harness.analysis.stopping import quantile
from harness.energy.scope import CaseEnergy, case_energy, device_detail, family, label, per_inference, weakest
from harness.schema import Case, Domain, Environment, Floats, Kind, Measurement, Quality, Record, StoredRun, evidence

T = TypeVar("T")
AGREEMENT = "agreement"
"""The metric where there are no labels."""
SEVERAL = ("multilabel_accuracy", "pixel_accuracy", "token_accuracy")
"""Metrics of outputs that name more than one class a sample."""


def results(run: StoredRun) -> list[Result]:
    """The cases that ran, in the suite's order; of each repetition the last attempt that is ok, else the last."""
    attempts: dict[str, dict[int, Record]] = {}
    for record in run.records:
        if record.task == "case" and record.case_id:
            repetition = attempts.setdefault(record.case_id, {})
            if record.status == "ok" or getattr(repetition.get(record.repetition), "status", None) != "ok":
                repetition[record.repetition] = record
    found = {
        case.case_id: Result(run, case, tuple(attempts[case.case_id][k] for k in sorted(attempts[case.case_id])))
        for case in run.header.suite.cases
        if case.case_id in attempts
    }
    return [replace(result, baseline=found.get(result.case.baseline_case_id or "")) for result in found.values()]


@dataclass(frozen=True)
class Result:
    """A case with the attempts that count, one per repetition.

    Attributes:
        run: It belongs to.
        case: What was measured.
        chosen: The attempts that count.
        baseline: The result of the case it is compared with, of a baseline its own; null where there is none.
        only: What is left of the scope, by families and devices, where another machine reads no more; null: all of it.
    """

    run: StoredRun
    case: Case
    chosen: tuple[Record, ...]
    baseline: Result | None = None
    only: frozenset[str] | None = None

    @cached_property
    def ok(self) -> tuple[Record, ...]:
        """Those that ran to their end."""
        return tuple(r for r in self.chosen if r.status == "ok")

    @cached_property
    def valid(self) -> tuple[Record, ...]:
        """Those without a finding that forbids their energy."""
        return tuple(r for r in self.ok if not any(f.invalid for f in r.warnings))

    def sum(self, record: Record) -> CaseEnergy:
        """What counts as the energy of one repetition that is ok."""
        return self._sums[id(record)]

    @cached_property
    def _sums(self) -> dict[int, CaseEnergy]:
        """By identity: a record is no key, and comparing two of them takes longer than summing one."""
        domains = self.run.header.suite.domains
        whole = {id(record): case_energy(record.measurements, self.case.device, domains) for record in self.ok}
        if self.only is None:
            return whole
        left = {id(record): [n for n, m in whole[id(record)].windows.items() if self._rail(n, m) in self.only] for record in self.ok}
        return {id(record): case_energy(record.measurements, self.case.device, left[id(record)]) for record in self.ok}

    def _rail(self, name: str, windows: Sequence[Measurement]) -> str:
        return family(label(name, windows[0].device))

    @cached_property
    def rails(self) -> frozenset[str]:
        """What its energy sums, by families and devices: `package`, `dram`, `gpu`; however many sockets, whichever card."""
        return frozenset(self._rail(name, windows) for each in self._sums.values() for name, windows in each.windows.items())

    @cached_property
    def scope_label(self) -> str | None:
        """The scope as figures of several boxes have it in common: `package+dram+gpu`."""
        return next((self.sum(r).label for r in self.ok if self.sum(r).scope == self.scope), None) or None

    @property
    def device_uuid(self) -> str | None:
        """UUID of the accelerator that it ran on; null for `cpu`, and where no sensor reads it."""
        return None if self.case.device == "cpu" else device_detail(self.run.header.domains, self.case.device).get("uuid")

    @cached_property
    def scope(self) -> str | None:
        """The domains summed: of the repetition that has most, so that one which lost a sensor is no smaller energy but none."""
        return max((self.sum(r).scope for r in self.ok), key=lambda names: len(names.split("+")), default=None) or None

    @cached_property
    def launches(self) -> list[tuple[Record, CaseEnergy]]:
        """The valid repetitions that have an energy of the whole scope."""
        found = [(record, self.sum(record)) for record in self.valid]
        return [(record, each) for record, each in found if each.energy_j is not None and each.scope == self.scope]

    @cached_property
    def energies(self) -> list[float]:
        """Joules per inference of each of `launches`."""
        return known(each.energy_j for _, each in self.launches)

    @cached_property
    def kind(self) -> Kind:
        """The weakest kind in these energies."""
        return weakest(each.kind for _, each in self.launches)

    @cached_property
    def shares(self) -> list[tuple[float | None, float | None]]:
        """(gain, mean joules per inference) of each domain of the scope."""
        found = [[each.windows[name] for _, each in self.launches] for name in (self.scope or "").split("+")]
        return [(launches[0][0].gain if launches else None, mean(map(per_inference, launches))) for launches in found]

    @cached_property
    def throughput_per_s(self) -> float | None:
        """Inferences a second, mean over the launches that have an energy."""
        return mean(record.throughput_per_s for record, _ in self.launches)

    @property
    def is_baseline(self) -> bool:
        """Whether others are compared with it: over itself everything is 1 by definition, and has no interval."""
        return self.case.case_id == self.case.baseline_case_id

    @cached_property
    def qualities(self) -> list[Quality]:
        """Of the repetitions in which it was measured; where there is none, the agreement with the baseline."""
        return known(r.quality for r in self.ok) or ([self.agreement.quality] if self.agreement else [])

    def quality_of(self, record: Record) -> Quality | None:
        """Of one repetition; where none was measured in any, the agreement with the baseline."""
        return record.quality or (self.agreement.quality if self.agreement and not any(r.quality for r in self.ok) else None)

    @cached_property
    def per_sample(self) -> Floats:
        """What the mean of is the quality, shape (samples,); empty where it was not kept."""
        if any(r.quality for r in self.ok):
            answers = self.run.answers.get(self.case.case_id)
            return answers.per_sample if answers else np.zeros(0)
        return self.agreement.samples.astype(np.float64) if self.agreement else np.zeros(0)

    @cached_property
    def agreement(self) -> Agreement | None:
        """With the baseline, on the samples whose outputs both have kept; null where either has none, or of another shape."""
        baseline = self if self.is_baseline else self.baseline
        answers = [self.run.answers.get(each.case.case_id) for each in (self, baseline) if each and each.ok]
        own, other = (answer.outputs if answer else np.zeros(0) for answer in (*answers, None, None)[:2])
        n = min(len(own), len(other))
        if not n or own.shape[1:] != other.shape[1:]:
            return None
        if self.is_baseline:
            return Agreement(np.ones(n, dtype=np.bool_), 0.0, Quality(metric=AGREEMENT, direction="higher", value=1.0, samples=n))
        samples = same_class(own[:n], other[:n], self._threshold) if self._has_classes(other) else close(own[:n], other[:n])
        interval = wilson(int(samples.sum()), n)
        quality = Quality(metric=AGREEMENT, direction="higher", value=interval.value, samples=n, low=interval.low, high=interval.high)
        return Agreement(samples, max_difference(own[:n], other[:n]), quality)

    @property
    def _threshold(self) -> float:
        """Above which a single output was taken as class 1."""
        measured = next((r.quality for r in self.ok if r.quality), None)
        return 0.5 if measured is None or measured.threshold is None else measured.threshold

    def _has_classes(self, outputs: np.ndarray) -> bool:
        """Whether an output names a class: it was scored by a metric of which more is better, or it is a vector and no metric says otherwise."""
        long_axes = sum(size > 1 for size in outputs.shape[1:])
        measured = next((r.quality for r in self.ok if r.quality), None)
        if measured:
            return measured.direction == "higher" and long_axes <= 1 and measured.metric not in SEVERAL
        model = next((m for m in self.run.header.suite.models if m.name == self.case.model), None)
        return long_axes == 1 and (model is None or model.metric in (None, "accuracy"))

    @cached_property
    def q(self) -> float:
        """The quantile of t its intervals are told with."""
        return quantile(self.run.header.profile.half_width)

    @property
    def environment(self) -> Environment | None:
        """Where it ran; null where the run does not hold it."""
        wanted = self.chosen[-1].environment_id
        return next((e for e in self.run.header.environments if e.environment_id == wanted), None)

    @property
    def peers(self) -> tuple[str, ...]:
        """Cases that agree in this may stand on one front: never a measured energy beside a modelled one."""
        metric = self.qualities[-1].metric if self.qualities else ""
        return self.case.model, metric, self.chosen[-1].environment_id, evidence(self.kind)


@dataclass(frozen=True)
class Agreement:
    """What a case says beside its baseline.

    Attributes:
        samples: On which they agree, shape (n,).
        max_diff: Largest absolute difference of their outputs; null where one is not finite.
        quality: The share of these samples with Wilson's interval; of the baseline itself 1 without one.
    """

    samples: NDArray[np.bool_]
    max_diff: float | None
    quality: Quality


def calibrated(domains: Iterable[Domain], scope: str | None) -> str | None:
    """The domains of a sum whose sensor was corrected by a calibration, as `package+gpu:0`; null where none was."""
    names = {d.name for d in domains if d.detail.get("calibration")}
    return "+".join(name for name in (scope or "").split("+") if name in names) or None


def rails(found: Sequence[Domain]) -> list[Domain]:
    """The domains that carry energy; a power reading of a rail that has a counter is the counter's second witness, not another rail."""
    names = {d.name for d in found}
    return [d for d in found if d.quantity in ("energy", "power", "mean_power") and d.counter not in names]


def known(values: Iterable[T | None]) -> list[T]:
    """Without the nulls."""
    return [value for value in values if value is not None]


def mean(values: Iterable[float | None]) -> float | None:
    """The mean; null where there is no value, or one is missing: a mean of some is not the mean of all."""
    found = list(values)
    # Not NumPy's: of the handful of launches it takes ten times as long.
    return math.fsum(found) / len(found) if found and None not in found else None  # type: ignore[arg-type]  # no None is left
