"""Two runs of one suite and thresholds -> which case became worse in energy, latency, quality or memory, and whether the run may pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.analysis import gate as tests
from harness.analysis.paired import as_good_and_better
from harness.frame.results import Result, mean, results
from harness.schema import StoredRun
from harness.suite.document import DocumentKind, format_value, nearest, read
from harness.text import number

ENERGY_ALPHA, REST_ALPHA = 0.02, 0.02
"""One-sided error of a run's rows in energy, and of all other metrics together: with these at most 5 % of unchanged runs fail (design/0011)."""
MOST_TOLD = 10
"""Up to which share a rise that passes is told as a number: two noisy launches know no more."""
METRICS = ("energy", "latency", "quality", "memory", "device_memory")
KIND = DocumentKind(
    "file of thresholds",
    "nothing was judged",
    f"it holds {', '.join(METRICS)}, each the share (of quality the amount) that is let through, or null",
)
Outcome = Literal["pass", "fail", "told"]
Share = Annotated[float, Field(ge=0, lt=1)] | None
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)] | None


class Thresholds(BaseModel):
    """How much worse is let through, however sure; null leaves a metric out.

    Attributes:
        energy: Relative, of the joules per inference.
        latency: Relative, of the median per query.
        quality: In the metric's own unit.
        memory: Relative, of the peak resident set.
        device_memory: Relative, of the peak memory of the accelerator; judged where one of the runs holds one.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    energy: Share = 0.02
    latency: Share = 0.05
    quality: Amount = 0.01
    memory: Share = 0.05
    device_memory: Share = 0.05


class Check(NamedTuple):
    """One case, one metric.

    Attributes:
        case_id: The case.
        metric: One of `METRICS`; `case` where the whole row is judged.
        outcome: `told`: could not be judged, and does not fail the run.
        sentence: What was found.
        p: One-sided, that it is as it was; null where nothing was tested.
        least: The smallest share by which it would have had to become worse to fail; null where none can be told.
    """

    case_id: str
    metric: str
    outcome: Outcome
    sentence: str
    p: float | None = None
    least: float | None = None


def read_thresholds(path: Path) -> Thresholds:
    """From a YAML file.

    Raises:
        SuiteError: A field or a value is wrong; with file, line and the nearest name.
    """
    document = read(path, KIND)
    values = {} if document.values is None else document.values
    try:
        thresholds = Thresholds.model_validate(values)
        if set(thresholds.model_dump().values()) == {None}:
            document.add_problem((), "every metric is left out: there is nothing to judge")
        document.check()
        return thresholds
    except ValidationError as error:
        for problem in error.errors():
            document.add_problem(problem["loc"], _sentence(problem))
    document.check()
    raise AssertionError("a validation error without a problem")


def _sentence(problem: Any) -> str:
    if not problem["loc"]:
        return "thresholds are a mapping, such as `energy: 0.02`"
    name = problem["loc"][0]
    if problem["type"] == "extra_forbidden":
        return f"there is no threshold {name!r}{nearest(name, METRICS)}"
    wanted = "a number of at least 0" if name == "quality" else "a number from 0 to below 1"
    given = problem["input"]
    return f"{name!r} must be {wanted}, or null, not {'the text ' if isinstance(given, str) else ''}{format_value(given)}"


def gate(now: StoredRun, before: StoredRun, thresholds: Thresholds) -> list[Check]:
    """Judge every case of either run; fails: a change for the worse that is above its threshold and shown, and a case that was good before and is not now.

    Each metric's error is shared among its rows (Bonferroni). A case that is new, or was not good before, has nothing to be compared
    with: it is told. Where nothing could be compared the run fails, since nothing was shown.
    """
    old = {result.case.case_id: result for result in results(before)}
    new = {result.case.case_id: result for result in results(now)}
    names = list(dict.fromkeys([*old, *new]))
    found = [verdict for name in names if (verdict := _whole(name, old.get(name), new.get(name)))]
    good = [name for name in names if name not in {v.case_id for v in found}]
    pairs = [(old[name], new[name]) for name in good]
    active = [metric for metric in METRICS if getattr(thresholds, metric) is not None and _is_on_hand(metric, pairs)]
    for metric in active:
        own = _on_an_accelerator(pairs) if metric == "device_memory" else pairs
        found += _metric(metric, own, getattr(thresholds, metric), alpha_of(metric, active) / max(len(own), 1))
    if not any(v.outcome == "pass" or v.p is not None for v in found):
        found.append(Check("(all)", "case", "fail", "no case could be compared in any metric"))
    return found


def caveats(now: StoredRun, before: StoredRun) -> list[str]:
    """What differs between the runs beside the change that is judged, as sentences."""
    a, b = now.header, before.header
    said = []
    if a.suite.sha256 != b.suite.sha256:
        said.append("the suites differ: cases are paired by their names")
    if {e.environment_id for e in a.environments} != {e.environment_id for e in b.environments}:
        said.append("the machines or their software differ: a change may come from there")
    if a.profile != b.profile:
        said.append(f"the profiles differ: {b.profile.name} before, {a.profile.name} now")
    cards = [" and ".join(sorted({r.device_uuid for r in results(run) if r.device_uuid})) for run in (before, now)]
    if all(cards) and cards[0] != cards[1]:
        said.append(f"the cards differ ({cards[0]} before, {cards[1]} now): those of one model differ by some percent")
    kinds = {result.kind for run in (before, now) for result in results(run) if result.energies}
    return said + [f"energy is {kind} in some cases: nobody measured it" for kind in ("modelled", "simulated") if kind in kinds]


def unseen(found: Sequence[Check]) -> list[str]:
    """What passes by noise or by the thresholds, as a sentence: a run that passes is worth no more than that. None where nothing was tested."""
    least = {metric: [v.least for v in found if v.metric == metric and v.least is not None] for metric in METRICS}
    medians = {metric: float(np.median(values)) for metric, values in least.items() if values}
    told = [
        f"{number(100 * share, 2)} % in {_words(metric)}" if share < MOST_TOLD else f"over 1,000 % in {_words(metric)}"
        for metric, share in medians.items()
    ]
    return [f"in the median case a rise of up to {', '.join(told)} passes"] if told else []


def alpha_of(metric: str, active: Sequence[str]) -> float:
    """The one-sided error of one metric over all rows of a run: half of it is the energy's, the other metrics share the rest.

    Args:
        metric: One of `METRICS`.
        active: Those that are judged.
    """
    return ENERGY_ALPHA if metric == "energy" else REST_ALPHA / (len(active) - ("energy" in active))


def _whole(name: str, old: Result | None, new: Result | None) -> Check | None:
    """The verdict on a case that cannot be compared at all; null where it can."""
    if old is None:
        return Check(name, "case", "told", "is new: the base run does not hold it")
    if not old.ok:
        return Check(name, "case", "told", f"was {old.chosen[-1].status} in the base run: there is nothing to compare with")
    if new is None:
        return Check(name, "case", "fail", "is missing: the base run holds it")
    if not new.ok:
        return Check(name, "case", "fail", f"is {new.chosen[-1].status} now: {new.chosen[-1].reason or 'no reason was recorded'}")
    return None


def _is_on_hand(metric: str, pairs: Sequence[tuple[Result, Result]]) -> bool:
    """Whether there is something to judge: an accelerator's memory takes no share of the error of runs that used none."""
    return metric != "device_memory" or any(len(_values(metric, result)) for pair in _on_an_accelerator(pairs) for result in pair)


def _on_an_accelerator(pairs: Sequence[tuple[Result, Result]]) -> list[tuple[Result, Result]]:
    """Those that have a device memory."""
    return [pair for pair in pairs if pair[1].case.device != "cpu"]


def _metric(metric: str, pairs: Sequence[tuple[Result, Result]], threshold: float, alpha: float) -> list[Check]:
    if metric == "quality":
        return [_quality(old, new, threshold, alpha) for old, new in pairs]
    found, tested = [], []
    for old, new in pairs:
        refused = REFUSED[metric](old, new) if metric in REFUSED else None
        values = _values(metric, old), _values(metric, new)
        if refused or not all(len(each) for each in values):
            found.append(refused or _absent(metric, old.case.case_id, *values))
        else:
            tested.append((old.case.case_id, values))
    changed = tests.changes([a for _, (a, _) in tested], [b for _, (_, b) in tested]) if tested else []
    return found + [_judged(metric, name, change, threshold, alpha) for (name, _), change in zip(tested, changed, strict=True)]


def _values(metric: str, result: Result) -> np.ndarray:
    """One a launch, positive; empty where it is not known."""
    if metric == "energy":
        values = list(result.energies)
    elif metric == "latency":
        values = [r.latency.p50_s for r in result.ok if r.latency]
    elif metric == "device_memory":
        values = [float(r.peak_device_memory_bytes) for r in result.ok if r.peak_device_memory_bytes]
    else:
        values = [float(r.peak_memory_bytes) for r in result.ok if r.peak_memory_bytes]
    return np.array([v for v in values if v > 0])


def _absent(metric: str, name: str, old: np.ndarray, new: np.ndarray) -> Check:
    if len(old):
        return Check(name, metric, "fail", f"{_words(metric)} was measured before and is not now")
    return Check(name, metric, "told", f"{_words(metric)} was not measured in the base run")


def _words(metric: str) -> str:
    """`device memory` of `device_memory`."""
    return metric.replace("_", " ")


def _energy_refused(old: Result, new: Result) -> Check | None:
    """Joules of another kind, or of other domains, are not compared, and validity may not be lost."""
    name = new.case.case_id
    if not old.valid:
        return Check(name, "energy", "told", "the base run's energy is invalid: there is nothing to compare with")
    if not new.valid:
        codes = dict.fromkeys(f.code for r in new.ok for f in r.warnings if f.invalid)
        return Check(name, "energy", "fail", f"the energy is invalid now: {', '.join(codes)}")
    if old.energies and new.energies and (old.kind, old.scope_label) != (new.kind, new.scope_label):
        return Check(
            name,
            "energy",
            "fail",
            f"energy is {new.kind} of {new.scope_label} now, and was {old.kind} of {old.scope_label}: not comparable",
        )
    return None


def _device_memory_refused(old: Result, new: Result) -> Check | None:
    """The memory of a process is not compared with the rise of a whole card's."""
    sources = [{r.peak_device_memory_source for r in result.ok} - {None} for result in (old, new)]
    if all(sources) and sources[0] != sources[1]:
        texts = [" and ".join(sorted(map(str, each))) for each in sources]
        return Check(
            new.case.case_id, "device_memory", "told", f"it is known by {texts[1]} now, and was by {texts[0]}: it cannot be compared"
        )
    return None


REFUSED = {"energy": _energy_refused, "device_memory": _device_memory_refused}
"""Of a metric, what cannot be compared although both runs have it."""


def _judged(metric: str, name: str, change: tests.Change, threshold: float, alpha: float) -> Check:
    text = f"{_words(metric)} {change.ratio - 1:+.1%}"
    if np.isnan(change.p):
        return Check(name, metric, "told", f"{text}: too few launches to tell it from noise")
    worse, sure = change.ratio - 1 > threshold, change.p < alpha
    said = f"{text} (p = {change.p:.2g}, needed {alpha:.2g}; {threshold:.0%} is let through)"
    return Check(name, metric, "fail" if worse and sure else "pass", said, change.p, max(threshold, change.least(alpha) - 1))


def _quality(old: Result, new: Result, threshold: float, alpha: float) -> Check:
    """On the same samples where both runs kept them; else by the intervals."""
    name = new.case.case_id
    if not old.qualities or not new.qualities:
        return _absent("quality", name, np.array(old.qualities), np.array(new.qualities))
    before, now = old.qualities[-1], new.qualities[-1]
    if before.metric != now.metric:
        return Check(name, "quality", "fail", f"the metric is {now.metric} now, and was {before.metric}: not comparable")
    sign = -1.0 if now.direction == "higher" else 1.0
    values = mean(q.value for q in old.qualities), mean(q.value for q in new.qualities)
    loss = sign * ((values[1] or 0.0) - (values[0] or 0.0))
    p, how = _quality_p(old, new, sign, loss, alpha)
    if p is None:
        return Check(name, "quality", "told" if loss <= threshold else "fail", f"quality {-loss:+.4g}: {how}")
    said = f"quality {values[0]:.4g} before, {values[1]:.4g} now ({how}; {threshold:.3g} is let through)"
    return Check(name, "quality", "fail" if loss > threshold and p < alpha else "pass", said, p)


def _quality_p(old: Result, new: Result, sign: float, loss: float, alpha: float) -> tuple[float | None, str]:
    """(0 where it is shown worse, 1 where it is not, null where that cannot be told; by what)."""
    from scipy.stats import norm

    samples = old.per_sample, new.per_sample
    if len(samples[0]) > 1 and samples[0].shape == samples[1].shape and all(np.isfinite(each).all() for each in samples):
        _, better = as_good_and_better([sign * samples[0]], [sign * samples[1]], 0.0, alpha)
        return 0.0 if better[0, 0] else 1.0, "paired on the same samples"
    u = float(np.hypot(_half(old), _half(new))) / 1.96
    if not np.isfinite(u) or not u:
        return None, "its samples were not kept, and it has no interval"
    return (0.0 if loss / u > norm.isf(alpha) else 1.0), "by their intervals; samples were not kept in both"


def _half(result: Result) -> float:
    quality = result.qualities[-1]
    return (quality.high - quality.low) / 2 if quality.low is not None and quality.high is not None else float("nan")
