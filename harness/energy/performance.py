"""Figures of one repetition other than energy: throughput, latency, quality, conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from harness.analysis.interval import percentile, wilson
from harness.energy.cards import STARTS_S
from harness.energy.clock_limits import clock_limits
from harness.energy.codes import finding
from harness.energy.ticks import Z95
from harness.schema import Finding, Latency, Measurement, Phase, Quality, Trace
from harness.schema.measured import Evaluated
from harness.schema.worker import Scores

SHARES = ("multilabel_accuracy", "pixel_accuracy", "token_accuracy")
"""Metrics whose samples are means of many decisions; their values are not binary, even if all are 0 or 1."""
RIVAL_SAMPLES, RIVAL_SHARE = 3, 0.02
"""A threshold is doubtful if another one classifies more samples correctly, by at least this number and this share."""


def steady_span(measurements: Iterable[Measurement]) -> tuple[float, float] | None:
    """First and last edge of any domain in `steady`, s; None if nothing was measured in it."""
    steady = [m for m in measurements if m.phase == "steady"]
    return (min(m.start_s for m in steady), max(m.end_s for m in steady)) if steady else None


def throughput_per_s(inferences: float | None, window: Phase | None, waited_s: float = 0.0) -> float | None:
    """Inferences per second of load, without the time that the load paused; None if either is missing."""
    return inferences / (window.duration_s - waited_s) if inferences and window else None


def latency(completions: np.ndarray, window: Phase | None) -> Latency | None:
    """Latency of the queries that began and ended inside the window; None if there is none."""
    if window is None or not completions.size:
        return None
    start_s, end_s = completions[0] * 1e-9, completions[1] * 1e-9
    inside = (start_s >= window.start_s) & (end_s <= window.end_s)
    count = completions[2][inside]
    each = (end_s - start_s)[inside] / count
    if not len(each):
        return None
    p50, p90, p95, p99 = (percentile(each, p) for p in (50, 90, 95, 99))
    assert p50 is not None
    return Latency(queries=int(count.sum()), mean_s=float(np.average(each, weights=count)), p50_s=p50, p90_s=p90, p95_s=p95, p99_s=p99)


def quality(scores: Scores | None, per_sample: np.ndarray) -> Quality | None:
    """Mean of a metric over the test samples, with Wilson's interval if each is right or wrong; None if there are no scores."""
    if scores and scores.evaluated:
        return _evaluated(scores, scores.evaluated, per_sample)
    if not scores or not len(per_sample):
        return None
    mean = Quality(**scores.model_dump(), value=float(np.mean(per_sample)), samples=len(per_sample))
    if scores.metric in SHARES or not np.isin(per_sample, (0, 1)).all():
        return mean
    interval = wilson(int(per_sample.sum()), len(per_sample))
    return mean.model_copy(update={"low": interval.low, "high": interval.high})


def _evaluated(scores: Scores, reported: Evaluated, per_sample: np.ndarray) -> Quality:
    """Quality as another program reports it, with the interval of its standard error.

    Where all samples are right, or all wrong, the standard error is 0 and no evidence: the interval is then Wilson's.
    """
    value = float(np.mean(per_sample)) if len(per_sample) else reported.value
    quality = Quality(**scores.model_dump(), value=value, samples=reported.samples)
    if reported.stderr:
        low, high = value - Z95 * reported.stderr, value + Z95 * reported.stderr
        if len(per_sample) and ((per_sample >= 0) & (per_sample <= 1)).all():
            low, high = max(0.0, low), min(1.0, high)
        return quality.model_copy(update={"low": low, "high": high})
    if len(per_sample) and np.isin(per_sample, (0, 1)).all():
        interval = wilson(int(per_sample.sum()), len(per_sample))
        return quality.model_copy(update={"low": interval.low, "high": interval.high})
    return quality


def examine_quality(quality: Quality | None) -> list[Finding]:
    """Findings on a quality: exact ties, and a threshold that is clearly worse than another; none if there is no quality."""
    if quality is None:
        return []
    findings = []
    if quality.ties:
        share = quality.ties / quality.samples
        findings.append(finding("ties_in_top_class", ties=quality.ties, samples=quality.samples, metric=quality.metric, share=share))
    gain = 0.0 if quality.rival is None else quality.rival - quality.value
    if gain * quality.samples >= RIVAL_SAMPLES and gain > RIVAL_SHARE:
        findings.append(finding("threshold_doubtful", metric=quality.metric, value=quality.value, rival=quality.rival))
    return findings


def examine_repeatability(facts: Mapping[str, Any]) -> list[Finding]:
    """Finding on a model that answers the same query differently.

    Args:
        facts: Facts of the case; its `answers_differ` is the difference as a share of the largest value.
    """
    difference = facts.get("answers_differ")
    return [finding("answers_differ", difference=difference)] if isinstance(difference, float) else []


def start_conditions(trace: Trace, load_s: float | None, device: str) -> dict[str, float]:
    """Temperatures and clocks at the start of a launch: the last reading of each before the child could use the device.

    Args:
        trace: Readings of the task.
        load_s: Start of the child, s; None: unknown.
        device: Device of the case.
    """
    if load_s is None:
        return {}
    names = [n for n, d in trace.domains.items() if d.quantity in ("temperature", "clock") and d.device in ("cpu", device)]
    before = {name: trace.readings(name, end_s=load_s + STARTS_S) for name in names}
    return {name: float(values[-1]) for name, values in before.items() if len(values)}


def conditions(trace: Trace, window: Phase | None) -> dict[str, float | None]:
    """Means of the conditions over the window, and shares of it in which a card's clock was limited; None if not read in it."""
    if window is None:
        return {}
    means: dict[str, float | None] = {}
    for name, domain in trace.domains.items():
        if domain.quantity not in ("energy", "power", "mean_power", "flags", "duration"):
            values = trace.readings(name, window.start_s, window.end_s)
            means[name] = float(np.mean(values)) if len(values) else None
    return means | {name: each.share for name, each in clock_limits(trace, window.start_s, window.end_s).items()}
