"""Post-training quantization: a Keras or ONNX model -> one with smaller numbers, inputs and outputs still float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harness.errors import EngineError
from harness.formats import onnx, tflite
from harness.formats.keras import load_keras
from harness.formats.shapes import fit_shape
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.ai_edge import quantize_tflite
from harness.variants.base import Array, Job, Recipe
from harness.variants.export import TENSORFLOW, to_tflite
from harness.variants.ir import float16_ir, int8_ir
from harness.variants.onnx import float16_onnx, nothing, prepared, quantize_dynamically, quantized_onnx, quantizing

CONVERSIONS = (("keras", "tflite"), ("onnx", "onnx"))
WITH_TFLITE = (*CONVERSIONS, ("tflite", "tflite"))
PACKAGES = (*TENSORFLOW, "onnx", "onnxruntime", "ai-edge-quantizer")
KEPT_IN_FLOAT = {"Softmax", "ConvTranspose", "LayerNormalization", "InstanceNormalization", "BatchNormalization"}
"""ONNX operators that stay float32: steps of 1/256 are too coarse for probabilities, and of the others ONNX Runtime has no int8 kernel on a CPU."""


class Float16(Recipe):
    """Weights in float16. LiteRT and OpenVINO compute in float32 unless they can do better; ONNX Runtime on a CPU casts."""

    spec: ClassVar = VariantSpec(
        name="float16",
        summary="float16 weights",
        packages=(*PACKAGES, "openvino"),
        extra="tensorflow",
        conversions=(*CONVERSIONS, ("ir", "ir")),
        version=2,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert."""
        if job.source_format == "keras":
            import tensorflow as tf

            return to_tflite(job, optimizations=[tf.lite.Optimize.DEFAULT], target_spec=_target_spec(tf, types=[tf.float16]))
        if job.source_format == "ir":
            return float16_ir(job)
        return float16_onnx(job)


class DynamicInt8(Recipe):
    """Weights in int8, activations quantized while it runs where the kernel can, no calibration."""

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
        """Convert."""
        if job.source_format == "keras":
            import tensorflow as tf

            made = to_tflite(job, optimizations=[tf.lite.Optimize.DEFAULT])
            if "int8" not in tflite.weight_types(made[0]):
                raise nothing("the model: TensorFlow's converter leaves weights of less than 1,024 numbers as they are")
            return made
        if job.source_format == "tflite":
            return quantize_tflite(job, job.source, "dynamic", num_bits=8)
        target = job.folder / "model.onnx"
        with quantizing("dynamic_int8"), prepared(job) as source:
            quantize_dynamically(job, source, target)
        return quantized_onnx(target)


class CalibrationOptions(BaseModel):
    """What a suite may set for a recipe that calibrates."""

    model_config = ConfigDict(extra="forbid")
    samples: int = Field(256, ge=1, le=100_000, description="training samples whose activations set the ranges")


class Int8Parameters(CalibrationOptions):
    """What a suite may set for `int8`."""

    reduce_range: bool = Field(
        True, description="ONNX: weights of 7 bits; with 8 the sums of ONNX Runtime saturate on CPUs without VNNI, and answers are wrong"
    )


class Int8(Recipe):
    """Weights and activations in int8, their ranges calibrated on training data; float32 at the ends."""

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
        samples = _samples(job)
        if job.source_format == "keras":
            return _static_tflite(job, samples, "TFLITE_BUILTINS_INT8")
        if job.source_format == "tflite":
            return quantize_tflite(
                job, job.source, "static", lambda inputs: rows(_shaped(inputs, samples)), activation_num_bits=8, weight_num_bits=8
            )
        if job.source_format == "ir":
            return int8_ir(job, lambda inputs: rows(_shaped(inputs, samples)))
        target = job.folder / "model.onnx"
        with quantizing("int8"), prepared(job) as source:
            _quantize_static(source, target, samples, job.parameters.reduce_range)
        return quantized_onnx(target)


class Int16x8(Recipe):
    """Activations in int16, weights in int8: nearly as exact as float32, for hardware without floats; CPUs have reference kernels for it."""

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
        samples = _samples(job)
        if job.source_format == "keras":
            return _static_tflite(job, samples, "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8")
        return quantize_tflite(
            job, job.source, "static", lambda inputs: rows(_shaped(inputs, samples)), activation_num_bits=16, weight_num_bits=8
        )


def _samples(job: Job) -> list[Array]:
    """The samples to calibrate with; how many is noted."""
    assert job.data
    samples = calibration(job.data.inputs, job.parameters.samples, job.seed)
    job.notes["calibration_samples"] = len(samples[0])
    return samples


def _static_tflite(job: Job, samples: list[Array], operators: str) -> tuple[Path, ArtifactFacts]:
    """A Keras model through TensorFlow's converter, with a set of operators of `tf.lite.OpsSet`."""
    import tensorflow as tf

    return to_tflite(
        job,
        optimizations=[tf.lite.Optimize.DEFAULT],
        target_spec=_target_spec(tf, ops=[getattr(tf.lite.OpsSet, operators)]),
        representative_dataset=_representative(job, samples),
    )


def calibration(inputs: Sequence[Array], count: int, seed: int) -> list[Array]:
    """A seeded choice of samples, the same rows of each input.

    Args:
        inputs: One array for each model input, first axis the sample.
        count: How many; all where there are fewer.
        seed: Of the choice.
    """
    available = len(inputs[0])
    chosen = np.random.default_rng(seed).permutation(available)[:count]
    return [array[chosen] for array in inputs]


def rows(samples: list[Array]) -> Iterator[list[Array]]:
    """The samples one by one, each input with a batch axis of 1."""
    for index in range(len(samples[0])):
        yield [array[index : index + 1] for array in samples]


def _target_spec(tf: Any, types: Any = (), ops: Any = None) -> Any:
    spec = tf.lite.TargetSpec(supported_ops=ops)
    spec.supported_types = list(types)
    return spec


def _representative(job: Job, samples: list[Array]) -> Callable[[], Iterator[list[Array]]]:
    """The samples as TensorFlow's converter asks for them: one by one, in the order of the model's inputs."""
    tensors = [(tensor.name, tuple(tensor.shape), np.dtype(tensor.dtype)) for tensor in load_keras(job.source, trusted=job.trusted).inputs]
    shaped = _shaped(tensors, samples)
    return lambda: rows(shaped)


def _quantize_static(source: Path, target: Path, samples: list[Array], reduce_range: bool) -> None:
    from onnx.helper import tensor_dtype_to_np_dtype
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    model = onnx.load_onnx(source, weights=False)
    constants = {tensor.name for tensor in model.graph.initializer}  # old exporters list them among the inputs
    tensors = [
        (
            value.name,
            tuple(d.dim_value or None for d in value.type.tensor_type.shape.dim),
            tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type),
        )
        for value in model.graph.input
        if value.name not in constants
    ]
    shaped = _shaped(tensors, samples)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        queries = rows(shaped)

        def get_next(self) -> dict[str, Array] | None:
            query = next(self.queries, None)
            return None if query is None else dict(zip((name for name, _, _ in tensors), query, strict=True))

    quantize_static(
        source,
        target,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry} - KEPT_IN_FLOAT),
        per_channel=True,
        reduce_range=reduce_range,
        # Unsigned: of signed ones ONNX Runtime fuses only a part on x86, and the rest converts back and forth around float kernels.
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _shaped(tensors: Sequence[tuple[str, tuple[int | None, ...], np.dtype[Any]]], samples: list[Array]) -> list[Array]:
    """The samples in the shapes and types of a model's inputs; an axis of 1 may be missing or superfluous."""
    if len(tensors) != len(samples):
        names = ", ".join(name for name, _, _ in tensors)
        raise EngineError(
            f"the model has {len(tensors)} inputs ({names}), the training data {len(samples)} arrays", "list one array for each input"
        )
    shaped = []
    for (name, shape, dtype), array in zip(tensors, samples, strict=True):
        fitted = fit_shape(array.shape[1:], shape[1:])
        if fitted is None:
            raise EngineError(
                f"input {name!r} wants samples of shape {shape[1:]}, the training data has {array.shape[1:]}",
                "reshape the array in the .npz",
            )
        shaped.append(array.reshape(len(array), *fitted).astype(dtype))
    return shaped
