"""Domains, traces and windows whose energy is known."""

from __future__ import annotations

import numpy as np

from harness.energy import joules
from harness.energy.completions import CompletionCurve
from harness.energy.joules import Window
from harness.schema import Domain, Sample, Trace

COUNTER = Domain(name="package", sensor="s", quantity="energy", unit="J", kind="counter", gain=0.05, update_period_s=0.1)
GAUGE = Domain(name="gpu:0", sensor="s", quantity="power", unit="W", kind="sampled", gain=0.07, device="gpu")
MEAN = Domain(name="package", sensor="s", quantity="mean_power", unit="W", kind="modelled")
NOTHING = CompletionCurve(np.zeros(0), np.zeros(0), np.zeros((0, 2)))
POLL_S = 0.0005


def sampled(t_s, values, width_s: float = 0.0) -> Sample:
    """Readings in the middle of their reads."""
    t_s = np.asarray(t_s, dtype=float)
    return Sample(t_s - width_s / 2, t_s + width_s / 2, np.asarray(values, dtype=float))


def staircase(
    true_j, period_s: float = 0.1, until_s: float = 4.0, lag_s: float = 0.0, wrap_j: float | None = None, step_s: float = POLL_S
) -> Sample:
    """A counter that shows at each update what the energy was `lag_s` before."""
    t_s = np.arange(0, until_s, step_s)
    shown = true_j(np.floor(t_s / period_s) * period_s - lag_s)
    return sampled(t_s, shown % wrap_j if wrap_j else shown)


def step(idle_w: float, load_w: float, at_s: float):
    """Exact energy of a power that steps up."""
    return lambda t: idle_w * t + (load_w - idle_w) * np.maximum(t - at_s, 0)


def one(domain: Domain, sample: Sample, window: Window, progress: CompletionCurve = NOTHING, **more):
    """The measurement of one window."""
    return joules.measure(Trace({domain.name: domain}, {domain.name: sample}), [window], progress, **more)[0]


def window(phase: str, begin_s: float, open_s: float, end_s: float, close_s: float, **more) -> Window:
    """A window whose edges were polled."""
    return Window(phase=phase, begin_s=begin_s, open_s=open_s, end_s=end_s, close_s=close_s, **more)


def steady(begin_s: float, end_s: float, open_s: float = 0.3) -> Window:
    """A steady window whose ticks were searched for during `open_s`."""
    return window("steady", begin_s, begin_s + open_s, end_s, end_s + open_s)


def evenly(rate_per_s: float = 1000.0, until_s: float = 4.0) -> CompletionCurve:
    """Inferences that complete at a constant rate."""
    t_s = np.arange(0, until_s, 1 / rate_per_s)
    return CompletionCurve(t_s, np.arange(len(t_s), dtype=float), np.zeros((0, 2)))
