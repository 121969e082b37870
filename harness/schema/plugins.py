"""Specs of plug-ins, readable without their libraries, and the catalogue of all that were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from harness.schema.base import FrozenModel
from harness.schema.builds import Prepares
from harness.schema.served import Unit
from harness.schema.suite import Case


class PluginSpec(FrozenModel):
    """What every plug-in declares."""

    name: str
    """Name of the entry point."""
    summary: str = ""
    """One line for listings."""
    packages: tuple[str, ...] = ()
    """Distributions whose versions enter the record and the content hash of what they build."""
    extra: str | None = None
    """Extra of this package that installs them, `pip install 'harness[extra]'`; None: not ours, or always installed."""
    venv: str | None = None
    """Name of the separate virtual environment of its libraries; None: ours. Ours is used too if it has the first of `packages`."""
    parameters: type[BaseModel] | None = None
    """Options that a suite may give; None: it takes none."""


class EngineSpec(PluginSpec):
    """An engine."""

    formats: tuple[str, ...]
    """Artifact formats that it opens."""
    devices: tuple[str, ...] = ("cpu",)
    """Devices that it runs on."""
    on_request: tuple[str, ...] = ()
    """Devices that `auto` leaves out and a suite must name, because the installed packages cannot use them."""
    unit: Unit = "inference"
    """What it computes, which energy is counted per; `output_token`: it is a `TokenEngine`."""
    scenarios: tuple[str, ...] = ("single_stream", "offline")
    """Load patterns that it can answer; the first is that of a suite that names none."""
    stages: tuple[str, ...] = ()
    """Devices, other than the CPU, on which `stage` and `fetch` of its session make the copies, so that `run` can be timed without them."""
    asynchronous: tuple[str, ...] = ()
    """Devices on which `run` may return before the answer is complete, so that several queries can be in flight."""
    simulated: bool = False
    """Whether it is a test double: everything measured on it is `simulated`."""
    load_s: float = 1.0
    """Typical time in s to import it and load a model, for the estimated duration of a run."""
    by_options: dict[str, dict[str, Any]] = {}
    """Variants that the engine applies itself when it loads the model, with the options that request each; nothing is built for them."""
    prepares: Prepares | None = None
    """What `prepare` makes of a model for one device in a measured build, before any case; None: it has no such step."""
    by_device: dict[str, dict[str, Any]] = {}
    """Fields of this spec that differ on a device, such as another virtual environment with other packages."""
    programs: dict[str, dict[str, PluginSpec]] = {}
    """Programs that it starts, with their virtual environment and packages, by an option and its value; the engine itself runs in its own `venv`."""

    evaluator: PluginSpec | None = None
    """Program that evaluates its models over the API of their server; None: they have no server."""

    def at(self, device: str) -> EngineSpec:
        """The spec as it is on a device."""
        return self.model_copy(update=self.by_device.get(device, {}))

    def started(self, options: Mapping[str, Any]) -> tuple[PluginSpec, ...]:
        """The programs that it starts with the options of a case, whose defaults are filled in."""
        if not self.programs or self.parameters is None:
            return ()
        chosen = self.parameters(**options)
        programs = (by_value.get(getattr(chosen, option)) for option, by_value in self.programs.items())
        return tuple(program for program in programs if program)

    def every_program(self) -> tuple[PluginSpec, ...]:
        """The programs that it starts with any options."""
        return tuple(program for by_value in self.programs.values() for program in by_value.values())


class SensorSpec(PluginSpec):
    """A sensor; its domains are known only once it is open."""

    devices: tuple[str, ...] = ("cpu",)
    """Devices that it can detect, for `auto` in a suite."""
    rank: int = 0
    """Priority among sensors of the same domain: the lowest rank is read, a measurement before a model."""


class VariantSpec(PluginSpec):
    """A recipe, or an exporter."""

    conversions: tuple[tuple[str, str], ...]
    """Pairs of input and output format; empty: engines apply it by their options (`EngineSpec.by_options`)."""
    implements: str | None = None
    """Variant of another plug-in that this recipe makes for its own formats, so that suites have one name; None: its own name."""
    exporter: bool = False
    """Whether it only changes the format, so that the planner may insert it."""
    precision: str | None = None
    """Requested compute precision of most of the arithmetic, such as `int8`; None: none is requested."""
    applied_precision: str | None = None
    """Requested compute precision where an engine applies it by its options; None: `precision`."""
    devices: tuple[str, ...] = ()
    """Devices whose kernels can use it; empty: all."""
    load_s: float = 0.0
    """Typical time in s by which it lengthens the loading of a model where an engine applies it, for the estimated duration of a run."""
    needs: tuple[Literal["train", "labels"], ...] = ()
    """Parts of `data.train` that it uses: samples (`train`) and their labels."""
    version: int = 1
    """Version of the recipe, raised when it gives another artifact: part of the content hash."""


class FormatSpec(PluginSpec):
    """A model format."""

    suffixes: tuple[str, ...] = ()
    """Endings of its files, in lower case with the dot."""
    folder_with: str | None = None
    """File whose presence makes a folder a model of this format; None: its models are files."""
    folder_without: tuple[str, ...] = ()
    """Files whose presence makes a folder a model of another format, although it has `folder_with`."""
    stored_as: str | None = None
    """Format in which the first build stores such a model; None: this one."""
    signatures: bool = False
    """Whether a model may have several signatures, of which a suite chooses one."""
    version: int = 1
    """Version of the import, raised when it stores or counts differently: part of the content hash."""


class FrameworkSpec(PluginSpec):
    """A framework whose model objects workloads and users' functions return."""

    format: str
    """Format in which it saves a model."""
    version: int = 1
    """Version of saving and training, raised when they give another artifact: part of the content hash."""


class WorkloadSpec(PluginSpec):
    """A built-in model with its data and quality metric, or a family of such models."""

    framework: str = "keras"
    """Framework of its model objects."""
    metric: str | None = "accuracy"
    """Name of the quality metric; None for data without labels."""
    members: tuple[str, ...] = ()
    """Models of a family, named `family/member` in a suite; empty: a single model."""
    any_member: bool = False
    """Whether a suite may name any member: the build checks the name."""
    data: Literal["labelled", "unlabelled", "none"] = "labelled"
    """Data that it provides; a suite adds none to labelled ones."""
    trained: bool = True
    """Whether the model is first trained on those data."""
    version: int = 1
    """Version of the workload: part of the content hash."""


@dataclass(frozen=True)
class Catalogue:
    """Specs of all plug-ins by name.

    Attributes:
        engines: Engines.
        sensors: Sensors.
        variants: Recipes and exporters.
        workloads: Built-in models.
        formats: Model formats.
        frameworks: Frameworks.
        broken: Reasons why a plug-in could not be imported.
    """

    engines: Mapping[str, EngineSpec]
    sensors: Mapping[str, SensorSpec]
    variants: Mapping[str, VariantSpec]
    workloads: Mapping[str, WorkloadSpec]
    formats: Mapping[str, FormatSpec] = field(default_factory=dict)
    frameworks: Mapping[str, FrameworkSpec] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    def named_variants(self) -> dict[str, VariantSpec]:
        """The variants that a suite may name, by name."""
        return {name: spec for name, spec in self.variants.items() if not spec.exporter and spec.implements is None}

    def recipes(self, variant: str) -> list[VariantSpec]:
        """The recipes that make a variant, each from its own formats."""
        return [spec for name, spec in self.variants.items() if variant in (name, spec.implements)]

    def requested_precision(self, case: Case) -> str | None:
        """Precision of the last step of a case that requests one, or else of its engine's options; None if none does, or on a test double."""
        engine = self.engines.get(case.engine)
        if engine and engine.simulated:
            return None
        written = case.engine_options.items()
        set_ = [recipe for recipe, options in engine.by_options.items() if options.items() <= written] if engine else []
        recipes = [*set_, *(step.recipe for step in case.steps)]
        return next((precision for recipe in reversed(recipes) if (precision := self._step_precision(recipe, engine))), None)

    def _step_precision(self, recipe: str, engine: EngineSpec | None) -> str | None:
        spec = self.variants.get(recipe)
        if spec is None:
            return None
        return (spec.applied_precision if engine and recipe in engine.by_options else None) or spec.precision
