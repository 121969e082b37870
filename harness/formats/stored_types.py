"""A model file of any format -> the types of the numbers it stores, which no engine can talk away."""

from __future__ import annotations

from pathlib import Path

from harness.formats import ir, onnx, tflite


def stored_types(path: Path, format_: str) -> set[str] | None:
    """Types of the weights by NumPy's names, 8-bit integers as `int8`, signed or not.

    Args:
        path: The artifact.
        format_: Its format.

    Returns:
        Null for a format that is not read here.

    Raises:
        EngineError: It cannot be read.
    """
    if format_ == "tflite":
        types = set(tflite.weight_types(path))
    elif format_ == "onnx":
        types = onnx.stored_types(onnx.load_onnx(path, weights=False))
    elif format_ == "ir":
        types = ir.stored_types(ir.read_ir(path))
    else:
        return None
    return {"int8" if name == "uint8" else name for name in types}
