"""Raw data of one repetition -> the figures of its record that are no energy: throughput, latency, quality, conditions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from harness.analysis.interval import percentile, wilson
from harness.energy import cards
from harness.energy.clock_limits import clock_limits
from harness.schema import Latency, Measurement, Phase, Quality, Trace
from harness.schema.worker import Scores

SHARES = ("multilabel_accuracy", "pixel_accuracy", "token_accuracy")
"""Metrics whose samples are shares of many decisions, and no proportion even where all are right."""


def steady_span(measurements: Iterable[Measurement]) -> tuple[float, float] | None:
    """From the first edge of any domain to the last, s: what counts as `steady` of a repetition; null where nothing was measured in it."""
    steady = [m for m in measurements if m.phase == "steady"]
    return (min(m.start_s for m in steady), max(m.end_s for m in steady)) if steady else None


def throughput_per_s(inferences: float | None, window: Phase | None, waited_s: float = 0.0) -> float | None:
    """Inferences over the time that the load ran, which is not the time that it was made to wait."""
    if not inferences or window is None:
        return None
    return inferences / (window.duration_s - waited_s)


def latency(completions: np.ndarray, window: Phase | None) -> Latency | None:
    """Percentiles of the queries that began and ended inside the window."""
    if window is None or not completions.size:
        return None
    start_s, end_s = completions[0] * 1e-9, completions[1] * 1e-9
    inside = (start_s >= window.start_s) & (end_s <= window.end_s)
    each = (end_s - start_s)[inside] / completions[2][inside]
    if not len(each):
        return None
    p50, p90, p95, p99 = (percentile(each, p) for p in (50, 90, 95, 99))
    assert p50 is not None
    return Latency(
        queries=int(completions[2][inside].sum()),
        mean_s=float(np.average(each, weights=completions[2][inside])),
        p50_s=p50,
        p90_s=p90,
        p95_s=p95,
        p99_s=p99,
    )


def quality(scores: Scores | None, per_sample: np.ndarray) -> Quality | None:
    """The mean of a metric over the test samples, with Wilson's interval where right and wrong were counted.

    Args:
        scores: How the samples were scored; None where they were not.
        per_sample: Shape (n,); empty where it was not kept: then there is no quality.
    """
    if not scores or not len(per_sample):
        return None
    found = Quality(**scores.model_dump(), value=float(np.mean(per_sample)), samples=len(per_sample))
    if scores.metric in SHARES or not np.isin(per_sample, (0, 1)).all():
        return found
    interval = wilson(int(per_sample.sum()), len(per_sample))
    return found.model_copy(update={"low": interval.low, "high": interval.high})


def conditions(trace: Trace, window: Phase | None) -> dict[str, float | None]:
    """Means over the window of what is no energy; of what held a card's clock down the share of the window."""
    means: dict[str, float | None] = {}
    if window is None:
        return means
    for name, domain in trace.domains.items():
        if domain.quantity not in ("energy", "power", "mean_power", "flags", "duration"):
            sample = trace.samples[name].finite()
            inside = sample.value[(sample.t_s >= window.start_s) & (sample.t_s <= window.end_s)]
            means[name] = float(np.mean(inside)) if len(inside) else None
    return means | {name: each.share for name, each in clock_limits(trace, window.start_s, window.end_s).items()}


def device_memory(trace: Trace, phases: Sequence[Phase], device: str | None) -> tuple[int | None, Literal["process", "rise"] | None]:
    """Most memory of the case's accelerator that the child held, bytes, and how that is known; (None, None) on the CPU, or where it is not known.

    Args:
        trace: What the sensors reported.
        phases: Of the task; the child was started when `load` began.
        device: Of the case; null: of a build.
    """
    if device in (None, "cpu"):
        return None, None
    steady = next(((phase.start_s, phase.end_s) for phase in phases if phase.name == "steady"), None)
    return cards.device_memory(trace, str(device), next((phase.start_s for phase in phases if phase.name == "load"), None), steady)
