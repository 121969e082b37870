"""A Keras model with models among its layers -> the same model as one graph of layers, its weights copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import EngineError


def flatten(keras: Any, model: Any) -> Any:
    """Put the layers of inner models where these were called.

    Args:
        keras: The package.
        model: Functional; it is left as it is.

    Returns:
        A functional model of new layers; the model itself where none is nested. A layer of an inner model has that one's name before its own.

    Raises:
        EngineError: An inner model is called in a way that is not known here, named in the sentence.
    """
    if not any(_is_graph(layer) for layer in model.layers):
        return model
    flat = _Flattening(keras)
    inputs = keras.tree.map_structure(lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name), model.input)
    outputs = flat.call(model, keras.tree.flatten(inputs), "", None)
    made = keras.Model(inputs, keras.tree.pack_sequence_as(model.output, outputs), name=model.name)
    for layer, copy in flat.copies.values():
        if layer_weights := layer.get_weights() if hasattr(layer, "get_weights") else []:
            copy.set_weights(layer_weights)
    return made


class _Flattening:
    """The layers copied so far: each once, however often it runs."""

    def __init__(self, keras: Any) -> None:
        self.keras = keras
        self.copies: dict[int, tuple[Any, Any]] = {}
        self.names: set[str] = set()

    def call(self, model: Any, taken: Sequence[Any], prefix: str, training: bool | None) -> list[Any]:
        """What the model gives for these tensors, through copies of its layers; `training` as its caller set it."""
        model = self._functional(model)
        if len(taken) != len(model.inputs):
            raise _unknown(model)
        values = {id(tensor): value for tensor, value in zip(model.inputs, taken, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if not node.is_input:
                    given = self._step(node, values, prefix, training)
                    values.update(zip(map(id, node.outputs), given, strict=True))
        return [values[id(tensor)] for tensor in model.outputs]

    def _step(self, node: Any, values: dict[int, Any], prefix: str, training: bool | None) -> list[Any]:
        layer = node.operation
        args, kwargs = node.arguments.fill_in(values)
        if _is_graph(layer):
            if (
                len(args) != 1
                or not kwargs.keys() <= {"training", "mask"}
                or any(m is not None for m in self.keras.tree.flatten(kwargs.get("mask")))
            ):
                raise _unknown(layer)
            wanted = kwargs.get("training")
            inner = [values[id(tensor)] for tensor in node.input_tensors]
            return self.call(layer, inner, f"{prefix}{layer.name}_", training if wanted is None else wanted)
        if training is not None and getattr(layer, "_call_has_training_arg", False) and kwargs.get("training") is None:
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

    def _functional(self, model: Any) -> Any:
        """A sequential model as a graph of the same layers."""
        return self.keras.Model(model.inputs[0], model.outputs[0]) if isinstance(model, self.keras.Sequential) else model


def _is_graph(layer: Any) -> bool:
    """Whether a layer is a model whose graph is all it computes: no class of somebody's own."""
    kind = type(layer)
    return kind.__module__.startswith("keras.") and kind.__name__ in ("Functional", "Sequential") and layer.built


def _unknown(model: Any) -> EngineError:
    return EngineError(
        f"the model {model.name!r} among the layers is called in a way that is not known here",
        "leave this variant out for this model, or prune weights with `prune`",
        refused=True,
    )
