"""Build steps, and what an engine prepares of a model for one card in a build of its own."""

from __future__ import annotations

from typing import Any

from harness.schema.base import FrozenModel


class Prepares(FrozenModel):
    """What an engine makes of a model for one device, in a build of its own before the first case loads it."""

    format: str
    """Name of the result, such as `tensorrt`."""
    devices: tuple[str, ...] = ("gpu",)
    """Devices that it is made for."""
    options: dict[str, Any] = {}
    """Options of the cases that need it; empty: all cases on these devices."""
    build_s: float = 30.0
    """Typical duration in s, for the estimated duration of a run."""
    version: int = 1
    """Version of the preparation, raised when it gives another result: part of the content hash."""


class Target(FrozenModel):
    """The cases and the card that a prepared model is for."""

    engine: str
    engine_options: dict[str, Any] = {}
    device: str
    card: str | None = None
    """UUID of the card that the cases choose; None: the first that CUDA programs see."""
    batch_size: int
    threads: int
    depends_on: dict[str, str | None] = {}
    """Card, compute capability, driver and its CUDA, packages and libraries, with which alone the result may be used; None: not installed."""


class Step(FrozenModel):
    """One recipe of a variant's chain."""

    recipe: str
    """Name of the plug-in."""
    parameters: dict[str, Any] = {}
    """Options, with defaults filled in."""


class Build(FrozenModel):
    """One step of making an artifact."""

    build_id: str
    """Hash of everything that determines the result."""
    model: str
    """Name of the model in the suite."""
    step: Step
    """Recipe: `dataset`, `train` or `source` at the start of a chain, then variants and exporters; `data` for the user's samples."""
    parent: str | None = None
    """Build whose artifact is the input; None for the first step."""
    data_id: str | None = None
    """Build that wrote its training data, or with a `target` the test data; None: it needs none, or those at the start of its own chain."""
    format: str
    """Format of the result."""
    lineage: tuple[str, ...] = ()
    """Steps so far, as text."""
    target: Target | None = None
    """Cases and card that it is for; None: it is made on the CPU and runs anywhere."""
