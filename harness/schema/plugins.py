"""What plug-ins say of themselves, and the catalogue of all that were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel

from harness.schema.base import FrozenModel
from harness.schema.suite import Case


class PluginSpec(FrozenModel):
    """What is known of a plug-in without importing its library."""

    name: str
    summary: str = ""
    packages: tuple[str, ...] = ()
    """Distributions whose versions enter the record and the content hash of what they build."""
    extra: str | None = None
    """The extra of this package that installs them: `pip install 'harness[extra]'`."""
    parameters: type[BaseModel] | None = None
    """The options a suite may give, with their types; null where there are none."""


class EngineSpec(PluginSpec):
    """An engine: which artifact formats it opens, on which devices."""

    formats: tuple[str, ...]
    devices: tuple[str, ...] = ("cpu",)
    on_request: tuple[str, ...] = ()
    """Those of its devices that a suite must name, because what is installed cannot use them: `auto` leaves them out."""
    simulated: bool = False
    """True for a test double: everything measured on it is `simulated`."""
    load_s: float = 1.0
    """About how long its process takes to import and load, for the expected duration of a run."""


class SensorSpec(PluginSpec):
    """A sensor; its domains are known only once it is opened."""

    devices: tuple[str, ...] = ("cpu",)
    """What it can find besides the CPU: what `auto` stands for in a suite."""
    rank: int = 0
    """Where two sensors offer one domain the lower rank is read: a measurement before a model."""


class VariantSpec(PluginSpec):
    """A recipe, or an exporter: which format it takes and which it gives."""

    conversions: tuple[tuple[str, str], ...]
    """(format in, format out) pairs."""
    exporter: bool = False
    """True where it only changes the format, so that the planner may insert it by itself."""
    precision: str | None = None
    """What most of the arithmetic must run in for the variant to have happened: `int8`; null where it does not promise any."""
    needs: tuple[Literal["train", "labels"], ...] = ()
    """What it takes from `data.train`: samples (`train`), and their labels."""
    version: int = 1
    """Raised when the same recipe starts to give another artifact: part of the content hash."""
    venv: str | None = None
    """The virtual environment of its own that it is built in, because its libraries conflict with the rest; null: the harness's own."""


class WorkloadSpec(PluginSpec):
    """A built-in model with its data and its quality metric, or a family of such models."""

    metric: str | None = "accuracy"
    """Null where the data have no labels."""
    members: tuple[str, ...] = ()
    """The models of a family, named `family/member` in a suite; empty: the plug-in is one model."""
    data: Literal["labelled", "unlabelled", "none"] = "labelled"
    """What it brings; where it is labelled the suite brings none."""
    trained: bool = True
    """Whether the model is trained on those data before anything else."""
    version: int = 1


@dataclass(frozen=True)
class Catalogue:
    """Every plug-in found, by name; `broken` holds those that could not be imported, with the reason."""

    engines: Mapping[str, EngineSpec]
    sensors: Mapping[str, SensorSpec]
    variants: Mapping[str, VariantSpec]
    workloads: Mapping[str, WorkloadSpec]
    broken: Mapping[str, str] = field(default_factory=dict)

    def requested_precision(self, case: Case) -> str | None:
        """What a case's arithmetic must run in, as the last of its steps that promises a precision says; null where none does.

        A test double keeps no promise and breaks none.
        """
        engine = self.engines.get(case.engine)
        specs = [] if engine and engine.simulated else [self.variants.get(step.recipe) for step in case.steps]
        return next((spec.precision for spec in reversed(specs) if spec and spec.precision), None)
