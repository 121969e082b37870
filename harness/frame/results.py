"""Results of each case of a stored run: the attempts that count, their energies, qualities and agreement."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.analysis.agreement import close, common_prefix, max_difference, relative_difference, same_class
from harness.analysis.interval import wilson
from harness.analysis.stopping import quantile
from harness.energy.scope import CaseEnergy, case_energy, device_detail, family, for_card, label, per_inference, weakest
from harness.frame.reference import references
from harness.schema import Case, Domain, Environment, Floats, Kind, Measurement, Quality, Record, StoredRun, evidence

T = TypeVar("T")
AGREEMENT = "agreement"
"""Quality metric of models without labels."""
SEVERAL = ("multilabel_accuracy", "pixel_accuracy", "token_accuracy")
"""Metrics of outputs with more than one class per sample."""


def results(run: StoredRun) -> list[Result]:
    """Cases that ran, in the suite's order; each repetition by its last attempt that is ok, otherwise by its last."""
    attempts: dict[str, dict[int, Record]] = {}
    for record in run.records:
        if record.task == "case" and record.case_id:
            repetition = attempts.setdefault(record.case_id, {})
            if record.status == "ok" or getattr(repetition.get(record.repetition), "status", None) != "ok":
                repetition[record.repetition] = record
    by_id = {
        case.case_id: Result(run, case, tuple(attempts[case.case_id][k] for k in sorted(attempts[case.case_id])))
        for case in run.header.suite.cases
        if case.case_id in attempts
    }
    of_outputs = references(run, {case_id: result.ok for case_id, result in by_id.items()})
    return [
        replace(
            result,
            baseline=by_id.get(result.case.baseline_case_id or ""),
            reference=by_id.get(of_outputs.get(result.case.case_id, "")),
        )
        for result in by_id.values()
    ]


@dataclass(frozen=True)
class Result:
    """A case with the attempts that count, one per repetition.

    Attributes:
        run: Run of the case.
        case: The case.
        chosen: Attempts that count.
        baseline: Result of the baseline, which for a baseline is itself; None if it did not run.
        reference: Result whose outputs are the reference, see `harness.frame.reference`; None if there is none.
        only: Rails (families and devices) to sum, for a comparison with a machine that reads fewer; None: all.
    """

    run: StoredRun
    case: Case
    chosen: tuple[Record, ...]
    baseline: Result | None = None
    reference: Result | None = None
    only: frozenset[str] | None = None

    @cached_property
    def ok(self) -> tuple[Record, ...]:
        """Attempts that completed."""
        return tuple(r for r in self.chosen if r.status == "ok")

    @cached_property
    def valid(self) -> tuple[Record, ...]:
        """Completed attempts without a finding that invalidates their energy."""
        return tuple(r for r in self.ok if not any(f.invalid for f in r.warnings))

    def sum(self, record: Record) -> CaseEnergy:
        """Energy of one completed attempt."""
        return self._sums[id(record)]

    @cached_property
    def _sums(self) -> dict[int, CaseEnergy]:
        """Energies by the identity of the record, since hashing or comparing records takes longer than summing one."""
        domains = self.run.header.suite.domains
        sums = {id(record): case_energy(record.measurements, self.case.device, domains) for record in self.ok}
        if self.only is None:
            return sums
        names = {key: [n for n, m in energy.windows.items() if self._rail(n, m) in self.only] for key, energy in sums.items()}
        return {id(record): case_energy(record.measurements, self.case.device, names[id(record)]) for record in self.ok}

    def _rail(self, name: str, windows: Sequence[Measurement]) -> str:
        return family(label(name, windows[0].device))

    @cached_property
    def rails(self) -> frozenset[str]:
        """Rails summed, as families and devices regardless of the number of sockets or cards: `package`, `dram`, `gpu`."""
        return frozenset(self._rail(name, windows) for each in self._sums.values() for name, windows in each.windows.items())

    @cached_property
    def scope_label(self) -> str | None:
        """Scope in terms shared by all machines: `package+dram+gpu`."""
        return next((self.sum(r).label for r in self.ok if self.sum(r).scope == self.scope), None) or None

    @property
    def device_uuid(self) -> str | None:
        """UUID of the accelerator; None for `cpu`, or if no sensor reads it."""
        return None if self.case.device == "cpu" else device_detail(self.domains, self.case.device).get("uuid")

    @cached_property
    def domains(self) -> list[Domain]:
        """Domains of the run; the card that the case chose is the device `gpu`."""
        return for_card(self.run.header.domains, self.case.card)

    @cached_property
    def scope(self) -> str | None:
        """Domains summed in the repetition with most of them; one that lost a sensor thus has no energy, not a smaller one."""
        return max((self.sum(r).scope for r in self.ok), key=lambda names: len(names.split("+")), default=None) or None

    @cached_property
    def launches(self) -> list[tuple[Record, CaseEnergy]]:
        """Valid repetitions with an energy of the whole scope."""
        energies = [(record, self.sum(record)) for record in self.valid]
        return [(record, energy) for record, energy in energies if energy.energy_j is not None and energy.scope == self.scope]

    @cached_property
    def energies(self) -> list[float]:
        """Energy per inference of each of `launches`, in joules."""
        return known(each.energy_j for _, each in self.launches)

    @cached_property
    def kind(self) -> Kind:
        """Weakest kind of these energies."""
        return weakest(each.kind for _, each in self.launches)

    @cached_property
    def shares(self) -> list[tuple[float | None, float | None]]:
        """(gain, mean energy per inference in joules) of each domain of the scope."""
        windows = [[energy.windows[name] for _, energy in self.launches] for name in (self.scope or "").split("+")]
        return [(launches[0][0].gain if launches else None, mean(map(per_inference, launches))) for launches in windows]

    @cached_property
    def throughput_per_s(self) -> float | None:
        """Inferences per second, mean over the launches with an energy."""
        return mean(record.throughput_per_s for record, _ in self.launches)

    @property
    def is_baseline(self) -> bool:
        """Whether other cases are compared with this one; its ratio to itself is 1 by definition, without an interval."""
        return self.case.case_id == self.case.baseline_case_id

    @cached_property
    def qualities(self) -> list[Quality]:
        """Measured qualities of the repetitions; if there are none, and lm_eval was not to give them, the agreement with the baseline."""
        return known(r.quality for r in self.ok) or ([self.agreement.quality] if self._by_agreement and self.agreement else [])

    def quality_of(self, record: Record) -> Quality | None:
        """Quality of one repetition; if none was measured in any, the agreement with the baseline."""
        return record.quality or (self.agreement.quality if self._by_agreement and self.agreement else None)

    @property
    def _by_agreement(self) -> bool:
        """Whether its quality is the agreement with the baseline; not where an evaluation with lm_eval failed, whose metric is another one."""
        model = next((m for m in self.run.header.suite.models if m.name == self.case.model), None)
        return not any(r.quality for r in self.ok) and not (model and model.lm_eval)

    @cached_property
    def per_sample(self) -> Floats:
        """Values whose mean is the quality, shape (samples,); empty if they were not kept."""
        if any(r.quality for r in self.ok):
            answers = self.run.outputs.get(self.case.case_id)
            return answers.per_sample if answers else np.zeros(0)
        return self.agreement.samples.astype(np.float64) if self._by_agreement and self.agreement else np.zeros(0)

    @cached_property
    def agreement(self) -> Agreement | None:
        """Agreement with the baseline on samples stored by both; None if either has none or the shapes differ."""
        baseline = self if self.is_baseline else self.baseline
        answers = [self.run.outputs.get(each.case.case_id) for each in (self, baseline) if each and each.ok]
        own, other = (answer.outputs if answer else np.zeros(0) for answer in (*answers, None, None)[:2])
        n = min(len(own), len(other))
        if not n or own.shape[1:] != other.shape[1:]:
            return None
        if self.is_baseline:
            return Agreement(np.ones(n, dtype=np.bool_), 0.0, Quality(metric=AGREEMENT, direction="higher", value=1.0, samples=n), 0.0)
        return self._compared(own[:n], other[:n])

    @cached_property
    def reference_agreement(self) -> Agreement | None:
        """Agreement with the reference, axes of length 1 aside; None for the reference itself, and as for `agreement`."""
        if self.reference is None or self.reference.case.case_id == self.case.case_id:
            return None
        answers = [self.run.outputs.get(each.case.case_id) for each in (self, self.reference) if each.ok]
        own, other = (_squeezed(answer.outputs) if answer else np.zeros(0) for answer in (*answers, None, None)[:2])
        n = min(len(own), len(other))
        return self._compared(own[:n], other[:n]) if n and own.shape[1:] == other.shape[1:] else None

    def _compared(self, own: np.ndarray, other: np.ndarray) -> Agreement:
        """Agreement of outputs with others of the same shape."""
        if self.case.load:
            shares = common_prefix(own, other)
            return Agreement(shares, None, Quality(metric=AGREEMENT, direction="higher", value=float(shares.mean()), samples=len(own)))
        samples = same_class(own, other, self._threshold) if self._has_classes(other) else close(own, other)
        interval = wilson(int(samples.sum()), len(own))
        quality = Quality(
            metric=AGREEMENT, direction="higher", value=interval.value, samples=len(own), low=interval.low, high=interval.high
        )
        return Agreement(samples, max_difference(own, other), quality, relative_difference(own, other))

    @property
    def _threshold(self) -> float:
        """Threshold above which a single output is class 1."""
        measured = next((r.quality for r in self.ok if r.quality), None)
        return 0.5 if measured is None or measured.threshold is None else measured.threshold

    def _has_classes(self, outputs: np.ndarray) -> bool:
        """Whether an output is a class: scored by a metric where higher is better, or a vector without a metric that contradicts it."""
        long_axes = sum(size > 1 for size in outputs.shape[1:])
        measured = next((r.quality for r in self.ok if r.quality), None)
        if measured:
            return measured.direction == "higher" and long_axes <= 1 and measured.metric not in SEVERAL
        model = next((m for m in self.run.header.suite.models if m.name == self.case.model), None)
        return long_axes == 1 and (model is None or model.metric in (None, "accuracy"))

    @cached_property
    def q(self) -> float:
        """Quantile of t for its intervals."""
        return quantile(self.run.header.profile.half_width)

    @property
    def environment(self) -> Environment | None:
        """Environment of the last attempt; None if the run does not store it."""
        environment_id = self.chosen[-1].environment_id
        return next((e for e in self.run.header.environments if e.environment_id == environment_id), None)

    @property
    def peers(self) -> tuple[str, ...]:
        """Key of the cases that may share a front; measured and modelled energies never do, nor cases timed in different ways."""
        metric = self.qualities[-1].metric if self.qualities else ""
        return self.case.model, metric, self.chosen[-1].environment_id, evidence(self.kind), self.case.timing


@dataclass(frozen=True)
class Agreement:
    """Outputs of a case compared with those of its baseline or of its reference.

    Attributes:
        samples: Whether each sample agrees, shape (n,); of generated text the share of its tokens before the first that differs.
        max_diff: Largest absolute difference of the outputs; None if one is not finite, or for text.
        quality: Share of agreeing samples with Wilson's interval; 1 without interval for the baseline itself.
        relative_diff: Largest difference relative to the largest of the other outputs; None if one is not finite.
    """

    samples: NDArray[np.bool_ | np.float64]
    max_diff: float | None
    quality: Quality
    relative_diff: float | None = None


def _squeezed(outputs: np.ndarray) -> np.ndarray:
    """Outputs without the axes of length 1 of a sample."""
    return outputs.reshape(len(outputs), *(size for size in outputs.shape[1:] if size > 1)) if outputs.size else outputs


def calibrated(domains: Iterable[Domain], scope: str | None) -> str | None:
    """Domains of a sum whose sensor was corrected by a calibration, as `package+gpu:0`; None if none was."""
    names = {d.name for d in domains if d.detail.get("calibration")}
    return "+".join(name for name in (scope or "").split("+") if name in names) or None


def rails(domains: Sequence[Domain]) -> list[Domain]:
    """Domains that carry energy; the power reading of a rail that also has a counter is left out."""
    names = {d.name for d in domains}
    return [d for d in domains if d.quantity in ("energy", "power", "mean_power") and d.counter not in names]


def known(values: Iterable[T | None]) -> list[T]:
    """Values that are not None."""
    return [value for value in values if value is not None]


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values; None if there are none or one is None."""
    listed = list(values)
    # Ten times as fast as NumPy for a few launches.
    return math.fsum(listed) / len(listed) if listed and None not in listed else None  # type: ignore[arg-type]  # no None is left


def precision_ran(result: Result) -> str | None:
    """Precision of most of the arithmetic; None if unknown."""
    return next((r.precision_ran for r in profiled_first(result) if r.precision_ran), None)


def profiled_first(result: Result) -> list[Record]:
    """Completed attempts, those with profiled kernels first."""
    return sorted(result.ok, key=lambda r: not r.kernels)


def tf32(result: Result) -> bool | None:
    """Whether TensorFloat-32 was allowed; None if the engine does not report it as true or false, as on a CPU."""
    return next((fact for r in result.ok if isinstance(fact := r.engine_facts.get("tf32"), bool)), None)
