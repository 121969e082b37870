"""OpenVINO models in a folder (`model.xml`, `model.bin`): read, write, count. Nothing is compiled."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.errors import EngineError
from harness.formats.base import Format, Imported, ImportRequest
from harness.formats.libraries import import_library, reading
from harness.schema import ArtifactFacts, FormatSpec

KIND = ("an OpenVINO model", "convert it again; the files may be damaged or truncated")
NAME = "model.xml"
INSTALL = "pip install 'harness[openvino]'"
# OpenVINO's names of types, also at the end of a kernel's name -> NumPy's; 8-bit integers are one type, signed or not.
TYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i8": "int8", "u8": "int8", "i4": "int4", "u4": "int4"}
# Operators with subgraphs, whose constants are not read.
NESTED = ("If", "Loop", "TensorIterator")
# Operators whose integer constants are weights at any width: OpenVINO widens those of integer products.
PRODUCTS = ("MatMul", "Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData")
# Operators between a constant and its use that only undo how it is stored.
BETWEEN = ("Convert", "Reshape", "Transpose", "Unsqueeze", "Squeeze")


class OpenVinoIr(Format):
    """A folder with OpenVINO's intermediate representation; only our builds write it."""

    spec: ClassVar = FormatSpec(name="ir", summary="OpenVINO IR", packages=("openvino", "numpy"))

    def import_model(self, request: ImportRequest) -> Imported:
        """Not offered: a user's model of this kind has no suffix."""
        raise EngineError("OpenVINO files are not read from a user", "give the ONNX model that they were made from", refused=True)

    def stored_types(self, path: Path) -> set[str]:
        """Types of the constants."""
        return stored_types(read_ir(path))


def import_openvino() -> Any:
    """The `openvino` package, with its telemetry off; refused if it is not installed."""
    os.environ.setdefault("CI", "true")  # disables telemetry without writing a file in the user's home
    return import_library("openvino", "OpenVINO", INSTALL)


def import_nncf() -> Any:
    """The `nncf` package, which quantizes OpenVINO and ONNX models, with its telemetry off; refused if it is not installed."""
    os.environ.setdefault("NNCF_CI", "1")
    import_openvino()
    return import_library("nncf", "NNCF", INSTALL)


def read_ir(folder: Path) -> Any:
    """The model in a folder.

    Raises:
        EngineError: It is missing or damaged, or `openvino` is not installed.
    """
    core = import_openvino().Core()
    with reading(folder, *KIND):
        return core.read_model(str(folder / NAME))


def write_ir(model: Any, folder: Path, *, float16: bool = False) -> Path:
    """Save a model in a new folder.

    Args:
        model: OpenVINO model.
        folder: Parent of the new folder.
        float16: Whether weights are stored in float16.

    Returns:
        The new folder.
    """
    target = folder / "ir"
    target.mkdir()
    import_openvino().save_model(model, str(target / NAME), compress_to_fp16=float16)
    return target


def facts(model: Any) -> ArtifactFacts:
    """Number of nonzero weights and biases as stored; parameters and multiply-accumulates are not counted.

    None if the model has subgraphs. Single numbers are coefficients, not weights.
    """
    nodes = model.get_ordered_ops()
    if any(node.get_type_name() in NESTED for node in nodes):
        return ArtifactFacts()
    scales = {source.get_name() for node in nodes for source in _scales(node)}
    factors = (_source(node.input_value(at).get_node()) for node in nodes if node.get_type_name() in PRODUCTS for at in (0, 1))
    weights = {node.get_name(): node for node in nodes if _is_weight(node) and node.get_name() not in scales}
    weights |= {node.get_name(): node for node in factors if node.get_type_name() == "Constant"}
    return ArtifactFacts(nonzero_parameters=sum(map(_nonzero, weights.values())))


def stored_types(model: Any) -> set[str]:
    """Types of the constants that could be weights, as NumPy names them: floats and integers of 8 bits and less, without scalars."""
    return {TYPES[op.get_element_type().get_type_name()] for op in model.get_ordered_ops() if _is_weight(op)}


def _is_weight(node: Any) -> bool:
    """Whether a node is a constant of several floats or small integers."""
    constant = node.get_type_name() == "Constant" and node.get_element_type().get_type_name() in TYPES
    return bool(constant and prod(node.get_output_shape(0)) > 1)


def _nonzero(constant: Any) -> int:
    """Number of nonzero values of a constant; 4-bit values are stored two in a byte."""
    if constant.get_element_type().get_type_name() != "i4":
        return int(np.count_nonzero(constant.data))
    packed = constant.data.view(np.uint8)
    return int(np.count_nonzero(packed & 15) + np.count_nonzero(packed >> 4))


def _scales(node: Any) -> list[Any]:
    """The scales, zero points and limits by which a node quantizes, or converts small integers to floats."""
    kind = node.get_type_name()
    if kind == "FakeQuantize":
        places = range(1, node.get_input_size())
    elif kind in ("Multiply", "Subtract") and _is_small(_source(node.input_value(0).get_node())):
        places = range(1, 2)
    else:
        return []
    sources = [_source(node.input_value(at).get_node()) for at in places]
    return [source for source in sources if source.get_type_name() == "Constant"]


def _source(node: Any) -> Any:
    """The node behind changes of type and shape and the zero point of small integers."""
    while node.get_type_name() in BETWEEN or (node.get_type_name() == "Subtract" and _is_small(_source(node.input_value(0).get_node()))):
        node = node.input_value(0).get_node()
    return node


def _is_small(node: Any) -> bool:
    return bool(node.get_type_name() == "Constant" and TYPES.get(node.get_element_type().get_type_name(), "").startswith("int"))
