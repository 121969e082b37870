"""Structured pruning: remove the channels with the smallest L1 norm from a Keras model, and fine-tune it on training data.

Each value along the last axis of a tensor has a label. A layer with a kernel makes new labels; a layer that treats channels separately passes
them on; an addition joins the labels that it meets, so that channels which depend on each other stay or go together:

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
from pydantic import Field

from harness.formats.keras import facts, import_keras, load_keras
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import LEAVE_OUT, Array, Job, Recipe, RecipeParameters, not_applicable
from harness.variants.flatten import flatten
from harness.variants.training import fine_tuned

Labels = NDArray[np.int64]

# Layers -> the setting with the number of output channels. Kernels have input channels before output channels (transposed: after).
SIZED = {"Dense": "units"} | dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "SeparableConv1D", "SeparableConv2D"), "filters")
TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
SIZED |= dict.fromkeys(TRANSPOSED, "filters")
DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
VECTORS = ("BatchNormalization", "PReLU")  # weights with one number per channel
JOINING = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "TrueDivide", "Divide")
PASSING = (
    *("Activation", "ReLU", "LeakyReLU", "ELU", "Identity", "Rescaling", "ActivityRegularization", "RepeatVector"),
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
    *(f"{kind}{n}D" for kind in ("MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling") for n in (1, 2, 3)),
    *(f"{kind}{n}D" for kind in ("ZeroPadding", "Cropping", "UpSampling") for n in (1, 2, 3)),
)
MIXING = ("softmax", "log_softmax", "sparsemax", "glu")  # activations across channels


class Parameters(RecipeParameters):
    """What a suite may set."""

    ratio: float = Field(
        0.5, gt=0, lt=1, description="share of each hidden layer's channels that is removed", json_schema_extra={"shown": True}
    )
    epochs: int | None = Field(None, ge=1, le=100_000, description="epochs of fine-tuning; null: those of the model's training")


class ChannelPrune(Recipe):
    """Fewer channels in each hidden convolutional and dense layer: a smaller dense model, faster on every engine."""

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
        """Cut, fine-tune, save."""
        model, job.notes["channels"] = cut(load_keras(job.source, trusted=job.trusted), job.parameters.ratio)
        target = fine_tuned(job, model)
        return target, facts(model)


def cut(model: Any, ratio: float) -> tuple[Any, dict[str, tuple[int, int]]]:
    """A model with fewer channels; the remaining weights keep their values.

    Args:
        model: A functional or sequential Keras model; not changed. Nested models become part of one graph.
        ratio: Share of the channels to remove from each layer, or from each group that an addition joins; rounded down, at least one stays.

    Returns:
        The new model, and by layer the number of channels before and after.

    Raises:
        EngineError: The channels reach a layer that cannot be cut, or there are none to remove.
    """
    keras = import_keras()
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if not hasattr(model, "_nodes_by_depth"):
        raise not_applicable(f"{model.name!r} is not a graph of layers whose channels can be traced", "build it with the functional API")
    graph = _walk(flatten(keras, model))
    kept = _kept(graph, ratio)
    sizes = {
        step.layer.name: (step.outputs.size, int(kept[step.outputs].sum())) for step in graph.steps if type(step.layer).__name__ in SIZED
    }
    if all(before == after for before, after in sizes.values()):
        uncut = ", ".join(dict.fromkeys(repr(name) for name, _ in graph.barriers))
        raise not_applicable(
            f"the model has no hidden layer that would lose a channel at the ratio {ratio}"
            + (f"; not cut, since they mix channels, run twice, or are of an unknown kind: {uncut}" if uncut else ""),
            "raise `ratio`, or remove this variant",
        )
    return _rebuild(keras, graph, kept), {name: size for name, size in sizes.items() if size[0] != size[1]}


# --- labels of channels --------------------------------------------------------------------------------------------------


class LayerStep(NamedTuple):
    """A layer with weights per channel, and the labels of its input and output."""

    layer: Any
    inputs: Labels
    outputs: Labels


@dataclass
class Graph:
    """The labels of a model's channels.

    Attributes:
        model: Functional model.
        steps: Layers to cut.
        joined: Pairs of labels that are one channel.
        fixed: Labels that must stay.
        barriers: (name, labels of the input) of each layer that cannot be cut.
        count: Number of labels.
    """

    model: Any
    steps: list[LayerStep] = field(default_factory=list)
    joined: list[Labels] = field(default_factory=list)
    fixed: list[Labels] = field(default_factory=list)
    barriers: list[tuple[str, Labels]] = field(default_factory=list)
    count: int = 0

    def new(self, size: int, *, fixed: bool = False) -> Labels:
        """New labels, as many as `size`."""
        labels = np.arange(self.count, self.count + size)
        self.count += size
        if fixed:
            self.fixed.append(labels)
        return labels

    def join(self, first: Labels, second: Labels) -> None:
        """Declare channels equal, pair by pair."""
        self.joined.append(np.stack([first, second]))


def _walk(model: Any) -> Graph:
    """Label every tensor, from the inputs to the outputs."""
    graph = Graph(model)
    nodes = [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]
    labels: dict[int, Labels] = {id(tensor): graph.new(_size(tensor), fixed=True) for tensor in model.inputs}
    runs = [id(node.operation) for node in nodes]
    ends = _ends(model, nodes)
    for node in nodes:
        if node.is_input:
            continue
        given = [labels[id(tensor)] for tensor in node.input_tensors]
        shared = runs.count(id(node.operation)) > 1 and bool(getattr(node.operation, "weights", ()))
        outputs = None if shared else _through(graph, node, given)
        if outputs is None:
            everything = np.concatenate(given)
            if id(node) in ends:
                graph.fixed.append(everything)
            else:
                graph.barriers.append((node.operation.name, everything))
            outputs = [graph.new(_size(tensor), fixed=True) for tensor in node.outputs]
        labels.update(zip(map(id, node.outputs), outputs, strict=True))
    graph.fixed += [labels[id(tensor)] for tensor in model.outputs]
    return graph


def _ends(model: Any, nodes: list[Any]) -> set[int]:
    """The nodes between the last layers with weights and the outputs; their inputs stay, like outputs."""
    outputs, ends = {id(tensor) for tensor in model.outputs}, set()
    for node in reversed(nodes):
        if not node.is_input and outputs & {id(tensor) for tensor in node.outputs} and not getattr(node.operation, "weights", None):
            ends.add(id(node))
            outputs |= {id(tensor) for tensor in node.input_tensors}
    return ends


def _through(graph: Graph, node: Any, given: list[Labels]) -> list[Labels] | None:
    """The labels of a node's outputs; None if its channels cannot be separated."""
    layer, kind, (output, *_) = node.operation, type(node.operation).__name__, node.outputs
    if not type(layer).__module__.startswith("keras.") or getattr(layer, "data_format", None) == "channels_first" or not given:
        return None
    if kind in JOINING and len(given) == 1 and all(isinstance(value, int | float) for value in node.arguments.args[1:]):
        return given  # `x + 3.0` in a graph
    if kind in JOINING or kind == "Concatenate":
        return _merged(graph, node, given)
    labels = _after_layer(graph, node, given[0]) if len(given) == 1 and _weights_are_known(layer, kind) else None
    if labels is None or labels.size != _size(output):
        return None
    weights = getattr(layer, "weights", ())
    if kind in VECTORS and any(weight.shape[-1] != labels.size for weight in weights):
        return None
    if weights or kind == "Reshape":
        graph.steps.append(LayerStep(layer, given[0], labels))
    return [labels]


def _after_layer(graph: Graph, node: Any, given: Labels) -> Labels | None:
    """The labels after a layer with one input; None if it is of an unknown kind."""
    layer, kind, (output, *_) = node.operation, type(node.operation).__name__, node.outputs
    if kind in SIZED:
        return graph.new(_size(output), fixed=_mixes(layer))
    if kind in DEPTHWISE and not _mixes(layer):
        return np.repeat(given, layer.depth_multiplier)
    if kind == "Flatten" or (kind == "Reshape" and len(output.shape) == 2):
        return np.tile(given, _positions(node.input_tensors[0]))
    if kind == "BatchNormalization" and layer.axis not in (-1, len(output.shape) - 1):
        return None
    # A reshape passes labels on if the last axis keeps its size, which the caller checks.
    return given if kind in (*VECTORS, "Reshape") or (kind in PASSING and not _mixes(layer)) else None


def _merged(graph: Graph, node: Any, given: list[Labels]) -> list[Labels] | None:
    """The labels after a concatenation or an element-wise operation, which broadcasts a single channel."""
    ranks = {len(tensor.shape) for tensor in node.input_tensors}
    if len(ranks) != 1 or len(given) != len(node.input_tensors) or len(given) < 2:
        return None
    if type(node.operation).__name__ == "Concatenate" and getattr(node.operation, "axis", None) in (-1, ranks.pop() - 1):
        return [np.concatenate(given)]
    widest = max(given, key=len)
    for labels in given:
        if labels.size == widest.size:
            graph.join(widest, labels)
    return [widest]


def _weights_are_known(layer: Any, kind: str) -> bool:
    """Whether `_axes` can cut each weight: no groups, no quantized or adapted kernels."""
    names = {weight.name for weight in getattr(layer, "weights", ())}  # an operation such as `x / 2` has none
    known = ("kernel", "bias", "depthwise_kernel", "pointwise_kernel")
    return kind in VECTORS or (getattr(layer, "groups", 1) == 1 and names <= {*known})


def _mixes(layer: Any) -> bool:
    return getattr(getattr(layer, "activation", None), "__name__", "") in MIXING


def _size(tensor: Any) -> int:
    """Number of channels of a tensor; 1 if it has only the batch axis."""
    return int(tensor.shape[-1] or 1) if len(tensor.shape) > 1 else 1


def _positions(tensor: Any) -> int:
    """Number of positions besides batch and channels; 0 if a dimension is dynamic."""
    return prod(int(size or 0) for size in tensor.shape[1:-1])


# --- selection -----------------------------------------------------------------------------------------------------------


def _kept(graph: Graph, ratio: float) -> NDArray[np.bool_]:
    """Whether each label stays."""
    channel = _components(graph.count, graph.joined)
    stays = np.zeros(graph.count, bool)
    for labels in graph.fixed:
        stays[channel[labels]] = True
    for name, labels in graph.barriers:
        if not stays[channel[labels]].all():
            raise not_applicable(
                f"channels cannot be removed in front of layer {name!r}: it mixes or reorders them, runs twice, or is of an unknown kind",
                f"{LEAVE_OUT}, or prune weights with `prune`",
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
    for step in layers:  # a concatenation in a residual block may give one layer all the least norms
        if removed[channel[step.outputs]].all():
            removed[channel[step.outputs][np.argmax(norms[channel[step.outputs]])]] = False
    kept: NDArray[np.bool_] = ~removed[channel]
    return kept


def _components(count: int, pairs: list[Labels]) -> Labels:
    """For each label the number of its connected component."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), np.int64)
    _, numbers = connected_components(coo_array((np.ones(first.size), (first, second)), shape=(count, count)), directed=False)
    return np.asarray(numbers, np.int64)


def _norms(layer: Any) -> Array:
    """L1 norm of each output channel of a kernel."""
    kind = type(layer).__name__
    kernel = np.abs(np.asarray(getattr(layer, "pointwise_kernel" if kind.startswith("Separable") else "kernel")))
    if kind in DEPTHWISE:
        return np.asarray(kernel.reshape(-1, kernel.shape[-2] * kernel.shape[-1]).sum(axis=0))
    axis = kernel.ndim - (2 if kind in TRANSPOSED else 1)
    return np.asarray(kernel.sum(axis=tuple(i for i in range(kernel.ndim) if i != axis)))


# --- the smaller model ---------------------------------------------------------------------------------------------------


def _rebuild(keras: Any, graph: Graph, kept: NDArray[np.bool_]) -> Any:
    """The same graph of smaller layers, with the remaining weights."""
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
        if step := steps.get(layer.name):
            weights = [_cut_weight(step, weight.name, value, kept) for weight, value in zip(layer.weights, weights, strict=True)]
        if weights:
            model.get_layer(layer.name).set_weights(weights)
    return model


def _cut_weight(step: LayerStep, name: str, value: Array, kept: NDArray[np.bool_]) -> Array:
    """One weight without the removed channels."""
    for axis, labels in _axes(step, name):
        value = np.compress(kept[labels], value, axis=axis)
    return value


def _axes(step: LayerStep, name: str) -> Iterator[tuple[int, Labels]]:
    """The channel axes of a weight, with their labels."""
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
