"""Checks of one run against another: which case became worse in energy, latency, quality or memory beyond noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from harness.analysis import gate as tests
from harness.analysis.interval import normal_isf
from harness.analysis.paired import as_good_and_better
from harness.decide.thresholds import METRICS, Thresholds
from harness.frame.results import Result, mean, results
from harness.schema import StoredRun
from harness.schema.served import Unit

ENERGY_ALPHA, REST_ALPHA = 0.02, 0.02
"""One-sided error of a run's rows in energy, and of all other metrics together: with these at most 5 % of unchanged runs fail (design/0011)."""
Outcome = Literal["passed", "failed", "inconclusive"]


class Check(NamedTuple):
    """One metric of one case.

    Attributes:
        case_id: Id of the case.
        metric: One of `METRICS`; `case` for the whole case.
        outcome: `inconclusive`: it could not be checked, and does not fail the run.
        reason: Code of what was found: a key of `harness.report.gate.SENTENCES`.
        values: Values of the finding, by name.
        p: One-sided p-value of no increase; None if nothing was tested.
        least: Smallest relative increase that would have failed; None if unknown.
        unit: Unit of the case: of an output token, `latency` is the time per output token.
    """

    case_id: str
    metric: str
    outcome: Outcome
    reason: str
    values: Mapping[str, Any] = MappingProxyType({})
    p: float | None = None
    least: float | None = None
    unit: Unit = "inference"


class Caveat(NamedTuple):
    """A difference between the runs other than the change that is checked.

    Attributes:
        code: suites, machines, profiles, cards, modelled or simulated.
        before: Value of the base run, if there is one.
        now: Value of the checked run, if there is one.
    """

    code: str
    before: str = ""
    now: str = ""


def gate(now: StoredRun, before: StoredRun, thresholds: Thresholds) -> list[Check]:
    """Check every case of either run.

    Fails: an increase above its threshold that is significant, and a case that was ok before and is not now. The error of each metric is
    shared among its rows (Bonferroni). A case that is new, or was not ok before, is inconclusive. If nothing could be compared the run
    fails.
    """
    old = {result.case.case_id: result for result in results(before)}
    new = {result.case.case_id: result for result in results(now)}
    names = list(dict.fromkeys([*old, *new]))
    checks = [check for name in names if (check := _case(name, old.get(name), new.get(name)))]
    unpaired = {check.case_id for check in checks}
    pairs = [(old[name], new[name]) for name in names if name not in unpaired]
    of_metric = {metric: pairs for metric in METRICS if getattr(thresholds, metric) is not None}
    on_card = [pair for pair in pairs if pair[1].case.device != "cpu"]
    if "device_memory" in of_metric:
        of_metric["device_memory"] = on_card
        if not any(len(_values("device_memory", result)) for pair in on_card for result in pair):
            del of_metric["device_memory"]  # takes no share of the error without a value
    for metric, own in of_metric.items():
        checks += _metric(metric, own, getattr(thresholds, metric), alpha_of(metric, list(of_metric)) / max(len(own), 1))
    units = {name: (new.get(name) or old[name]).case.unit for name in names}
    checks = [check._replace(unit=units[check.case_id]) for check in checks]
    if not any(check.outcome == "passed" or check.p is not None for check in checks):
        checks.append(Check("(all)", "case", "failed", "nothing_compared"))
    return checks


def caveats(now: StoredRun, before: StoredRun) -> list[Caveat]:
    """Differences between the runs that may explain a change, and kinds of energy that were not measured."""
    new, old = now.header, before.header
    cards = [" and ".join(sorted({r.device_uuid for r in results(run) if r.device_uuid})) for run in (before, now)]
    kinds = {result.kind for run in (before, now) for result in results(run) if result.energies}
    conditions = {
        Caveat("suites"): new.suite.sha256 != old.suite.sha256,
        Caveat("machines"): {e.environment_id for e in new.environments} != {e.environment_id for e in old.environments},
        Caveat("profiles", old.profile.name, new.profile.name): new.profile != old.profile,
        Caveat("cards", *cards): all(cards) and cards[0] != cards[1],
        Caveat("modelled"): "modelled" in kinds,
        Caveat("simulated"): "simulated" in kinds,
    }
    return [caveat for caveat, applies in conditions.items() if applies]


def undetected(checks: Sequence[Check]) -> dict[str, float]:
    """Smallest relative increase of each metric that fails in the median case, given noise and threshold; empty if nothing was tested."""
    least = {metric: [c.least for c in checks if c.metric == metric and c.least is not None] for metric in METRICS}
    return {metric: float(np.median(values)) for metric, values in least.items() if values}


def alpha_of(metric: str, active: Sequence[str]) -> float:
    """One-sided error of one metric over all rows of a run: half of it is the energy's, the other metrics share the rest."""
    return ENERGY_ALPHA if metric == "energy" else REST_ALPHA / (len(active) - ("energy" in active))


def _case(name: str, old: Result | None, new: Result | None) -> Check | None:
    """Check of a case that cannot be compared at all; None if it can."""
    if old is None:
        return Check(name, "case", "inconclusive", "new")
    if not old.ok:
        return Check(name, "case", "inconclusive", "base_not_ok", {"status": old.chosen[-1].status})
    if new is None:
        return Check(name, "case", "failed", "missing")
    if not new.ok:
        last = new.chosen[-1]
        return Check(name, "case", "failed", "not_ok", {"status": last.status, "cause": last.reason or "no reason was recorded"})
    return None


def _metric(metric: str, pairs: Sequence[tuple[Result, Result]], threshold: float, alpha: float) -> list[Check]:
    if metric == "quality":
        return [_quality(old, new, threshold, alpha) for old, new in pairs]
    checks, tested = [], []
    for old, new in pairs:
        values = _values(metric, old), _values(metric, new)
        check = _incomparable(metric, old, new) or _absent(metric, old.case.case_id, *map(len, values))
        if check:
            checks.append(check)
        else:
            tested.append((old.case.case_id, values))
    changes = tests.changes([a for _, (a, _) in tested], [b for _, (_, b) in tested]) if tested else []
    return checks + [_tested(metric, name, change, threshold, alpha) for (name, _), change in zip(tested, changes, strict=True)]


def _values(metric: str, result: Result) -> np.ndarray:
    """Positive values of the launches; empty if unknown."""
    values: list[float | None]
    if metric == "energy":
        values = [*result.energies]
    elif metric == "latency":
        values = [r.latency.p50_s if r.latency else None for r in result.ok]
    else:
        values = [getattr(r, "peak_device_memory_bytes" if metric == "device_memory" else "peak_memory_bytes") for r in result.ok]
    return np.array([float(v) for v in values if v and v > 0])


def _absent(metric: str, name: str, old: int, new: int) -> Check | None:
    """Check of a metric without values in one of the runs; None if both have some."""
    if not old:
        return Check(name, metric, "inconclusive", "not_measured_before")
    return None if new else Check(name, metric, "failed", "not_measured_now")


def _incomparable(metric: str, old: Result, new: Result) -> Check | None:
    """Check of values that are not comparable: energies of other kinds or domains or invalid ones, memory from another source."""
    name = new.case.case_id
    if metric == "energy":
        if not old.valid:
            return Check(name, metric, "inconclusive", "base_invalid")
        if not new.valid:
            codes = dict.fromkeys(f.code for r in new.ok for f in r.warnings if f.invalid)
            return Check(name, metric, "failed", "invalid", {"codes": ", ".join(codes)})
        if old.energies and new.energies and (old.kind, old.scope_label) != (new.kind, new.scope_label):
            values = {"before": f"{old.kind} of {old.scope_label}", "now": f"{new.kind} of {new.scope_label}"}
            return Check(name, metric, "failed", "other_energy", values)
    elif metric == "device_memory":
        sources = [" and ".join(sorted({str(r.peak_device_memory_source) for r in each.ok} - {"None"})) for each in (old, new)]
        if all(sources) and sources[0] != sources[1]:
            return Check(name, metric, "inconclusive", "other_source", {"before": sources[0], "now": sources[1]})
    return None


def _tested(metric: str, name: str, change: tests.Change, threshold: float, alpha: float) -> Check:
    increase = change.ratio - 1
    if np.isnan(change.p):
        return Check(name, metric, "inconclusive", "few_launches", {"increase": increase})
    outcome: Outcome = "failed" if increase > threshold and change.p < alpha else "passed"
    values = {"increase": increase, "alpha": alpha, "threshold": threshold}
    return Check(name, metric, outcome, "tested", values, change.p, max(threshold, change.least(alpha) - 1))


def _quality(old: Result, new: Result, threshold: float, alpha: float) -> Check:
    """Compared on the same samples if both runs kept them, otherwise by the intervals."""
    name = new.case.case_id
    if check := _absent("quality", name, len(old.qualities), len(new.qualities)):
        return check
    metrics = [each.qualities[-1].metric for each in (old, new)]
    if metrics[0] != metrics[1]:
        return Check(name, "quality", "failed", "other_metric", {"before": metrics[0], "now": metrics[1]})
    sign = -1.0 if new.qualities[-1].direction == "higher" else 1.0
    before, now = (mean(q.value for q in each.qualities) or 0.0 for each in (old, new))
    loss, values = sign * (now - before), {"before": before, "now": now, "threshold": threshold}
    worse, reason = _is_worse(old, new, sign, loss, alpha)
    if worse is None:
        return Check(name, "quality", "inconclusive" if loss <= threshold else "failed", reason, values)
    return Check(name, "quality", "failed" if loss > threshold and worse else "passed", reason, values, 0.0 if worse else 1.0)


def _is_worse(old: Result, new: Result, sign: float, loss: float, alpha: float) -> tuple[bool | None, str]:
    """(whether the quality is significantly worse, None if that cannot be tested; reason code)."""
    samples = old.per_sample, new.per_sample
    if len(samples[0]) > 1 and samples[0].shape == samples[1].shape and all(np.isfinite(each).all() for each in samples):
        _, better = as_good_and_better([sign * samples[0]], [sign * samples[1]], 0.0, alpha)
        return bool(better[0, 0]), "quality_paired"
    u = float(np.hypot(_half_width(old), _half_width(new))) / 1.96
    if not np.isfinite(u) or not u:
        return None, "quality_unknown"
    return bool(loss / u > normal_isf(alpha)), "quality_intervals"


def _half_width(result: Result) -> float:
    quality = result.qualities[-1]
    return (quality.high - quality.low) / 2 if quality.low is not None and quality.high is not None else float("nan")
