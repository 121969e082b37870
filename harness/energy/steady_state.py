"""Detection of a steady state of the machine from its trace."""

from __future__ import annotations

import numpy as np

from harness.energy.ticks import ticks, unwrap
from harness.schema import Domain, Sample, Trace

LEVEL_K, LEVEL_POWER = 0.5, 0.005
"""Largest drift per minute of a temperature, and of a power relative to its mean."""


def is_steady(trace: Trace, start_s: float, end_s: float) -> bool:
    """Whether temperatures drift by less than 0.5 K/min and powers by less than 0.5 %/min, beyond their noise.

    Args:
        trace: Readings so far; modelled domains are ignored.
        start_s: Start of the interval that is examined.
        end_s: End of the interval.
    """
    measured = [d for d in trace.domains.values() if d.kind != "modelled" and d.quantity in ("energy", "power", "temperature")]
    return not any(_drifts(_level(domain, trace.samples[domain.name]), domain, start_s, end_s) for domain in measured)


def _level(domain: Domain, sample: Sample) -> Sample:
    """Readings of a temperature or power; for a counter, the mean power between its ticks."""
    sample = sample.finite()
    if domain.quantity != "energy":
        return sample
    level, _ = unwrap(sample, domain.wrap_j)
    steps = ticks(level, domain.update_period_s)
    return Sample(steps.t_s[1:], steps.t_s[1:], np.diff(steps.value_j) / np.diff(steps.t_s)) if len(steps.t_s) > 1 else sample


def _drifts(sample: Sample, domain: Domain, start_s: float, end_s: float) -> bool:
    """Whether the slope of a fitted line, minus two standard errors, is above the limit."""
    sample = sample.between(start_s, end_s)
    if len(sample.value) <= 3:
        return False
    line, covariance = np.polyfit(sample.t_s - start_s, sample.value, 1, cov=True)
    limit = LEVEL_K if domain.quantity == "temperature" else LEVEL_POWER * abs(float(np.mean(sample.value)))
    return bool(60 * (abs(line[0]) - 2 * np.sqrt(covariance[0, 0])) > limit)
