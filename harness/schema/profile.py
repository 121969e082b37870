"""Profiles: effort of a run."""

from __future__ import annotations

from typing import Literal

from harness.schema.base import FrozenModel


class Profile(FrozenModel):
    """Effort of a run: repetitions and windows."""

    name: Literal["quick", "standard", "publish"]
    first: int
    """Repetitions of each case before the stopping rule applies."""
    cap: int
    """Maximum number of repetitions of a case."""
    half_width: float | None
    """Relative half-width of the repeatability interval at which a case is finished; None: always `first` repetitions."""
    window_s: float
    """Minimum length of the measured window, s."""
    window_ticks: float = 0.0
    """Minimum length in update periods of the slowest counter."""
    window_inferences: int = 0
    """Minimum length in inferences."""
    idle_s: float
    """Length of the idle phases before and after the load, model loaded, s."""
    warmup_s: float
    """Maximum length of the warm-up to a steady state, s; 0: only the lead-in."""
    slope_s: float = 0.0
    """Time for which power and temperature must be level, s; 0: the query rate is checked instead."""
    token_window_s: float = 20.0
    """Minimum length of the window of a case that generates text, s."""
    token_window_requests: int = 20
    """Its minimum length in mean durations of a request."""


PROFILES: dict[str, Profile] = {
    "quick": Profile(
        name="quick",
        first=3,
        cap=3,
        half_width=None,
        window_s=1.5,
        window_ticks=5,
        window_inferences=3,
        idle_s=0.5,
        warmup_s=0.0,
        token_window_s=10.0,
        token_window_requests=5,
    ),
    "standard": Profile(
        name="standard", first=5, cap=8, half_width=0.02, window_s=3.0, window_ticks=20, window_inferences=8, idle_s=1.0, warmup_s=5.0
    ),
    "publish": Profile(
        name="publish",
        first=5,
        cap=30,
        half_width=0.01,
        window_s=10.0,
        window_ticks=100,
        window_inferences=32,
        idle_s=5.0,
        warmup_s=300.0,
        slope_s=30.0,
    ),
}
