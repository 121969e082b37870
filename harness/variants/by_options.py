"""Variants that change no artifact: an engine applies them by the options that it declares in `EngineSpec.by_options`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import Job, Recipe, not_applicable


class ByOptions(Recipe):
    """A variant without builds."""

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Refuse: there is nothing to build."""
        raise not_applicable(f"{self.spec.name} changes no artifact: an engine applies it by its options")


class Tf32(ByOptions):
    """Products of float32 numbers in TensorFloat-32: the range of float32 with 10 bits of mantissa, on tensor cores."""

    spec: ClassVar = VariantSpec(
        name="tf32", summary="float32 products in TensorFloat-32", conversions=(), precision="tf32", devices=("gpu",)
    )


class Bfloat16(ByOptions):
    """Weights and activations cast to bfloat16 when the model is loaded; emulated or slow on CPUs without its instructions."""

    spec: ClassVar = VariantSpec(name="bfloat16", summary="weights and activations in bfloat16", conversions=(), precision="bfloat16")


class Compile(ByOptions):
    """The engine's compiler instead of operator by operator; the arithmetic keeps its precision."""

    spec: ClassVar = VariantSpec(name="compile", summary="compiled by the engine, not operator by operator", conversions=())
