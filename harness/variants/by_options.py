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


class Fp8(ByOptions):
    """Linear layers in float8 (e4m3), activations quantized at run time; the rest in bfloat16."""

    spec: ClassVar = VariantSpec(
        name="fp8", summary="linear layers in float8, the rest in bfloat16", conversions=(), precision="float8", devices=("gpu",)
    )


class Int4WeightOnly(ByOptions):
    """Weights of linear layers in int4 with a scale per 128, multiplied in bfloat16."""

    spec: ClassVar = VariantSpec(
        name="int4_weight_only", summary="int4 weights of linear layers, computed in bfloat16", conversions=(), devices=("gpu",)
    )


class Sparse24(ByOptions):
    """Two of each four weights of linear layers set to 0 by magnitude, without fine-tuning, for sparse tensor cores in bfloat16."""

    spec: ClassVar = VariantSpec(
        name="sparse_2_4", summary="2:4 sparsity of linear layers, computed in bfloat16", conversions=(), devices=("gpu",)
    )


class Compile(ByOptions):
    """The engine's compiler instead of operator by operator; the arithmetic keeps its precision."""

    spec: ClassVar = VariantSpec(name="compile", summary="compiled by the engine, not operator by operator", conversions=(), load_s=10.0)


class TensorRt(ByOptions):
    """TensorRT's compiled engine instead of the CUDA kernels of the runtime; `plan` shows the build that compiles it."""

    spec: ClassVar = VariantSpec(name="tensorrt", summary="compiled by TensorRT for the card", conversions=(), devices=("gpu",))
