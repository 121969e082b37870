"""Structured pruning: a Keras model -> a smaller one without the channels of least L1 norm, fine-tuned on training data.

Each value along the last axis of a tensor carries a label. A layer with a kernel gives new labels; whatever treats each channel by itself hands
them on; an addition joins the labels it meets, so that channels bound together stay or go together:

    conv a: 0 1 2 3 -- batch norm: 0 1 2 3 --+
                                             add: 0=4 1=5 2=6 3=7 -- dense reads 0=4 1=5 2=6 3=7
    conv b: 4 5 6 7 -------------------------+

Li et al., "Pruning Filters for Efficient ConvNets" (2017): the norm, and the joining of residual blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from harness.errors import EngineError
from harness.formats.keras import facts, import_keras, load_keras
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import Array, Job, Recipe
from harness.variants.flat import flatten
from harness.variants.training import fine_tuning, fit

Labels = NDArray[np.int64]

# How many output channels a layer has is set in its configuration, its kernel has input channels before output ones (transposed: after).
SIZED = {"Dense": "units"} | dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "SeparableConv1D", "SeparableConv2D"), "filters")
TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
SIZED |= dict.fromkeys(TRANSPOSED, "filters")
DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
VECTORS = ("BatchNormalization", "PReLU")  # one number for each channel
JOINING = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "TrueDivide", "Divide")
PASSING = (
    *("Activation", "ReLU", "LeakyReLU", "ELU", "Identity", "Rescaling", "ActivityRegularization", "RepeatVector"),
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
    *(f"{kind}{n}D" for kind in ("MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling") for n in (1, 2, 3)),
    *(f"{kind}{n}D" for kind in ("ZeroPadding", "Cropping", "UpSampling") for n in (1, 2, 3)),
)
MIXING = ("softmax", "log_softmax", "sparsemax", "glu")  # activations in which one channel depends on the others


class Parameters(BaseModel):
    """What a suite may set."""

    model_config = ConfigDict(extra="forbid")
    ratio: float = Field(
        0.5, gt=0, lt=1, description="share of each hidden layer's channels that is removed", json_schema_extra={"shown": True}
    )
    epochs: int | None = Field(None, ge=1, le=100_000, description="epochs of fine-tuning; null: those of the model's training")


class ChannelPrune(Recipe):
    """Fewer channels in each hidden convolutional and dense layer: a smaller dense model, which every engine runs faster."""

    spec: ClassVar = VariantSpec(
        name="channel_prune",
        summary="whole channels of least L1 norm removed, fine-tuned",
        packages=("tensorflow", "tensorflow-cpu", "keras"),
        extra="tensorflow",
        parameters=Parameters,
        conversions=(("keras", "keras"),),
        needs=("train", "labels"),
        version=3,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Cut, train, save."""
        assert job.data
        training = fine_tuning(job.training, job.parameters.epochs)
        model, job.notes["channels"] = cut(load_keras(job.source, trusted=job.trusted), job.parameters.ratio)
        job.notes.update(fit(model, training, job.data, job.seed))
        target = job.folder / "model.keras"
        model.save(target)
        return target, facts(model)


def cut(model: Any, ratio: float) -> tuple[Any, dict[str, tuple[int, int]]]:
    """A model with fewer channels, the weights that stay unchanged.

    Args:
        model: A Keras model, functional or sequential; it is left as it is. Models among its layers become part of one graph.
        ratio: Share of the channels to remove: of each layer, or of each group that an addition joins; rounded down, one always stays.

    Returns:
        The new model, and by layer how many channels it had and has.

    Raises:
        EngineError: The channels meet a layer that cannot be cut, named in the sentence, or there are none to remove.
    """
    keras = import_keras()
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if not hasattr(model, "_nodes_by_depth"):
        raise EngineError(
            f"{model.name!r} is no graph of layers whose channels can be followed", "build it with the functional API", refused=True
        )
    graph = _walk(flatten(keras, model))
    kept = _kept(graph, ratio)
    sizes = {
        step.layer.name: (step.outputs.size, int(kept[step.outputs].sum())) for step in graph.steps if type(step.layer).__name__ in SIZED
    }
    if all(before == after for before, after in sizes.values()):
        uncut = ", ".join(dict.fromkeys(repr(name) for name, _ in graph.barriers))
        raise EngineError(
            f"the model has no hidden layer that would lose a channel at the ratio {ratio}"
            + (f"; not cut, for they mix channels, run twice, or are of a kind not known here: {uncut}" if uncut else ""),
            "raise `ratio`, or leave this variant out",
            refused=True,
        )
    return _rebuild(keras, graph, kept), {name: size for name, size in sizes.items() if size[0] != size[1]}


# --- which channel meets which -------------------------------------------------------------------------------------------


class LayerStep(NamedTuple):
    """A layer that has weights for each channel, and the labels of what it takes and gives."""

    layer: Any
    inputs: Labels
    outputs: Labels


@dataclass
class Graph:
    """What the walk found.

    Attributes:
        model: Functional.
        steps: The layers to cut.
        joined: Pairs of labels that are one channel.
        fixed: Labels that must stay.
        barriers: Name of a layer that cannot be cut, and the labels it takes.
        count: How many labels there are.
    """

    model: Any
    steps: list[LayerStep] = field(default_factory=list)
    joined: list[Labels] = field(default_factory=list)
    fixed: list[Labels] = field(default_factory=list)
    barriers: list[tuple[str, Labels]] = field(default_factory=list)
    count: int = 0

    def new(self, size: int, *, fixed: bool = False) -> Labels:
        """So many labels that no other tensor has."""
        labels = np.arange(self.count, self.count + size)
        self.count += size
        if fixed:
            self.fixed.append(labels)
        return labels

    def join(self, first: Labels, second: Labels) -> None:
        """Make each channel of one the same as that of the other."""
        self.joined.append(np.stack([first, second]))


def _walk(model: Any) -> Graph:
    """The labels of every tensor, from the inputs to the outputs."""
    graph = Graph(model)
    nodes = [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]
    labels: dict[int, Labels] = {id(tensor): graph.new(_size(tensor), fixed=True) for tensor in model.inputs}
    runs = [id(node.operation) for node in nodes]
    ends = _ends(model, nodes)
    for node in nodes:
        if node.is_input:
            continue
        taken = [labels[id(tensor)] for tensor in node.input_tensors]
        shared = runs.count(id(node.operation)) > 1 and bool(node.operation.weights if hasattr(node.operation, "weights") else ())
        given = None if shared else _through(graph, node, taken)
        if given is None:
            everything = np.concatenate(taken)
            if id(node) in ends:
                graph.fixed.append(everything)
            else:
                graph.barriers.append((node.operation.name, everything))
            given = [graph.new(_size(tensor), fixed=True) for tensor in node.outputs]
        labels.update({id(tensor): found for tensor, found in zip(node.outputs, given, strict=True)})
    graph.fixed += [labels[id(tensor)] for tensor in model.outputs]
    return graph


def _ends(model: Any, nodes: list[Any]) -> set[int]:
    """The nodes without weights between the last layers with weights and the outputs: what they take is an output, and stays."""
    outputs, ends = {id(tensor) for tensor in model.outputs}, set()
    for node in reversed(nodes):
        if not node.is_input and outputs & {id(tensor) for tensor in node.outputs} and not getattr(node.operation, "weights", None):
            ends.add(id(node))
            outputs |= {id(tensor) for tensor in node.input_tensors}
    return ends


def _through(graph: Graph, node: Any, taken: list[Labels]) -> list[Labels] | None:
    """The labels behind a node; null where its channels cannot be told apart."""
    layer, kind, (output, *_) = node.operation, type(node.operation).__name__, node.outputs
    if not type(layer).__module__.startswith("keras.") or getattr(layer, "data_format", None) == "channels_first" or not taken:
        return None
    if kind in JOINING and len(taken) == 1 and all(isinstance(value, int | float) for value in node.arguments.args[1:]):
        return taken  # `x + 3.0` in a graph
    if kind in JOINING or kind == "Concatenate":
        return _merged(graph, node, taken)
    given = _given(graph, node, taken[0]) if len(taken) == 1 and _weights_are_known(layer, kind) else None
    if given is None or given.size != _size(output):
        return None
    weights = getattr(layer, "weights", ())
    if kind in VECTORS and any(weight.shape[-1] != given.size for weight in weights):
        return None
    if weights or kind == "Reshape":
        graph.steps.append(LayerStep(layer, taken[0], given))
    return [given]


def _given(graph: Graph, node: Any, taken: Labels) -> Labels | None:
    """Behind a layer of one input; null where it is of a kind not known here."""
    layer, kind, (output, *_) = node.operation, type(node.operation).__name__, node.outputs
    if kind in SIZED:
        return graph.new(_size(output), fixed=_mixes(layer))
    if kind in DEPTHWISE and not _mixes(layer):
        return np.repeat(taken, layer.depth_multiplier)
    if kind == "Flatten" or (kind == "Reshape" and len(output.shape) == 2):
        return np.tile(taken, _positions(node.input_tensors[0]))
    if kind == "BatchNormalization" and layer.axis not in (-1, len(output.shape) - 1):
        return None
    # A reshape hands them on where the last axis keeps its size, which the caller looks at.
    return taken if kind in (*VECTORS, "Reshape") or (kind in PASSING and not _mixes(layer)) else None


def _merged(graph: Graph, node: Any, taken: list[Labels]) -> list[Labels] | None:
    """Behind a concatenation, or an operation that meets channel with channel; a single channel is spread over the others."""
    ranks = {len(tensor.shape) for tensor in node.input_tensors}
    if len(ranks) != 1 or len(taken) != len(node.input_tensors) or len(taken) < 2:
        return None
    if type(node.operation).__name__ == "Concatenate" and getattr(node.operation, "axis", None) in (-1, ranks.pop() - 1):
        return [np.concatenate(taken)]
    widest = max(taken, key=len)
    for labels in taken:
        if labels.size == widest.size:
            graph.join(widest, labels)
    return [widest]


def _weights_are_known(layer: Any, kind: str) -> bool:
    """Whether each weight is one that `_axes` can cut: no groups, no quantized or adapted kernels."""
    names = {weight.name for weight in getattr(layer, "weights", ())}  # an operation such as `x / 2` is no layer
    known = ("kernel", "bias", "depthwise_kernel", "pointwise_kernel")
    return kind in VECTORS or (getattr(layer, "groups", 1) == 1 and names <= {*known})


def _mixes(layer: Any) -> bool:
    return getattr(getattr(layer, "activation", None), "__name__", "") in MIXING


def _size(tensor: Any) -> int:
    """Channels of a tensor; 1 where it has no axis beside the batch."""
    return int(tensor.shape[-1] or 1) if len(tensor.shape) > 1 else 1


def _positions(tensor: Any) -> int:
    """Places beside batch and channels; 0 where that is open."""
    return prod(int(size or 0) for size in tensor.shape[1:-1])


# --- which channels stay -------------------------------------------------------------------------------------------------


def _kept(graph: Graph, ratio: float) -> NDArray[np.bool_]:
    """Whether each label stays."""
    channel = _components(graph.count, graph.joined)
    stays = np.zeros(graph.count, bool)
    for labels in graph.fixed:
        stays[channel[labels]] = True
    for name, labels in graph.barriers:
        if not stays[channel[labels]].all():
            raise EngineError(
                f"channels cannot be removed in front of layer {name!r}: it mixes or reorders them, runs twice, or is of a kind not known here",
                "leave this variant out for this model, or prune weights with `prune`",
                refused=True,
            )
    norms = np.zeros(graph.count)
    layers = [step for step in graph.steps if type(step.layer).__name__ in (*SIZED, *DEPTHWISE)]
    for step in layers:
        np.add.at(norms, channel[step.outputs], _norms(step.layer))
    group = _components(graph.count, [*graph.joined, *(np.stack([step.outputs[:-1], step.outputs[1:]]) for step in layers)])
    removed = np.zeros(graph.count, bool)
    for number in {int(group[step.outputs[0]]) for step in layers}:
        free = np.array([c for c in np.unique(channel[group == number]) if not stays[c]], int)
        removed[free[np.argsort(norms[free], kind="stable")][: min(int(ratio * free.size + 1e-9), max(0, free.size - 1))]] = True
    for step in layers:  # a concatenation in a residual block may have given one layer all the least norms
        if removed[channel[step.outputs]].all():
            removed[channel[step.outputs][np.argmax(norms[channel[step.outputs]])]] = False
    kept: NDArray[np.bool_] = ~removed[channel]
    return kept


def _components(count: int, pairs: list[Labels]) -> Labels:
    """For each label one label that stands for all it is joined with."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), np.int64)
    _, found = connected_components(coo_array((np.ones(first.size), (first, second)), shape=(count, count)), directed=False)
    component: Labels = found.astype(np.int64)
    return component


def _norms(layer: Any) -> Array:
    """L1 norm of each output channel's kernel."""
    kind = type(layer).__name__
    kernel = np.abs(np.asarray(getattr(layer, "pointwise_kernel" if kind.startswith("Separable") else "kernel")))
    if kind in DEPTHWISE:
        return np.asarray(kernel.reshape(-1, kernel.shape[-2] * kernel.shape[-1]).sum(axis=0))
    axis = kernel.ndim - (2 if kind in TRANSPOSED else 1)
    return np.asarray(kernel.sum(axis=tuple(i for i in range(kernel.ndim) if i != axis)))


# --- the smaller model ---------------------------------------------------------------------------------------------------


def _rebuild(keras: Any, graph: Graph, kept: NDArray[np.bool_]) -> Any:
    """The same graph of layers of the new sizes, with the weights that stay."""
    steps = {step.layer.name: step for step in graph.steps}

    def smaller(layer: Any) -> Any:
        config, kind = layer.get_config(), type(layer).__name__
        size = int(kept[steps[layer.name].outputs].sum()) if layer.name in steps else None
        if size is not None and kind == "Reshape":
            config["target_shape"] = (*config["target_shape"][:-1], size)
        elif size is not None and kind in SIZED:
            config[SIZED[kind]] = size
        return type(layer).from_config(config)

    model = keras.models.clone_model(graph.model, clone_function=smaller)
    for layer in graph.model.layers:
        weights = layer.get_weights()
        if layer.name in steps:
            weights = [
                _cut_weight(steps[layer.name], weight.name, value, kept) for weight, value in zip(layer.weights, weights, strict=True)
            ]
        if weights:
            model.get_layer(layer.name).set_weights(weights)
    return model


def _cut_weight(step: LayerStep, name: str, value: Array, kept: NDArray[np.bool_]) -> Array:
    """One weight without the channels that go."""
    for axis, labels in _axes(step, name):
        value = np.compress(kept[labels], value, axis=axis)
    return value


def _axes(step: LayerStep, name: str) -> Iterator[tuple[int, Labels]]:
    """The axes of a weight that hold channels, with their labels."""
    kind = type(step.layer).__name__
    if kind in VECTORS or name == "bias":
        yield -1, step.outputs
    elif kind in DEPTHWISE or name == "depthwise_kernel":
        yield -2, step.inputs
    elif kind in TRANSPOSED:
        yield from ((-2, step.outputs), (-1, step.inputs))
    else:
        yield -2, np.repeat(step.inputs, step.layer.depth_multiplier) if name == "pointwise_kernel" else step.inputs
        yield -1, step.outputs
