"""Quantization of PyTorch models: torchao's tensors in the linear layers of a module, and static int8 of exported programs on x86."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.errors import EngineError
from harness.formats import torch_module
from harness.formats.libraries import first_line, import_library, library_errors
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import LEAVE_OUT, Array, Job, Recipe, not_applicable
from harness.variants.calibration import Input, job_samples, queries
from harness.variants.quantize import Int8Parameters

PACKAGES = ("torch", "torchao")
QUANTIZER = "torchao.quantization.pt2e.quantizer.x86_inductor_quantizer"


class Int8WeightOnly(Recipe):
    """Weights of linear layers in int8 with a scale per channel; they are multiplied as floats."""

    spec: ClassVar = VariantSpec(
        name="int8_weight_only",
        summary="PyTorch: int8 weights of linear layers, computed in floats",
        packages=PACKAGES,
        venv="torch",
        conversions=(("torch", "torch"),),
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Quantize the weights with torchao."""
        return _with_torchao(job, "Int8WeightOnlyConfig")


class Int8Dynamic(Recipe):
    """Linear layers in int8: weights with a scale per channel, activations quantized at run time; no calibration."""

    spec: ClassVar = VariantSpec(
        name="int8_dynamic",
        summary="PyTorch: linear layers in int8, activations quantized at run time",
        packages=PACKAGES,
        venv="torch",
        conversions=(("torch", "torch"),),
        precision="int8",
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Quantize the weights with torchao."""
        return _with_torchao(job, "Int8DynamicActivationInt8WeightConfig")


class TorchInt8(Recipe):
    """`int8` of PyTorch models: convolutions and linear layers by PT2E with the x86 quantizer, ranges calibrated on training data."""

    spec: ClassVar = VariantSpec(
        name="torch_int8",
        implements="int8",
        summary="PyTorch: full integer on x86 CPUs, calibrated on training data; needs `compile`",
        packages=PACKAGES,
        venv="torch",
        parameters=Int8Parameters,
        conversions=(("torch", "pt2"), ("pt2", "pt2")),
        precision="int8",
        needs=("train",),
        devices=("cpu",),
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Calibrate, convert, and export again."""
        torch = torch_module.import_torch()
        loaded = torch_module.load(job.source, job.source_format, trusted=job.trusted)
        inputs = [Input(each.name, each.shape, np.dtype(each.dtype)) for each in loaded.inputs]
        calibrating = queries(inputs, job_samples(job))
        with library_errors("the model cannot be quantized by PT2E", LEAVE_OUT, refused=True):
            converted = _converted(torch, job, loaded, calibrating)
            integers = [value for value in torch_module.weights(converted) if value.dtype == torch.int8]
            if not integers:
                raise not_applicable("the model has no convolution or linear layer that the x86 quantizer knows")
            path = job.folder / "model.pt2"
            torch.export.save(_exported(torch, converted, loaded, strict=False), path)
        job.notes["quantized_weights"] = len(integers)
        nonzero = sum(int(torch.count_nonzero(value)) for value in torch_module.weights(converted))
        return path, ArtifactFacts(nonzero_parameters=nonzero)


def _with_torchao(job: Job, config: str) -> tuple[Path, ArtifactFacts]:
    """The module with the weights of its linear layers quantized as a configuration of torchao describes."""
    torch = torch_module.import_torch()
    torchao = import_library("torchao.quantization", "torchao", torch_module.INSTALL)
    loaded = torch_module.load(job.source, "torch")
    linear = [module for module in loaded.module.modules() if isinstance(module, torch.nn.Linear)]
    with library_errors(f"{config} of torchao cannot be applied to this model", LEAVE_OUT, refused=True):
        torchao.quantize_(loaded.module, getattr(torchao, config)())
    quantized = [module for module in linear if hasattr(module.weight, "qdata")]
    if not quantized:
        raise not_applicable("the model has no nn.Linear whose weights could be int8")
    job.notes["quantized_layers"] = f"{len(quantized)} of {len(linear)} linear layers; every other layer stays as it is"
    made = torch_module.write(loaded.module, loaded.inputs, loaded.outputs, job.folder, ())
    return made.path, made.facts


def _converted(torch: Any, job: Job, loaded: torch_module.Loaded, calibrating: Sequence[Sequence[Array]]) -> Any:
    """The quantized graph; if the quantizer fails on its fusions, with the layers quantized one by one."""
    pt2e = import_library("torchao.quantization.pt2e.quantize_pt2e", "torchao", torch_module.INSTALL)
    library = import_library(QUANTIZER, "torchao", torch_module.INSTALL)
    for layers in ((), (torch.nn.Conv2d, torch.nn.Linear)):
        graph, quantizer = _graph(torch, job, loaded), library.X86InductorQuantizer()
        config = library.get_default_x86_inductor_quantization_config()
        for layer in layers:
            quantizer.set_module_type_qconfig(layer, config)
        if not layers:
            quantizer.set_global(config)
        try:
            prepared = pt2e.prepare_pt2e(graph, quantizer)
        except Exception as error:  # "Input partition has more than one output node" on some residual networks
            if layers:
                raise
            job.notes["quantizer"] = f"layer by layer, because of: {first_line(error)}"
            continue
        with torch.no_grad():
            for query in calibrating:
                prepared(*(torch.from_numpy(np.ascontiguousarray(array)) for array in query))
        return _without_unused(pt2e.convert_pt2e(prepared))
    raise AssertionError("the second quantizer returns or raises")


def _without_unused(graph: Any) -> Any:
    """The graph without the float weights that it no longer reads."""
    used = {node.target for node in graph.graph.nodes if node.op == "get_attr"}
    for name, _ in [*graph.named_parameters(), *graph.named_buffers()]:
        if name not in used:
            owner, _, attribute = name.rpartition(".")
            delattr(graph.get_submodule(owner), attribute)
    return graph


def _graph(torch: Any, job: Job, loaded: torch_module.Loaded) -> Any:
    """The model as a graph whose nodes name the layers that they come from, by which the quantizer finds them."""
    if job.source_format == "pt2":
        graph = torch_module.load(job.source, "pt2", trusted=job.trusted).module
    else:
        try:
            graph = _exported(torch, loaded.module, loaded, strict=True).module()
        except Exception as error:  # Python that a strict export cannot trace
            job.notes["export"] = f"not strict, because of: {first_line(error)}"
            graph = _exported(torch, loaded.module, loaded, strict=False).module()
    sources = {
        "aten.conv2d.default": torch.nn.Conv2d, "aten.linear.default": torch.nn.Linear, "aten.relu.default": torch.nn.ReLU,
        "aten.relu_.default": torch.nn.ReLU, "aten.add.Tensor": operator.add, "aten.add_.Tensor": operator.iadd,
    }  # fmt: skip
    for node in graph.graph.nodes:
        if not node.meta.get("source_fn_stack") and (source := sources.get(str(node.target))):
            node.meta["source_fn_stack"] = [(node.name, source)]
    return graph


def _exported(torch: Any, module: Any, loaded: torch_module.Loaded, *, strict: bool) -> Any:
    """The program of a module, with a dynamic batch where the model has one."""
    samples = torch_module.zeros(loaded.inputs)
    if not samples:
        raise EngineError("the model has dynamic dimensions besides the batch", "export it with fixed sizes", refused=True)
    dynamic = [bool(each.shape) and each.shape[0] is None for each in loaded.inputs]
    given = [torch.cat([sample, sample]) if free else sample for sample, free in zip(samples, dynamic, strict=True)]
    shapes = tuple({0: torch.export.Dim.DYNAMIC} if free else None for free in dynamic)
    return torch.export.export(module, tuple(given), dynamic_shapes=shapes, strict=strict)
