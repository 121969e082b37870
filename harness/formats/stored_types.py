"""Types of the weights as a model file stores them, independent of what an engine reports."""

from __future__ import annotations

from pathlib import Path

from harness.formats import ir, onnx, tflite


def stored_types(path: Path, format_: str) -> set[str] | None:
    """Types of the weights as NumPy names them; 8-bit integers are `int8`, signed or not.

    Args:
        path: The artifact.
        format_: Its format.

    Returns:
        None for a format without a reader here.

    Raises:
        EngineError: The file cannot be read.
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
