"""Nested Keras models: rebuild a model as one graph of layers, with copies of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import EngineError
from harness.variants.base import LEAVE_OUT, not_applicable


def flatten(keras: Any, model: Any) -> Any:
    """Replace nested models by their layers.

    Args:
        keras: The package.
        model: Functional model; not changed.

    Returns:
        A functional model of new layers, or the model itself if none is nested. The name of a nested model precedes those of its layers.

    Raises:
        EngineError: A nested model is called in a way that is not supported.
    """
    if not any(_is_graph(layer) for layer in model.layers):
        return model
    flat = _Flattening(keras)
    inputs = keras.tree.map_structure(lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name), model.input)
    outputs = flat.call(model, keras.tree.flatten(inputs), "", None)
    made = keras.Model(inputs, keras.tree.pack_sequence_as(model.output, outputs), name=model.name)
    for layer, copy in flat.copies.values():
        if weights := layer.get_weights() if hasattr(layer, "get_weights") else []:
            copy.set_weights(weights)
    return made


class _Flattening:
    """The layers copied so far: each once, however often it is called."""

    def __init__(self, keras: Any) -> None:
        self.keras = keras
        self.copies: dict[int, tuple[Any, Any]] = {}
        self.names: set[str] = set()

    def call(self, model: Any, tensors: Sequence[Any], prefix: str, training: bool | None) -> list[Any]:
        """The model's outputs for these tensors, through copies of its layers; `training` as its caller set it."""
        if isinstance(model, self.keras.Sequential):
            model = self.keras.Model(model.inputs[0], model.outputs[0])
        if len(tensors) != len(model.inputs):
            raise _unsupported_call(model)
        values = {id(tensor): value for tensor, value in zip(model.inputs, tensors, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if not node.is_input:
                    outputs = self._step(node, values, prefix, training)
                    values.update(zip(map(id, node.outputs), outputs, strict=True))
        return [values[id(tensor)] for tensor in model.outputs]

    def _step(self, node: Any, values: dict[int, Any], prefix: str, training: bool | None) -> list[Any]:
        layer = node.operation
        args, kwargs = node.arguments.fill_in(values)
        own = kwargs.get("training")
        if _is_graph(layer):
            masked = any(mask is not None for mask in self.keras.tree.flatten(kwargs.get("mask")))
            if len(args) != 1 or not kwargs.keys() <= {"training", "mask"} or masked:
                raise _unsupported_call(layer)
            inner = [values[id(tensor)] for tensor in node.input_tensors]
            return self.call(layer, inner, f"{prefix}{layer.name}_", training if own is None else own)
        if training is not None and getattr(layer, "_call_has_training_arg", False) and own is None:
            kwargs = {**kwargs, "training": training}
        return list(self.keras.tree.flatten(self._copy(layer, prefix)(*args, **kwargs)))

    def _copy(self, layer: Any, prefix: str) -> Any:
        if id(layer) not in self.copies:
            name = prefix + layer.name
            while name in self.names:
                name += "_"
            self.names.add(name)
            self.copies[id(layer)] = (layer, type(layer).from_config({**layer.get_config(), "name": name}))
        return self.copies[id(layer)][1]


def _is_graph(layer: Any) -> bool:
    """Whether a layer is a functional or sequential model of Keras itself, so that its graph is all it computes."""
    kind = type(layer)
    return kind.__module__.startswith("keras.") and kind.__name__ in ("Functional", "Sequential") and layer.built


def _unsupported_call(model: Any) -> EngineError:
    return not_applicable(
        f"the nested model {model.name!r} is called in a way that is not supported",
        f"{LEAVE_OUT}, or prune weights with `prune`",
    )
