"""Weight-only quantization: a Keras, TFLite, ONNX or OpenVINO model -> one whose weights alone are small; it computes in float32."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import EngineError
from harness.formats import ir, onnx
from harness.formats.libraries import first_line
from harness.formats.onnx_rewrite import with_initializers
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.ai_edge import quantize_tflite
from harness.variants.base import Job, Recipe
from harness.variants.export import TENSORFLOW, to_tflite

CONVERSIONS = (("keras", "tflite"), ("tflite", "tflite"), ("onnx", "onnx"), ("ir", "ir"))
PACKAGES = (*TENSORFLOW, "ai-edge-quantizer", "nncf", "onnx", "onnxruntime", "openvino")
CONVOLUTIONS = ("Conv", "ConvTranspose")
OPSETS = {8: 13, 4: 21}
"""The first opset whose DequantizeLinear takes numbers of so many bits with a scale for each channel."""


class WeightInt8(Recipe):
    """Weights in int8 with a scale for each channel; in ONNX those of matrix products, convolutions stay as they are."""

    spec: ClassVar = VariantSpec(
        name="weight_int8",
        summary="int8 weights alone, computed in float32",
        packages=PACKAGES,
        extra="tensorflow",
        conversions=CONVERSIONS,
        version=2,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert."""
        return _quantize(job, bits=8)


class WeightInt4(Recipe):
    """Weights in int4 with a scale for each channel; in ONNX those of matrix products, convolutions stay as they are, in OpenVINO they have int8."""

    spec: ClassVar = VariantSpec(
        name="weight_int4",
        summary="int4 weights alone, computed in float32",
        packages=PACKAGES,
        extra="tensorflow",
        conversions=CONVERSIONS,
        version=2,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert."""
        return _quantize(job, bits=4)


def _quantize(job: Job, bits: int) -> tuple[Path, ArtifactFacts]:
    if job.source_format == "onnx":
        return _quantize_onnx(job, bits)
    if job.source_format == "tflite":
        return quantize_tflite(job, job.source, "weight_only", num_bits=bits)
    if job.source_format == "ir":
        return _compress_ir(job, bits)
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        source, counted = to_tflite(replace(job, folder=Path(folder)))
        target, found = quantize_tflite(job, source, "weight_only", num_bits=bits)
    return target, found.model_copy(update={"parameters": counted.parameters, "macs": counted.macs})


def _quantize_onnx(job: Job, bits: int) -> tuple[Path, ArtifactFacts]:
    """By NNCF. Convolutions are left out: the scales that it gives them have a shape at which ONNX Runtime fails when it runs."""
    model = with_initializers(onnx.load_onnx(job.source))
    onnx.check_float32(model)
    left = Counter(node.op_type for node in model.graph.node if node.op_type in CONVOLUTIONS)
    made = _compressed(_with_opset(model, OPSETS[bits]), bits, "this ONNX model", CONVOLUTIONS)
    if not onnx.is_quantized(made):
        raise EngineError(
            f"the ONNX model has no matrix product whose weights can be int{bits}"
            + (f"; of its {_kinds(left)} no library writes such weights that ONNX Runtime runs" if left else ""),
            "leave this variant out for this model",
            refused=True,
        )
    if left:
        job.notes["float32"] = dict(left)
    target = job.folder / "model.onnx"
    onnx.import_onnx().save(made, str(target))
    onnx.check_loads(target)
    return target, onnx.facts(made)


def _compress_ir(job: Job, bits: int) -> tuple[Path, ArtifactFacts]:
    """By NNCF: matrix products, embeddings and convolutions; OpenVINO converts back what it has no kernel for when it loads the model."""
    made = _compressed(ir.read_ir(job.source), bits, "this OpenVINO model")
    if not {f"i{bits}", "i8"} & {op.get_element_type().get_type_name() for op in made.get_ops() if op.get_type_name() == "Constant"}:
        raise EngineError(f"the OpenVINO model has no weights that can be int{bits}", "leave this variant out for this model", refused=True)
    return ir.write_ir(made, job.folder), ir.facts(made)


def _compressed(model: Any, bits: int, what: str, ignored: tuple[str, ...] = ()) -> Any:
    """What NNCF makes of a model; zero is 0 in all of its weights."""
    nncf = ir.import_nncf()
    mode = nncf.CompressWeightsMode
    settings: dict[str, Any] = {"mode": mode.INT8_SYM}
    if bits == 4:
        settings = {"mode": mode.INT4_SYM, "group_size": -1, "ratio": 1.0, "all_layers": True, "backup_mode": nncf.BackupMode.INT8_SYM}
    try:
        return nncf.compress_weights(model, ignored_scope=nncf.IgnoredScope(types=list(ignored), validate=False), **settings)
    except Exception as error:  # it raises whatever an operator that it does not know makes it raise
        raise EngineError(
            f"int{bits} weights cannot be had in {what}: {first_line(error)}", "leave this variant out for this model", refused=True
        ) from error


def _kinds(counted: Counter[str]) -> str:
    """`52 Conv, 1 ConvTranspose`."""
    return ", ".join(f"{n} {kind}" for kind, n in counted.items())


def _with_opset(model: Any, opset: int) -> Any:
    """The model in at least this version of the operators."""
    has = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=opset)
    return model if has >= opset else onnx.import_onnx().version_converter.convert_version(model, opset)
