"""Weight-only quantization of Keras, TFLite, ONNX and OpenVINO models, which still compute in float32."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from harness.formats import ir, onnx
from harness.formats.libraries import library_errors
from harness.formats.onnx_rewrite import with_initializers
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.ai_edge import quantize_tflite
from harness.variants.base import LEAVE_OUT, Job, Recipe, not_applicable
from harness.variants.export import TENSORFLOW, to_tflite

CONVERSIONS = (("keras", "tflite"), ("tflite", "tflite"), ("onnx", "onnx"), ("ir", "ir"))
PACKAGES = (*TENSORFLOW, "ai-edge-quantizer", "nncf", "onnx", "onnxruntime", "openvino")
CONVOLUTIONS = ("Conv", "ConvTranspose")
OPSETS = {8: 13, 4: 21}
"""First opset whose DequantizeLinear supports a scale per channel, by number of bits."""


def _spec(bits: int) -> VariantSpec:
    return VariantSpec(
        name=f"weight_int{bits}",
        summary=f"int{bits} weights alone, computed in float32",
        packages=PACKAGES,
        extra="tensorflow",
        conversions=CONVERSIONS,
        version=2,
    )


class WeightInt8(Recipe):
    """Weights in int8 with a scale per channel; in ONNX only those of matrix products, not of convolutions."""

    spec: ClassVar = _spec(8)

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Quantize the weights."""
        return _quantize(job, bits=8)


class WeightInt4(Recipe):
    """Weights in int4 with a scale per channel; convolutions stay as they are in ONNX, and have int8 in OpenVINO."""

    spec: ClassVar = _spec(4)

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Quantize the weights."""
        return _quantize(job, bits=4)


def _quantize(job: Job, bits: int) -> tuple[Path, ArtifactFacts]:
    if job.source_format == "onnx":
        return _quantize_onnx(job, bits)
    if job.source_format == "tflite":
        return quantize_tflite(job, job.source, "weight_only", num_bits=bits)
    if job.source_format == "ir":
        return _compress_ir(job, bits)
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        source, dense = to_tflite(replace(job, folder=Path(folder)))
        target, counted = quantize_tflite(job, source, "weight_only", num_bits=bits)
    return target, counted.model_copy(update={"parameters": dense.parameters, "macs": dense.macs})


def _quantize_onnx(job: Job, bits: int) -> tuple[Path, ArtifactFacts]:
    """Quantize with NNCF, without convolutions: ONNX Runtime fails on the shape of the scales that NNCF gives them."""
    model = with_initializers(onnx.load_onnx(job.source))
    onnx.check_float32(model)
    left = Counter(node.op_type for node in model.graph.node if node.op_type in CONVOLUTIONS)
    made = _compressed(_with_opset(model, OPSETS[bits]), bits, "this ONNX model", CONVOLUTIONS)
    if not onnx.is_quantized(made):
        kinds = ", ".join(f"{number} {kind}" for kind, number in left.items())
        raise not_applicable(
            f"the ONNX model has no matrix product whose weights can be int{bits}"
            + (f"; of its {kinds} no library writes such weights that ONNX Runtime runs" if left else "")
        )
    if left:
        job.notes["float32"] = dict(left)
    target = job.folder / "model.onnx"
    onnx.import_onnx().save(made, str(target))
    onnx.check_loads(target)
    return target, onnx.facts(made)


def _compress_ir(job: Job, bits: int) -> tuple[Path, ArtifactFacts]:
    """Quantize matrix products, embeddings and convolutions with NNCF; OpenVINO converts back what it has no kernel for."""
    made = _compressed(ir.read_ir(job.source), bits, "this OpenVINO model")
    if not {f"i{bits}", "i8"} & {op.get_element_type().get_type_name() for op in made.get_ops() if op.get_type_name() == "Constant"}:
        raise not_applicable(f"the OpenVINO model has no weights that can be int{bits}")
    return ir.write_ir(made, job.folder), ir.facts(made)


def _compressed(model: Any, bits: int, title: str, ignored: tuple[str, ...] = ()) -> Any:
    """The model with weights that NNCF compressed, all with a zero point of 0."""
    nncf = ir.import_nncf()
    mode = nncf.CompressWeightsMode
    settings: dict[str, Any] = {"mode": mode.INT8_SYM}
    if bits == 4:
        settings = {"mode": mode.INT4_SYM, "group_size": -1, "ratio": 1.0, "all_layers": True, "backup_mode": nncf.BackupMode.INT8_SYM}
    with library_errors(f"int{bits} weights are not supported for {title}", LEAVE_OUT, refused=True):
        return nncf.compress_weights(model, ignored_scope=nncf.IgnoredScope(types=list(ignored), validate=False), **settings)


def _with_opset(model: Any, opset: int) -> Any:
    """The model in at least this opset."""
    current = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=opset)
    return model if current >= opset else onnx.import_onnx().version_converter.convert_version(model, opset)
