"""A model file of any format -> the names and shapes of its inputs; and arrays with names -> their order among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness.errors import EngineError
from harness.formats.libraries import reading


class Input(NamedTuple):
    """An input as the model declares it; its first axis is the batch, None where a size is open."""

    name: str
    shape: tuple[int | None, ...]


def model_inputs(path: Path, format_: str, *, trusted: bool = False) -> list[Input]:
    """The inputs of a model, in its order.

    Args:
        path: The file or folder.
        format_: keras, savedmodel, tflite or onnx.
        trusted: Whether the model may run code of its own.

    Raises:
        EngineError: It cannot be read.
    """
    readers = {"keras": _of_keras, "savedmodel": _of_savedmodel, "tflite": _of_tflite, "onnx": _of_onnx}
    if format_ not in readers:
        raise EngineError(f"the inputs of a model of the format {format_!r} cannot be read", f"give it as {', '.join(readers)}")
    with reading(path, "a model", "is the file whole?"):
        return readers[format_](path, trusted)


def stored_inputs(path: Path, format_: str, signature: str | None = None) -> list[Input] | None:
    """The inputs as a file stores them, read without running or loading the model.

    Args:
        path: The file.
        format_: keras, h5, tflite or onnx; of others they are not known.
        signature: Which of a `.tflite`; None: its only one.

    Returns:
        None where they are not stored as such, the file is damaged, or the library of its format is not installed.

    Raises:
        EngineError: A `.tflite` has several signatures and none is chosen, or has not the one that is.
    """
    if format_ == "tflite":
        return _stored_in_tflite(path, signature)
    try:
        if format_ == "onnx":
            return _of_onnx(path, False)
        if format_ in ("keras", "h5"):
            from harness.formats.keras import stored_shapes

            return [Input(name, shape) for name, shape in stored_shapes(path)] or None
    except Exception:  # a damaged file can make a parser raise anything; the build says what is wrong with it
        return None
    return None


def _stored_in_tflite(path: Path, signature: str | None) -> list[Input] | None:
    from harness.formats import tflite_graph

    try:
        found = tflite_graph.signatures(path)
    except Exception:  # likewise
        return None
    name = tflite_graph.choose(found, signature)
    try:
        graph = tflite_graph.read_graph(path, found[name] if name else 0)
        tensors = [graph.tensors[index] for index in graph.inputs]
        return [Input(tensor.name, tuple(None if size == -1 else size for size in tensor.signature)) for tensor in tensors]
    except Exception:  # likewise
        return None


def positions(wanted: Sequence[str], given: Sequence[str | None]) -> list[int]:
    """Where the array of each input stands among arrays that name their inputs.

    Args:
        wanted: The inputs' names, in the model's order.
        given: The arrays' names; all null where they are in that order already.

    Raises:
        EngineError: The arrays do not name each input once.
    """
    if not any(given):
        return list(range(len(given)))
    at = {name: index for index, name in enumerate(given)}
    found = [at.get(name, at.get(base_name(name))) for name in wanted]
    if len(at) < len(given) or sorted(i for i in found if i is not None) != list(range(len(given))) or None in found:
        raise EngineError(
            f"the data name {', '.join(map(str, given))}, the model's inputs are {', '.join(wanted)}", "name each input once, or none"
        )
    return [index for index in found if index is not None]


def base_name(name: str) -> str:
    """An input's name without what TensorFlow's converter adds: `serving_default_x:0` -> `x`."""
    return name.removeprefix("serving_default_").split(":")[0]


def _of_keras(path: Path, trusted: bool) -> list[Input]:
    from harness.formats.keras import load_keras

    return [Input(tensor.name, tuple(tensor.shape)) for tensor in load_keras(path, trusted=trusted).inputs]


def _of_savedmodel(path: Path, trusted: bool) -> list[Input]:
    from harness.formats.savedmodel import load_savedmodel

    return [Input(spec.name, tuple(spec.shape)) for spec in load_savedmodel(path, trusted=trusted).inputs]


def _of_tflite(path: Path, trusted: bool) -> list[Input]:
    from harness.formats.tflite_graph import import_interpreter

    details = import_interpreter().Interpreter(model_path=str(path)).get_input_details()
    return [Input(d["name"], tuple(None if size == -1 else int(size) for size in d["shape_signature"])) for d in details]


def _of_onnx(path: Path, trusted: bool) -> list[Input]:
    from harness.formats.onnx import load_onnx

    graph = load_onnx(path, weights=False).graph
    constants = {tensor.name for tensor in graph.initializer}  # old exporters list them among the inputs
    return [
        Input(value.name, tuple(dim.dim_value or None for dim in value.type.tensor_type.shape.dim))
        for value in graph.input
        if value.name not in constants
    ]
