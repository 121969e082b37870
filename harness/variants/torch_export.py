"""PyTorch modules and programs -> ONNX, OpenVINO IR and TFLite files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from harness.errors import EngineError
from harness.formats import ir, onnx, tflite, torch_module
from harness.formats.libraries import import_library, library_errors
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import Job, Recipe

HINT = "run `make torch`, or pip install 'harness[torch]'"
FAILED = "export it to ONNX yourself, or measure it on the torch engine"


class TorchToOnnx(Recipe):
    """By torch.onnx.export with torch.export."""

    spec: ClassVar = VariantSpec(
        name="torch_onnx",
        summary="PyTorch -> ONNX",
        packages=("torch", "onnxscript", "onnx"),
        venv="torch",
        conversions=(("torch", "onnx"), ("pt2", "onnx")),
        exporter=True,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Export with a dynamic batch."""
        torch = torch_module.import_torch()
        path = job.folder / "model.onnx"
        with library_errors("the model cannot be exported to ONNX", FAILED):
            program = torch.onnx.export(exported(job), dynamo=True, verbose=False)
            program.save(str(path), external_data=False)
        return path, onnx.facts(onnx.load_onnx(path))


class TorchToIr(Recipe):
    """By OpenVINO's converter."""

    spec: ClassVar = VariantSpec(
        name="torch_ir",
        summary="PyTorch -> OpenVINO IR",
        packages=("torch", "openvino"),
        venv="torch",
        conversions=(("torch", "ir"), ("pt2", "ir")),
        exporter=True,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert the exported program."""
        openvino = ir.import_openvino()
        with library_errors("the model cannot be converted for OpenVINO", FAILED):
            model = openvino.convert_model(exported(job))
            declared = torch_module.load(job.source, job.source_format, trusted=job.trusted).inputs
            # The converter makes every dimension dynamic.
            model.reshape({i: openvino.PartialShape([size or -1 for size in each.shape]) for i, each in enumerate(declared)})
        return ir.write_ir(model, job.folder), ir.facts(model)


class TorchToTflite(Recipe):
    """By litert-torch; the file takes a batch of 1 alone, because a dynamic batch cannot be lowered (litert-torch 0.10)."""

    spec: ClassVar = VariantSpec(
        name="torch_tflite",
        summary="PyTorch -> TFLite, batch 1",
        packages=("torch", "litert-torch"),
        venv="torch",
        conversions=(("torch", "tflite"),),
        exporter=True,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert with a batch of 1."""
        litert_torch = import_library("litert_torch", "litert-torch", HINT)
        loaded = torch_module.load(job.source, job.source_format, trusted=job.trusted)
        path = job.folder / "model.tflite"
        with library_errors("the model cannot be converted to TFLite", FAILED):
            litert_torch.convert(loaded.module, tuple(_known(loaded))).export(str(path))
        return path, tflite.facts(path)


def exported(job: Job) -> Any:
    """The program of a job's source, with a dynamic batch if it is a module."""
    torch = torch_module.import_torch()
    loaded = torch_module.load(job.source, job.source_format, trusted=job.trusted)
    if job.source_format == "pt2":
        return torch.export.load(job.source)
    samples = [torch.cat([sample, sample]) for sample in _known(loaded)]
    dynamic = tuple({0: torch.export.Dim.DYNAMIC} for _ in samples)
    return torch.export.export(loaded.module, tuple(samples), dynamic_shapes=dynamic, strict=False)


def _known(loaded: torch_module.Loaded) -> list[Any]:
    samples = torch_module.zeros(loaded.inputs)
    if not samples:
        raise EngineError("the model has dynamic dimensions besides the batch", "export it with fixed sizes", refused=True)
    return samples
