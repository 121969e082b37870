"""A folder with OpenVINO's intermediate representation (`model.xml`, `model.bin`) -> the model, and what can be counted in it. Compiles nothing."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import EngineError
from harness.formats.libraries import reading
from harness.schema import ArtifactFacts

KIND = ("an OpenVINO model", "convert it again; the files may be damaged or cut short")
NAME = "model.xml"
# What OpenVINO calls types, also at the end of a kernel's name -> NumPy's; 8-bit integers are one, signed or not.
TYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i8": "int8", "u8": "int8", "i4": "int4", "u4": "int4"}
# Operators that hold graphs of their own, whose constants are not looked at.
NESTED = ("If", "Loop", "TensorIterator")
# Operators whose integer constants are weights of any size: OpenVINO widens those of integer products.
PRODUCTS = ("MatMul", "Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData")
# Operators between a constant and where it is used, that may be there only because it is stored small or in another shape.
BETWEEN = ("Convert", "Reshape", "Transpose", "Unsqueeze", "Squeeze")


def import_openvino() -> Any:
    """The `openvino` package; it and its tools send their makers no word of what they are used for.

    Raises:
        EngineError: It is not installed.
    """
    os.environ.setdefault("CI", "true")  # the one way without a file in the user's home: they are silent in continuous integration
    try:
        import openvino
    except ImportError as error:
        raise EngineError(f"OpenVINO cannot be imported: {error}", "pip install 'harness[openvino]'", refused=True) from error
    return openvino


def import_nncf() -> Any:
    """The `nncf` package, which quantizes OpenVINO's models and ONNX ones; it is as silent as `import_openvino` makes it.

    Raises:
        EngineError: It is not installed.
    """
    os.environ.setdefault("NNCF_CI", "1")
    import_openvino()
    try:
        import nncf
    except ImportError as error:
        raise EngineError(f"NNCF cannot be imported: {error}", "pip install 'harness[openvino]'", refused=True) from error
    return nncf


def read_ir(folder: Path) -> Any:
    """The model in a folder.

    Raises:
        EngineError: There is none, or a damaged one; or no `openvino` installed.
    """
    core = import_openvino().Core()
    with reading(folder, *KIND):
        return core.read_model(str(folder / NAME))


def write_ir(model: Any, folder: Path, *, float16: bool = False) -> Path:
    """Save a model into a folder of its own.

    Args:
        model: OpenVINO's.
        folder: Where to make it.
        float16: Whether weights are kept in float16.

    Returns:
        The new folder.
    """
    target = folder / "ir"
    target.mkdir()
    import_openvino().save_model(model, str(target / NAME), compress_to_fp16=float16)
    return target


def facts(model: Any) -> ArtifactFacts:
    """How many numbers of its weights and biases are not 0, as they are stored; parameters and multiply-accumulates are not counted.

    None where graphs inside the model hold some. A single number is a coefficient and no weight.
    """
    nodes = model.get_ordered_ops()
    if any(node.get_type_name() in NESTED for node in nodes):
        return ArtifactFacts()
    beside = {source.get_name() for node in nodes for source in _scales(node)}
    factors = (_source(node.input_value(at).get_node()) for node in nodes if node.get_type_name() in PRODUCTS for at in (0, 1))
    weights = {node.get_name(): node for node in nodes if _is_weight(node) and node.get_name() not in beside}
    weights |= {node.get_name(): node for node in factors if node.get_type_name() == "Constant"}
    return ArtifactFacts(nonzero_parameters=sum(_nonzero(node) for node in weights.values()))


def stored_types(model: Any) -> set[str]:
    """Types of the constants that could be weights, NumPy's names: floats, and integers of 8 bits and less; scalars are none."""
    return {TYPES[op.get_element_type().get_type_name()] for op in model.get_ordered_ops() if _is_weight(op)}


def _is_weight(node: Any) -> bool:
    """Whether a node is a constant that could be weights: of floats or small integers, and more than one."""
    constant = node.get_type_name() == "Constant" and node.get_element_type().get_type_name() in TYPES
    return bool(constant and prod(node.get_output_shape(0)) > 1)


def _nonzero(constant: Any) -> int:
    """How many numbers of a constant are not 0; of four bits there are two in a byte."""
    if constant.get_element_type().get_type_name() != "i4":
        return int(np.count_nonzero(constant.data))
    packed = constant.data.view(np.uint8)
    return int(np.count_nonzero(packed & 15) + np.count_nonzero(packed >> 4))


def _scales(node: Any) -> list[Any]:
    """The constants that a node quantizes with, or by which it makes small integers real: scales, zero points, limits."""
    kind = node.get_type_name()
    if kind == "FakeQuantize":
        found = [_source(node.input_value(at).get_node()) for at in range(1, node.get_input_size())]
    elif kind in ("Multiply", "Subtract") and _is_small(_source(node.input_value(0).get_node())):
        found = [_source(node.input_value(1).get_node())]
    else:
        return []
    return [source for source in found if source.get_type_name() == "Constant"]


def _source(node: Any) -> Any:
    """What a node is made of, seen through changes of type and shape and the zero point of small integers."""
    while node.get_type_name() in BETWEEN or (node.get_type_name() == "Subtract" and _is_small(_source(node.input_value(0).get_node()))):
        node = node.input_value(0).get_node()
    return node


def _is_small(node: Any) -> bool:
    return bool(node.get_type_name() == "Constant" and TYPES.get(node.get_element_type().get_type_name(), "").startswith("int"))
