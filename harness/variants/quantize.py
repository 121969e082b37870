"""Post-training quantization of Keras, TFLite, ONNX and OpenVINO models; inputs and outputs stay float32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from harness.formats import onnx, tflite
from harness.formats.keras import load_keras
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.ai_edge import quantize_tflite
from harness.variants.base import Array, Job, Recipe, RecipeParameters
from harness.variants.calibration import Input, job_samples, queries
from harness.variants.export import TENSORFLOW, to_tflite
from harness.variants.ir import float16_ir, int8_ir
from harness.variants.onnx import float16_onnx, nothing_to_quantize, prepared, quantize_dynamically, quantized_onnx, quantizing

CONVERSIONS = (("keras", "tflite"), ("onnx", "onnx"))
WITH_TFLITE = (*CONVERSIONS, ("tflite", "tflite"))
PACKAGES = (*TENSORFLOW, "onnx", "onnxruntime", "ai-edge-quantizer")
KEPT_IN_FLOAT = {"Softmax", "ConvTranspose", "LayerNormalization", "InstanceNormalization", "BatchNormalization"}
"""ONNX operators that stay float32: steps of 1/256 are too coarse for probabilities; ONNX Runtime has no int8 CPU kernel for the others."""


class Float16(Recipe):
    """Weights in float16. LiteRT and OpenVINO compute in float32 unless the device is faster in float16; ONNX Runtime on a CPU casts."""

    spec: ClassVar = VariantSpec(
        name="float16",
        summary="float16 weights",
        packages=(*PACKAGES, "openvino"),
        extra="tensorflow",
        conversions=(*CONVERSIONS, ("ir", "ir")),
        applied_precision="float16",
        version=2,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert the weights."""
        if job.source_format == "keras":
            import tensorflow as tf

            return to_tflite(job, optimizations=[tf.lite.Optimize.DEFAULT], target_spec=_target_spec(tf, types=[tf.float16]))
        return float16_ir(job) if job.source_format == "ir" else float16_onnx(job)


class DynamicInt8(Recipe):
    """Weights in int8, activations quantized at run time where the kernel supports it; no calibration."""

    spec: ClassVar = VariantSpec(
        name="dynamic_int8",
        summary="int8 weights, dynamic range",
        packages=PACKAGES,
        extra="tensorflow",
        conversions=WITH_TFLITE,
        precision="int8",
        version=2,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Quantize the weights."""
        if job.source_format == "keras":
            import tensorflow as tf

            made = to_tflite(job, optimizations=[tf.lite.Optimize.DEFAULT])
            if "int8" not in tflite.weight_types(made[0]):
                raise nothing_to_quantize("the model: TensorFlow's converter skips weights of less than 1,024 elements")
            return made
        if job.source_format == "tflite":
            return quantize_tflite(job, job.source, "dynamic", num_bits=8)
        target = job.folder / "model.onnx"
        with quantizing("dynamic_int8"), prepared(job) as source:
            quantize_dynamically(job, source, target)
        return quantized_onnx(target)


class CalibrationOptions(RecipeParameters):
    """What a suite may set for a recipe that calibrates."""

    samples: int = Field(256, ge=1, le=100_000, description="number of training samples for calibrating the activation ranges")


class Int8Parameters(CalibrationOptions):
    """What a suite may set for `int8`."""

    reduce_range: bool = Field(
        True,
        description="ONNX: weights of 7 bits; with 8 the sums of ONNX Runtime saturate on CPUs without VNNI, which makes outputs wrong",
    )


class Int8(Recipe):
    """Weights and activations in int8, with ranges calibrated on training data; inputs and outputs in float32."""

    spec: ClassVar = VariantSpec(
        name="int8",
        summary="full integer, calibrated on training data",
        packages=(*PACKAGES, "openvino", "nncf"),
        extra="tensorflow",
        parameters=Int8Parameters,
        conversions=(*WITH_TFLITE, ("ir", "ir")),
        precision="int8",
        needs=("train",),
        version=3,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Calibrate and convert."""
        samples = job_samples(job)
        if job.source_format == "keras":
            return _static_tflite(job, samples, "TFLITE_BUILTINS_INT8")
        if job.source_format == "tflite":
            return quantize_tflite(job, job.source, "static", samples, activation_num_bits=8, weight_num_bits=8)
        if job.source_format == "ir":
            return int8_ir(job, samples)
        target = job.folder / "model.onnx"
        with quantizing("int8"), prepared(job) as source:
            _quantize_static(source, target, samples, job.parameters.reduce_range)
        return quantized_onnx(target)


class Int16x8(Recipe):
    """Activations in int16, weights in int8: close to float32, for hardware without floats; CPUs have only reference kernels."""

    spec: ClassVar = VariantSpec(
        name="int16x8",
        summary="int16 activations, int8 weights, calibrated on training data",
        packages=(*TENSORFLOW, "ai-edge-quantizer"),
        extra="tensorflow",
        parameters=CalibrationOptions,
        conversions=(("keras", "tflite"), ("tflite", "tflite")),
        precision="int16x8",
        needs=("train",),
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Calibrate and convert."""
        samples = job_samples(job)
        if job.source_format == "keras":
            return _static_tflite(job, samples, "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8")
        return quantize_tflite(job, job.source, "static", samples, activation_num_bits=16, weight_num_bits=8)


def _static_tflite(job: Job, samples: Sequence[Array], operators: str) -> tuple[Path, ArtifactFacts]:
    """Convert a Keras model with a set of operators of `tf.lite.OpsSet`."""
    import tensorflow as tf

    tensors = load_keras(job.source, trusted=job.trusted).inputs
    calibrating = queries([Input(tensor.name, tuple(tensor.shape), np.dtype(tensor.dtype)) for tensor in tensors], samples)
    return to_tflite(
        job,
        optimizations=[tf.lite.Optimize.DEFAULT],
        target_spec=_target_spec(tf, ops=[getattr(tf.lite.OpsSet, operators)]),
        representative_dataset=lambda: iter(calibrating),
    )


def _target_spec(tf: Any, types: Any = (), ops: Any = None) -> Any:
    spec = tf.lite.TargetSpec(supported_ops=ops)
    spec.supported_types = list(types)
    return spec


def _quantize_static(source: Path, target: Path, samples: Sequence[Array], reduce_range: bool) -> None:
    from onnx.helper import tensor_dtype_to_np_dtype
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    inputs = [
        Input(value.name, onnx.dimensions(value), tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
        for value in onnx.declared_inputs(onnx.load_onnx(source, weights=False).graph)
    ]
    calibrating = queries(inputs, samples)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        remaining = iter(calibrating)

        def get_next(self) -> dict[str, Array] | None:
            query = next(self.remaining, None)
            return None if query is None else dict(zip((each.name for each in inputs), query, strict=True))

    quantize_static(
        source,
        target,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry} - KEPT_IN_FLOAT),
        per_channel=True,
        reduce_range=reduce_range,
        # Unsigned: on x86 ONNX Runtime fuses only part of the signed operators, and runs the others as float kernels between conversions.
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
