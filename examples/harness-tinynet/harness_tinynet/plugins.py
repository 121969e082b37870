"""What harness needs to know of the framework: a format, a framework, an engine, an exporter, a recipe and a model with its data."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.engines.base import Engine, Session, Tensor, kernels_of
from harness.errors import EngineError
from harness.formats.base import Format, Imported, ImportRequest, Input
from harness.frameworks.base import Framework
from harness.schema import ArtifactFacts, EngineSpec, FormatSpec, FrameworkSpec, Training, VariantSpec, WorkloadSpec
from harness.variants.base import Job, Recipe
from harness.workloads.base import Split, Workload
from harness_tinynet.network import Network

PACKAGES = ("harness-tinynet", "numpy")


def facts_of(network: Network) -> ArtifactFacts:
    """Parameters, those that are not 0, and multiply-accumulates of one inference."""
    arrays = [*network.weights, *network.biases]
    return ArtifactFacts(
        parameters=sum(array.size for array in arrays),
        nonzero_parameters=sum(int(np.count_nonzero(array)) for array in arrays),
        macs=sum(weight.size for weight in network.weights),
    )


class TinynetFormat(Format):
    """A `.tinynet` file: an archive of plain arrays."""

    spec = FormatSpec(name="tinynet", summary="multilayer perceptrons of tinynet", suffixes=(".tinynet",), packages=PACKAGES)

    def import_model(self, request: ImportRequest) -> Imported:
        """Copy the user's file after it was read."""
        try:
            network = Network.load(request.source)
        except Exception as error:  # NumPy raises many kinds over a damaged archive
            raise EngineError(f"{request.source.name} cannot be read as a tinynet model: {error}", "save it again") from error
        path = request.folder / "model.tinynet"
        shutil.copyfile(request.source, path)
        return Imported(path, facts_of(network))

    def inputs(self, path: Path, *, trusted: bool = False) -> list[Input]:
        """One input: the features of a sample."""
        return [Input("features", (None, len(Network.load(path).weights[0])))]

    def stored_types(self, path: Path) -> set[str]:
        """Types of the weights."""
        return {str(weight.dtype) for weight in Network.load(path).weights}


class TinynetFramework(Framework):
    """Networks as Python objects: what a function of the user's or a workload returns."""

    spec = FrameworkSpec(name="tinynet", summary="multilayer perceptrons in NumPy", format="tinynet", packages=PACKAGES)

    def owns(self, model: Any) -> bool:
        """Whether it is a network."""
        return isinstance(model, Network)

    def save(self, model: Network, folder: Path, samples: Sequence[np.ndarray]) -> Imported:
        """Write the network."""
        path = folder / "model.tinynet"
        model.save(path)
        return Imported(path, facts_of(model))

    def fit(self, model: Network, training: Training, data: Any, seed: int) -> dict[str, Any]:
        """Train by stochastic gradient descent."""
        settings = {"epochs": training.epochs, "batch_size": training.batch_size, "learning_rate": 0.1}
        model.fit(data.inputs[0], data.labels, seed=seed, **settings)
        return {"epochs": training.epochs}


class TinynetEngine(Engine):
    """NumPy."""

    spec = EngineSpec(name="tinynet", summary="NumPy, one thread", formats=("tinynet",), packages=PACKAGES)

    def open(self, load: Any) -> Session:
        """Read the network."""
        return TinynetSession(Network.load(load.path))


class TinynetSession(Session):
    """A network in memory."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.inputs = [Tensor("features", (None, len(network.weights[0])), np.dtype(np.float32))]
        self.outputs = [Tensor("logits", (None, network.biases[-1].size), np.dtype(np.float32))]

    def run(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Answer one query."""
        return [self.network.forward(inputs[0])[-1]]

    def precision(self) -> str:
        """Type of the weights: NumPy multiplies in it, or in float32 where the inputs are wider."""
        return str(np.result_type(np.float32, self.network.weights[0]))

    def profile(self, queries: Sequence[Sequence[np.ndarray]], seconds: float) -> Any:
        """One kernel a layer, by its multiply-accumulates."""
        return kernels_of((("MatMul", "numpy_matmul", self.precision(), float(w.size)) for w in self.network.weights), "macs")


class ToOnnx(Recipe):
    """A route to every engine that opens ONNX: harness finds it by the conversion that it declares."""

    spec = VariantSpec(
        name="tinynet_to_onnx", summary="tinynet -> ONNX", conversions=(("tinynet", "onnx"),), exporter=True, packages=("onnx", *PACKAGES)
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Write the layers as Gemm and Relu."""
        from onnx import TensorProto, helper, numpy_helper, save

        network, nodes, constants, value = Network.load(job.source), [], [], "features"
        for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            last = index == len(network.weights) - 1
            named = {f"weight_{index}": weight, f"bias_{index}": bias}
            constants += [numpy_helper.from_array(array.astype(np.float32), name) for name, array in named.items()]
            nodes.append(helper.make_node("Gemm", [value, *named], ["logits" if last else f"sum_{index}"]))
            if not last:
                nodes.append(helper.make_node("Relu", [f"sum_{index}"], [value := f"relu_{index}"]))
        sides = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])]
            for name, size in (("features", len(network.weights[0])), ("logits", network.biases[-1].size))
        ]
        graph = helper.make_graph(nodes, "tinynet", *sides, initializer=constants)
        path = job.folder / "model.onnx"
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path, facts_of(network)


class Float16(Recipe):
    """Weights in half precision."""

    spec = VariantSpec(
        name="tinynet_float16",
        summary="weights in float16, arithmetic in float32",
        conversions=(("tinynet", "tinynet"),),
        packages=PACKAGES,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Cast the weights."""
        network = Network.load(job.source)
        network.weights = [weight.astype(np.float16) for weight in network.weights]
        path = job.folder / "model.tinynet"
        network.save(path)
        return path, facts_of(network)


class Digits(Workload):
    """Handwritten digits of 8 by 8 pixels."""

    spec = WorkloadSpec(
        name="tinynet-digits", summary="digits of scikit-learn on a perceptron of tinynet", framework="tinynet", packages=PACKAGES
    )
    training = Training(epochs=30, batch_size=32)

    def data(self) -> dict[str, Split]:
        """Training, validation and test, split by position."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        x, y = (digits.data / 16).astype(np.float32), digits.target
        bounds = {"train": slice(0, 1000), "validation": slice(1000, 1200), "test": slice(1200, None)}
        return {name: Split(x[rows], y[rows]) for name, rows in bounds.items()}

    def model(self) -> Network:
        """An untrained perceptron."""
        return Network.random([64, 32, 10], seed=0)
