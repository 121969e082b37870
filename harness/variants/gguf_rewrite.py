"""A GGUF file -> one whose tensors have other types, tensor by tensor in pieces of limited size; by the codecs of the package gguf."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from harness.formats.ggml import F16, TYPES, GgmlType
from harness.formats.gguf import REQUANTIZED
from harness.formats.gguf_header import MAGIC, TEXT, UINT32, Field, Header, TensorInfo, padding
from harness.formats.libraries import import_library
from harness.variants.base import not_applicable

INSTALL = "pip install 'harness[llm]'"
VERSION, QUANTIZATION_VERSION = 3, 2
CALIBRATION = "quantize.imatrix."
"""Prefix of the fields that describe the calibration of the quantization before."""
PIECE_ELEMENTS = 2**22
"""Elements that are converted at a time, or those of one row if it is longer."""
KEPT = re.compile(
    r"(_norm|ffn_gate_inp|position_embd|token_types|ssm_conv1d|shortconv\.conv|attn_rel_b|altup.*|laurel.*|time_mix_.*|per_layer_model_proj)\.weight$"
)
"""Matrices that llama.cpp's quantizer leaves as they are: routers, positions and small factors of recurrences."""
FLOAT16_MAX = float(np.finfo(np.float16).max)
DIVISOR = {"F16": 1.0, "Q8_0": 127.0, "Q4_0": 8.0}
"""Largest absolute value of a block divided by its scale, which is stored in float16."""


def planned(header: Header, target: GgmlType) -> list[GgmlType]:
    """Type of each tensor in a file of a target type; vectors keep theirs, and rows that are no whole number of blocks get float16."""
    return [_planned(each, target) for each in header.tensors]


def _planned(tensor: TensorInfo, target: GgmlType) -> GgmlType:
    if tensor.rows == 1 or tensor.type.is_integer or not tensor.name.endswith(".weight") or KEPT.search(tensor.name):
        return tensor.type
    return target if tensor.sizes[0] % target.block == 0 else TYPES[F16]


def quantized_before(header: Header, types: Mapping[str, GgmlType]) -> list[str]:
    """Quantized types, in this file or one before it, of tensors that get another type, by GGML's name.

    Args:
        header: Header of the source.
        types: New type of each tensor by its name.
    """
    here = {each.type.name for each in header.tensors if each.type.numpy is None and types.get(each.name) != each.type}
    return sorted(here | set(filter(None, (header.text(REQUANTIZED) or "").split(","))))


def rewrite(source: Path, header: Header, types: list[GgmlType], target: Path, file_type: int) -> None:
    """Write a file with the metadata of another and tensors of other types.

    Args:
        source: The file.
        header: Its header.
        types: New type of each tensor.
        target: Path of the new file.
        file_type: llama.cpp's number of its file type.

    Raises:
        EngineError: A tensor cannot be read by the package gguf, or has values that the new type cannot hold.
    """
    before = quantized_before(header, {each.name: kind for each, kind in zip(header.tensors, types, strict=True)})
    added = {key: struct.pack("<II", UINT32, number) for key, number in _numbers(file_type).items()}
    added |= {REQUANTIZED: struct.pack("<I", TEXT) + _text(",".join(before))} if before else {}
    with source.open("rb") as reading, target.open("xb") as writing:
        writing.write(_header(reading, header, types, added))
        for tensor, kind in zip(header.tensors, types, strict=True):
            reading.seek(header.data_start + tensor.offset)
            for piece in _pieces(reading, tensor):
                writing.write(piece if kind == tensor.type else converted(piece, tensor, kind))
            writing.write(bytes(padding(tensor._replace(type=kind).bytes, header.alignment)))


def _header(reading: BinaryIO, header: Header, types: list[GgmlType], added: Mapping[str, bytes]) -> bytes:
    """All of the new file before its data."""
    kept = [field for key, field in header.fields.items() if key not in added and not key.startswith(CALIBRATION)]
    content = bytearray(MAGIC + struct.pack("<IQQ", VERSION, len(types), len(kept) + len(added)))
    for field in kept:
        content += _raw(reading, field)
    for key, value in added.items():
        content += _text(key) + value
    offset = 0
    for tensor, kind in zip(header.tensors, types, strict=True):
        sizes = struct.pack(f"<I{len(tensor.sizes)}Q", len(tensor.sizes), *tensor.sizes)
        content += _text(tensor.name) + sizes + struct.pack("<IQ", kind.number, offset)
        offset += tensor._replace(type=kind).bytes
        offset += padding(offset, header.alignment)
    return bytes(content) + bytes(padding(len(content), header.alignment))


def _numbers(file_type: int) -> dict[str, int]:
    return {"general.file_type": file_type, "general.quantization_version": QUANTIZATION_VERSION}


def _raw(reading: BinaryIO, field: Field) -> bytes:
    """A key with its value as the file has it, so that nothing of it changes."""
    reading.seek(field.start)
    return reading.read(field.end - field.start)


def _text(value: str) -> bytes:
    content = value.encode()
    return struct.pack("<Q", len(content)) + content


def _pieces(reading: BinaryIO, tensor: TensorInfo) -> Iterator[bytes]:
    """The rows of a tensor, some at a time."""
    row_bytes, step = tensor.type.row_bytes(tensor.sizes[0]), max(1, PIECE_ELEMENTS // tensor.sizes[0])
    for first in range(0, tensor.rows, step):
        yield reading.read(min(step, tensor.rows - first) * row_bytes)


def converted(piece: bytes, tensor: TensorInfo, kind: GgmlType) -> bytes:
    """Rows of a tensor in another type.

    Args:
        piece: Rows in the type of the tensor.
        tensor: The tensor.
        kind: Type of the result.

    Raises:
        EngineError: The package gguf cannot read the tensor's type, or a value is not finite or too large.
    """
    values = _values(piece, tensor)
    peak = float(np.abs(values).max()) / DIVISOR[kind.name]
    if not peak <= FLOAT16_MAX:  # NaN too
        what = "values that are not finite" if not np.isfinite(peak) else f"values up to {peak * DIVISOR[kind.name]:.3g}"
        raise not_applicable(f"tensor {tensor.name!r} has {what}, which {kind.name} cannot store")
    gguf = _import_gguf()
    made: bytes = gguf.quants.quantize(values, gguf.GGMLQuantizationType(kind.number)).tobytes()
    return made


def _values(piece: bytes, tensor: TensorInfo) -> NDArray[np.float32]:
    """Rows as float32."""
    gguf, rows = _import_gguf(), np.frombuffer(piece, np.uint8).reshape(-1, tensor.type.row_bytes(tensor.sizes[0]))
    if tensor.type.name == "F64":
        return rows.view(np.float64).astype(np.float32)
    try:
        values: NDArray[np.float32] = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType(tensor.type.number))
    except (NotImplementedError, ValueError):  # ValueError: a type that an older package does not know
        raise not_applicable(f"tensor {tensor.name!r} has the type {tensor.type.name}, which the package gguf cannot read") from None
    return values


def _import_gguf() -> Any:
    return import_library("gguf", "gguf", INSTALL)
