"""Families of PyTorch models: torchvision/NAME and timm/NAME."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harness.errors import EngineError
from harness.formats.libraries import import_library, library_errors
from harness.schema import WorkloadSpec
from harness.workloads.base import Array, Workload, WorkloadOptions

HINT = "run `make torch`, or pip install 'harness[torch]'"
AT_HAND = "weights are downloaded on first use: fetch them once with a network, or use `weights: random`"


class Options(WorkloadOptions):
    """Options of both families."""

    weights: Literal["random", "pretrained"] = Field("random", description="random: by the suite's seed; pretrained: the library's own")
    image_size: int = Field(224, ge=8, le=2048, description="height and width of the input, in pixels")


class _Family(Workload):
    """Image models with inputs of shape (n, 3, size, size) and no data."""

    def samples(self) -> list[Array]:
        """Two images of noise."""
        size = self.options.image_size
        return [np.random.default_rng(0).random((2, 3, size, size), dtype=np.float32)]


def _spec(name: str, summary: str) -> WorkloadSpec:
    return WorkloadSpec(
        name=name,
        summary=summary,
        packages=(name, "torch"),
        venv="torch",
        framework="torch",
        metric=None,
        any_member=True,
        data="none",
        trained=False,
        parameters=Options,
    )


class Torchvision(_Family):
    """Models of torchvision."""

    spec: ClassVar = _spec("torchvision", "torchvision/NAME, image models of torchvision")

    def model(self) -> Any:
        """The model of that name."""
        models = import_library("torchvision", "torchvision", HINT).models
        if self.member not in models.list_models():
            raise EngineError(f"torchvision has no model {self.member!r}", "see torchvision.models.list_models()", refused=True)
        with library_errors(f"torchvision/{self.member} cannot be made", AT_HAND):
            return models.get_model(self.member, weights=None if self.options.weights == "random" else "DEFAULT")


class Timm(_Family):
    """Models of timm."""

    spec: ClassVar = _spec("timm", "timm/NAME, image models of PyTorch Image Models")

    def model(self) -> Any:
        """The model of that name."""
        timm = import_library("timm", "timm", HINT)
        if not timm.is_model(self.member):
            raise EngineError(f"timm has no model {self.member!r}", "see timm.list_models()", refused=True)
        with library_errors(f"timm/{self.member} cannot be made", AT_HAND):
            return timm.create_model(self.member, pretrained=self.options.weights == "pretrained")
