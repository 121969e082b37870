"""A folder with OpenVINO's intermediate representation (`model.xml`, `model.bin`) -> the model, and what can be counted in it. Compiles nothing."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import EngineError
from harness.formats.reading import reading
from harness.schema import ArtifactFacts

KIND = ("an OpenVINO model", "convert it again; the files may be damaged or cut short")
NAME = "model.xml"
# What OpenVINO calls types, also at the end of a kernel's name -> NumPy's; 8-bit integers are one, signed or not.
TYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i8": "int8", "u8": "int8", "i4": "int4", "u4": "int4"}
# Operators that weights and biases go into, and those that may lie between: a decompression, a quantization, a change of shape.
WEIGHTED = ("Add", "MatMul", "Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData")
BETWEEN = ("Convert", "Multiply", "Subtract", "Reshape", "Transpose", "FakeQuantize")


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
    """How many weights and biases are not 0, as they are stored; parameters and multiply-accumulates are not counted."""
    constants = {id_: op for node in model.get_ordered_ops() if node.get_type_name() in WEIGHTED for id_, op in _constants(node)}
    return ArtifactFacts(nonzero_parameters=sum(_nonzero(op) for op in constants.values()))


def stored_types(model: Any) -> set[str]:
    """Types of the constants that could be weights, NumPy's names: floats, and integers of 8 bits and less; scalars are none."""
    constants = [op for op in model.get_ordered_ops() if op.get_type_name() == "Constant"]
    return {
        TYPES[name] for op in constants if (name := op.get_element_type().get_type_name()) in TYPES and prod(op.get_output_shape(0)) > 1
    }


def _nonzero(constant: Any) -> int:
    """How many numbers of a constant are not 0; of four bits there are two in a byte."""
    if constant.get_element_type().get_type_name() != "i4":
        return int(np.count_nonzero(constant.data))
    packed = constant.data.view(np.uint8)
    return int(np.count_nonzero(packed & 15) + np.count_nonzero(packed >> 4))


def _constants(node: Any) -> list[tuple[str, Any]]:
    """What is stored of a node's inputs, by name, seen through decompression and quantization."""
    found = []
    for at in range(node.get_input_size()):
        source = node.input_value(at).get_node()
        while source.get_type_name() in BETWEEN:
            source = source.input_value(0).get_node()
        if source.get_type_name() == "Constant":
            found.append((source.get_name(), source))
    return found
