"""Translation of a Keras 3 model to legacy Keras 2, which TensorFlow's Model Optimization Toolkit needs, and of its weights back."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError
from harness.formats.libraries import first_line, import_library

Array = NDArray[Any]
MODELS = ("Functional", "Sequential", "Model")
SAME = 1e-4
"""Largest difference between the outputs of both frameworks, relative to the largest output, that counts as equal."""
HINT = "remove this variant for this model, or build the model from standard layers"


def import_legacy() -> Any:
    """Legacy Keras on TensorFlow; refused if it is not installed."""
    return import_library("tf_keras", "legacy Keras", "make tfmot")


def to_legacy(model: Any, samples: Sequence[Array]) -> Any:
    """The same layers with the same weights in legacy Keras.

    Args:
        model: A functional or sequential Keras 3 model.
        samples: One array for each input, on which both models must agree.

    Raises:
        EngineError: Legacy Keras lacks a layer, the model is of another kind, or the outputs differ.
    """
    config = json.loads(model.to_json())
    if config["class_name"] not in MODELS:
        raise EngineError(f"the model is a {config['class_name']}, neither functional nor sequential", HINT)
    legacy = _Translation(import_legacy()).model(config, [tuple(tensor.shape) for tensor in model.inputs])
    copy_weights(model, legacy)
    _compare(model, legacy, samples)
    return legacy


def copy_weights(source: Any, target: Any) -> None:
    """Copy the weights of each layer to the layer of the same name, in nested models too.

    Args:
        source: A model of either framework.
        target: A model of the other framework with the same layers.
    """
    ours = {layer.name: layer for layer in target.layers}
    for layer in source.layers:
        if hasattr(layer, "layers"):
            copy_weights(layer, ours[layer.name])
        elif layer.weights:
            ours[layer.name].set_weights(layer.get_weights())


def _compare(model: Any, legacy: Any, samples: Sequence[Array]) -> None:
    inputs = list(samples) if len(samples) > 1 else samples[0]
    answers = [_flat(each(inputs, training=False)) for each in (model, legacy)]
    largest = max(float(np.max(np.abs(answer))) for answer in answers[0])
    apart = max(float(np.max(np.abs(a - b))) for a, b in zip(*answers, strict=True))
    if not apart <= SAME * max(largest, 1e-6):
        raise EngineError(f"the model's outputs differ in legacy Keras (by {apart:.3g}, with outputs up to {largest:.3g})", HINT)


def _flat(answers: Any) -> list[Array]:
    values = list(answers.values()) if isinstance(answers, dict) else answers if isinstance(answers, list | tuple) else [answers]
    return [np.asarray(value, dtype=np.float64) for value in values]


class _Translation:
    """Builds layers of legacy Keras from the configuration of a model."""

    def __init__(self, tf_keras: Any) -> None:
        self.keras = tf_keras

    def model(self, config: Mapping[str, Any], shapes: Sequence[tuple[int | None, ...]] = ()) -> Any:
        """The model of a configuration."""
        inner = config["config"]
        if config["class_name"] == "Sequential":
            return self._sequential(inner, shapes[0] if shapes else None)
        return self._functional(inner)

    def _sequential(self, config: Mapping[str, Any], shape: tuple[int | None, ...] | None) -> Any:
        layers = list(config["layers"])
        if layers[0]["class_name"] == "InputLayer":
            first = self._input(layers.pop(0)["config"])
        elif shape:
            first = self.keras.Input(shape=shape[1:], batch_size=shape[0])
        else:
            raise EngineError(f"the nested model {config['name']!r} has no input layer", HINT)
        tensor = first
        for layer in layers:
            tensor = self._layer(layer)(tensor)
        return self.keras.Model(first, tensor, name=config["name"])

    def _functional(self, config: Mapping[str, Any]) -> Any:
        tensors: dict[tuple[str, int, int], Any] = {}
        waiting = []
        for layer in config["layers"]:
            name = layer["config"]["name"]
            if layer["class_name"] == "InputLayer":
                tensors[name, 0, 0] = self._input(layer["config"])
            else:
                made = self._layer(layer)
                waiting += [(name, index, made, node) for index, node in enumerate(layer["inbound_nodes"])]
        while waiting:
            ready = [call for call in waiting if all(key in tensors for key in _inputs_of(call[3]))]
            if not ready:
                raise EngineError(f"the layer {waiting[0][0]!r} is called in a way that legacy Keras does not support", HINT)
            for name, index, made, node in ready:
                given = _replaced(node, lambda key: tensors[key])
                kwargs = {key: value for key, value in given["kwargs"].items() if value is not None}
                outputs = made(*given["args"], **kwargs)
                for position, output in enumerate(outputs if isinstance(outputs, list | tuple) else [outputs]):
                    tensors[name, index, position] = output
            done = {id(call[3]) for call in ready}
            waiting = [call for call in waiting if id(call[3]) not in done]
        ends = [[tensors[key] for key in _triples(config[end])] for end in ("input_layers", "output_layers")]
        return self.keras.Model(*(end if len(end) > 1 else end[0] for end in ends), name=config["name"])

    def _input(self, config: Mapping[str, Any]) -> Any:
        batch, *shape = config["batch_shape"]
        return self.keras.Input(shape=tuple(shape), batch_size=batch, dtype=config["dtype"], name=config["name"])

    def _layer(self, config: Mapping[str, Any]) -> Any:
        """One layer, with the settings that legacy Keras knows; without initializers, since weights are copied."""
        name, kind, inner = config["config"].get("name"), config["class_name"], config["config"]
        if kind in MODELS:
            return self.model(config)
        made = getattr(self.keras.layers, kind, None)
        if made is None or not str(config.get("module") or "keras").startswith("keras"):
            raise EngineError(f"the layer {name!r} is a {kind}, which legacy Keras does not have", HINT)
        known = {p for c in made.__mro__ for p in inspect.signature(c.__init__).parameters} | {"name", "trainable"}
        settings = {key: self._setting(value) for key, value in inner.items() if key in known and not key.endswith("_initializer")}
        try:
            return made(**{key: value for key, value in settings.items() if key != "dtype"})
        except (TypeError, ValueError) as error:
            raise EngineError(f"the layer {name!r} ({kind}) cannot be created in legacy Keras: {first_line(error)}", HINT) from error

    def _setting(self, value: Any) -> Any:
        """A serialised layer, policy, function or object as legacy Keras expects it."""
        if not isinstance(value, dict) or "class_name" not in value:
            return tuple(value) if isinstance(value, list) else value
        if value["class_name"] == "function":
            return value["config"]
        if hasattr(self.keras.layers, value["class_name"]):
            return self._layer(value)
        return {"class_name": value["class_name"], "config": value["config"]}


def _inputs_of(node: Any) -> Iterator[tuple[str, int, int]]:
    """The input tensors of a call, each as (layer, node, position)."""
    if isinstance(node, dict) and node.get("class_name") == "__keras_tensor__":
        yield tuple(node["config"]["keras_history"])
    elif isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _inputs_of(part)


def _replaced(node: Any, tensor: Callable[[tuple[str, int, int]], Any]) -> Any:
    """The arguments of a call with its tensors filled in."""
    if isinstance(node, dict) and node.get("class_name") == "__keras_tensor__":
        return tensor(tuple(node["config"]["keras_history"]))
    if isinstance(node, dict):
        return {key: _replaced(value, tensor) for key, value in node.items()}
    return [_replaced(value, tensor) for value in node] if isinstance(node, list) else node


def _triples(ends: Any) -> list[tuple[str, int, int]]:
    """The references in `["x", 0, 0]`, in `[["x", 0, 0], ...]`, or in a mapping of those."""
    if isinstance(ends, dict):
        return [triple for part in ends.values() for triple in _triples(part)]
    return [tuple(ends)] if isinstance(ends[0], str) else [triple for part in ends for triple in _triples(part)]
