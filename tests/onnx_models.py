"""Small ONNX models, written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper


def save(
    folder: Path,
    inputs: list[tuple],
    nodes: list[tuple],
    name: str = "model.onnx",
    outputs: list[str] | None = None,
    **constants: np.ndarray,
) -> Path:
    """A model in a file.

    Args:
        folder: Where to.
        inputs: (name, type, shape), an axis None or a word where it is open.
        nodes: (output, operator, inputs) or (output, operator, inputs, attributes); an output may be a list.
        name: Of the file.
        outputs: Names of the outputs; each node's where none are given.
        constants: Initializers by name.
    """
    made = [helper.make_node(n[1], n[2], n[0] if isinstance(n[0], list) else [n[0]], **(n[3] if len(n) > 3 else {})) for n in nodes]
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info(n, getattr(onnx.TensorProto, kind), shape) for n, kind, shape in inputs],
        [onnx.ValueInfoProto(name=n) for n in outputs or [output for node in made for output in node.output]],
        [numpy_helper.from_array(array, n) for n, array in constants.items()],
    )
    path = folder / name
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
