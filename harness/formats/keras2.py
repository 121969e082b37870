"""A model that Keras 2 saved as `.h5` -> the same file as Keras 3 reads it: without settings that it no longer has, where they say nothing."""

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
    **dict.fromkeys(
        ("kernel_initializer", "kernel_regularizer", "kernel_constraint"), ANY
    ),  # of separable layers, which have no such kernel
}
"""Settings that layers of Keras 2 write and some of Keras 3 refuse, each with the value at which it changes nothing."""
OTHER = "hard_sigmoid"
"""A function that is another one in Keras 3: clip(x/6 + 1/2), where Keras 2 has clip(x/5 + 1/2)."""


def calls_another(config: Any) -> bool:
    """Whether a model of Keras 2 uses a function that Keras 3 computes otherwise, so that it would load and answer something else.

    Args:
        config: Its configuration.
    """
    used = (value for node in _dicts(config) for name, value in node.items() if name.endswith("activation"))
    return any(OTHER in (value, value.get("config") if isinstance(value, dict) else None) for value in used)


@contextmanager
def readable(path: Path, config: Any, keras: Any) -> Iterator[Path]:
    """The file as Keras 3 reads it, a copy for the time being.

    Args:
        path: An `.h5` of a whole model that Keras 2 saved.
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
    """The configuration of a model as Keras 3 writes it.

    Args:
        config: As Keras 2 did.
        keras: Keras 3.
    """
    made = deepcopy(config)
    for node in _dicts(made):
        settings, layer = node.get("config"), getattr(keras.layers, str(node.get("class_name")), None)
        if isinstance(settings, dict) and inspect.isclass(layer):
            _leave_out(settings, _taken(layer))
        if isinstance(node.get("axis"), list) and len(node["axis"]) == 1 and "momentum" in node:  # of a batch normalization
            node["axis"] = node["axis"][0]
        if isinstance(node.get("output_layers"), list) and isinstance(node.get("layers"), list):
            _as_called(node)
    return made


def _dicts(config: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a configuration, the outer before the inner."""
    waiting = [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _leave_out(settings: dict[str, Any], taken: set[str]) -> None:
    """Take away what a layer refuses and what says nothing."""
    for name in settings.keys() & FORMER.keys() - taken:
        if FORMER[name] is ANY or FORMER[name] == settings[name]:
            del settings[name]


def _taken(layer: type) -> set[str]:
    """The settings that a layer takes, those that it hands on to its bases too."""
    taken: set[str] = set()
    for base in layer.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        taken |= {parameter.name for parameter in parameters}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return taken


def _as_called(graph: dict[str, Any]) -> None:
    """Number the calls of models inside a functional one from 0, where Keras 2 begins with 1, and tell its one output without a list."""
    ends, calls = list(_calls(graph["output_layers"])), list(_calls([layer.get("inbound_nodes") for layer in graph["layers"]]))
    for layer in graph["layers"]:
        if layer["class_name"] in MODELS:
            # Of a functional model Keras 3 takes 1 from the number of an output by itself.
            of_this = [call for call in (*calls, *ends * (layer["class_name"] == "Sequential")) if call[0] == layer["name"]]
            first = min((call[1] for call in of_this), default=0)
            for call in of_this:
                call[1] -= first
    if len(graph["output_layers"]) == 1:
        graph["output_layers"] = graph["output_layers"][0]


def _calls(node: Any) -> Iterator[list[Any]]:
    """Every reference to a layer's call: its name, the number of the call, the number of the output."""
    if isinstance(node, list) and len(node) > 2 and isinstance(node[0], str) and isinstance(node[1], int):
        yield node
    elif isinstance(node, list):
        for part in node:
            yield from _calls(part)
