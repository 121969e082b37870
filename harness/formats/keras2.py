"""Files of Keras 2: rewrite the configuration of an `.h5` so that Keras 3 reads it, without settings that have no effect."""

from __future__ import annotations

import inspect
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

ANY = object()
MODELS = ("Functional", "Sequential", "Model")
FORMER: dict[str, Any] = {
    "time_major": False,
    "groups": 1,
    "trainable": True,
    "noise_shape": None,
    "rng_type": ANY,
    "softmax_robust_masking": False,
    **dict.fromkeys(("query_shape", "key_shape", "value_shape"), ANY),
    # Of separable layers, which have no such kernel.
    **dict.fromkeys(("kernel_initializer", "kernel_regularizer", "kernel_constraint"), ANY),
}
"""Settings that layers of Keras 2 write and some of Keras 3 refuse, each with the value at which it has no effect."""
CHANGED = "hard_sigmoid"
"""A function that Keras 3 changed: clip(x/6 + 1/2), in Keras 2 clip(x/5 + 1/2)."""


def uses_changed_function(config: Any) -> bool:
    """Whether the configuration of a Keras 2 model uses a function that Keras 3 computes differently."""
    values = (value for node in dictionaries(config) for name, value in node.items() if name.endswith("activation"))
    return any(CHANGED in (value, value.get("config") if isinstance(value, dict) else None) for value in values)


@contextmanager
def readable(path: Path, config: Any, keras: Any) -> Iterator[Path]:
    """A temporary copy of the file that Keras 3 reads.

    Args:
        path: `.h5` of a whole model that Keras 2 saved.
        config: Its configuration.
        keras: Keras 3.
    """
    import h5py

    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            file.attrs["model_config"] = json.dumps(modern(config, keras))
        yield copy


def modern(config: Any, keras: Any) -> Any:
    """The configuration of a Keras 2 model as Keras 3 writes it; `keras` is the package of Keras 3."""
    made = deepcopy(config)
    for node in dictionaries(made):
        settings, layer = node.get("config"), getattr(keras.layers, str(node.get("class_name")), None)
        if isinstance(settings, dict) and inspect.isclass(layer):
            _drop_former(settings, _parameters(layer))
        if isinstance(node.get("axis"), list) and len(node["axis"]) == 1 and "momentum" in node:  # of a batch normalization
            node["axis"] = node["axis"][0]
        if isinstance(node.get("output_layers"), list) and isinstance(node.get("layers"), list):
            _renumber_calls(node)
    return made


def dictionaries(config: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary in a configuration, outer ones first."""
    waiting = [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _drop_former(settings: dict[str, Any], parameters: set[str]) -> None:
    """Delete settings that a layer refuses and that have no effect."""
    for name in settings.keys() & FORMER.keys() - parameters:
        if FORMER[name] is ANY or FORMER[name] == settings[name]:
            del settings[name]


def _parameters(layer: type) -> set[str]:
    """Names of the parameters of a layer, with those that it passes to its bases."""
    names: set[str] = set()
    for base in layer.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        names |= {parameter.name for parameter in parameters}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return names


def _renumber_calls(graph: dict[str, Any]) -> None:
    """Number the calls of nested models from 0 (Keras 2 begins with 1), and unwrap a single output."""
    ends, calls = list(_calls(graph["output_layers"])), list(_calls([layer.get("inbound_nodes") for layer in graph["layers"]]))
    for layer in graph["layers"]:
        if layer["class_name"] in MODELS:
            # For a functional model Keras 3 itself subtracts 1 from the call of an output.
            own = [call for call in (*calls, *ends * (layer["class_name"] == "Sequential")) if call[0] == layer["name"]]
            first = min((call[1] for call in own), default=0)
            for call in own:
                call[1] -= first
    if len(graph["output_layers"]) == 1:
        graph["output_layers"] = graph["output_layers"][0]


def _calls(node: Any) -> Iterator[list[Any]]:
    """Every reference to a layer's call: layer name, number of the call, number of the output."""
    if isinstance(node, list) and len(node) > 2 and isinstance(node[0], str) and isinstance(node[1], int):
        yield node
    elif isinstance(node, list):
        for part in node:
            yield from _calls(part)
