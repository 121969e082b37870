"""Names and shapes of a model's inputs, and the order of named arrays among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness.errors import EngineError
from harness.formats.libraries import reading


class Input(NamedTuple):
    """An input as the model declares it: its name, and its shape with the batch first, None for a dynamic dimension."""

    name: str
    shape: tuple[int | None, ...]


def model_inputs(path: Path, format_: str, *, trusted: bool = False) -> list[Input]:
    """The inputs of a model, in its order.

    Args:
        path: The file or folder.
        format_: keras, savedmodel, tflite or onnx.
        trusted: Whether the model may run its own code.

    Raises:
        EngineError: The model cannot be read.
    """
    readers = {"keras": _keras_inputs, "savedmodel": _savedmodel_inputs, "tflite": _tflite_inputs, "onnx": _onnx_inputs}
    if format_ not in readers:
        raise EngineError(f"the inputs of a model of the format {format_!r} cannot be read", f"give it as {', '.join(readers)}")
    with reading(path, "a model", "is the file whole?"):
        return readers[format_](path, trusted)


def stored_inputs(path: Path, format_: str, signature: str | None = None) -> list[Input] | None:
    """The inputs that a file declares, read without loading or running the model.

    Args:
        path: The file.
        format_: keras, h5, tflite or onnx; unknown for others.
        signature: Signature of a `.tflite`; None: its only one.

    Returns:
        None if the file does not declare them or is damaged, or if the library of its format is not installed.

    Raises:
        EngineError: A `.tflite` has several signatures and none is chosen, or lacks the chosen one.
    """
    if format_ == "tflite":
        return _stored_tflite_inputs(path, signature)
    try:
        if format_ == "onnx":
            return _onnx_inputs(path, False)
        if format_ in ("keras", "h5"):
            from harness.formats.keras import stored_shapes

            return [Input(name, shape) for name, shape in stored_shapes(path)] or None
    except Exception:  # a damaged file can make a parser raise anything; the build reports it
        return None
    return None


def _stored_tflite_inputs(path: Path, signature: str | None) -> list[Input] | None:
    from harness.formats import tflite_graph

    try:
        graphs = tflite_graph.signatures(path)
    except Exception:  # as above
        return None
    name = tflite_graph.choose(graphs, signature)
    try:
        return _tflite_inputs(path, False, graphs[name] if name else 0)
    except Exception:  # as above
        return None


def dynamic_shape(sizes: Sequence[int]) -> tuple[int | None, ...]:
    """A shape with None for each dynamic dimension, which TFLite stores as -1."""
    return tuple(None if size == -1 else int(size) for size in sizes)


def positions(inputs: Sequence[str], names: Sequence[str | None]) -> list[int]:
    """The position of each input's array among named arrays.

    Args:
        inputs: Names of the inputs, in the model's order.
        names: Names of the arrays; all None if they are in that order already.

    Raises:
        EngineError: The arrays do not name each input once.
    """
    if not any(names):
        return list(range(len(names)))
    at = {name: index for index, name in enumerate(names)}
    order = [at.get(name, at.get(base_name(name), -1)) for name in inputs]
    if len(at) < len(names) or sorted(order) != list(range(len(names))):
        raise EngineError(
            f"the data have the names {', '.join(map(str, names))}, but the model's inputs are {', '.join(inputs)}",
            "name each input once, or none",
        )
    return order


def base_name(name: str) -> str:
    """An input's name without what TensorFlow's converter adds: `serving_default_x:0` becomes `x`."""
    return name.removeprefix("serving_default_").split(":")[0]


def _keras_inputs(path: Path, trusted: bool) -> list[Input]:
    from harness.formats.keras import load_keras

    return [Input(tensor.name, tuple(tensor.shape)) for tensor in load_keras(path, trusted=trusted).inputs]


def _savedmodel_inputs(path: Path, trusted: bool) -> list[Input]:
    from harness.formats.savedmodel import load_savedmodel

    return [Input(spec.name, tuple(spec.shape)) for spec in load_savedmodel(path, trusted=trusted).inputs]


def _tflite_inputs(path: Path, trusted: bool, index: int = 0) -> list[Input]:
    from harness.formats.tflite_graph import read_graph

    graph = read_graph(path, index)
    return [Input(tensor.name, dynamic_shape(tensor.signature)) for tensor in (graph.tensors[index] for index in graph.inputs)]


def _onnx_inputs(path: Path, trusted: bool) -> list[Input]:
    from harness.formats.onnx import declared_inputs, dimensions, load_onnx

    return [Input(value.name, dimensions(value)) for value in declared_inputs(load_onnx(path, weights=False).graph)]
