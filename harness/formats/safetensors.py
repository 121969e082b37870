"""Headers of `.safetensors` files, read with limits: no length or offset in a file is trusted, and no tensor is read."""

from __future__ import annotations

import json
import os
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import EngineError
from harness.userfiles import DATA_BYTES, MIB, open_regular

DAMAGED = "copy or download it again; the file may be damaged or truncated"
LFS_POINTER = b"version https://git-lfs"
MAX_HEADER_BYTES = 100 * MIB
"""Largest header, as in the library safetensors."""
MAX_ELEMENTS = 2**62
METADATA = "__metadata__"
TYPES = {
    "F64": (64, "float64"), "F32": (32, "float32"), "F16": (16, "float16"), "BF16": (16, "bfloat16"), "F8_E4M3": (8, "float8_e4m3fn"),
    "F8_E5M2": (8, "float8_e5m2"), "F8_E8M0": (8, "float8_e8m0fnu"), "F8_E4M3FNUZ": (8, "float8_e4m3fnuz"),
    "F8_E5M2FNUZ": (8, "float8_e5m2fnuz"), "F6_E2M3": (6, "float6_e2m3fn"), "F6_E3M2": (6, "float6_e3m2fn"), "F4": (4, "float4_e2m1fn"),
    "I64": (64, "int64"), "I32": (32, "int32"), "I16": (16, "int16"), "I8": (8, "int8"), "U64": (64, "uint64"), "U32": (32, "uint32"),
    "U16": (16, "uint16"), "U8": (8, "uint8"), "BOOL": (8, "bool"), "C64": (64, "complex64"),
}  # fmt: skip
"""Bits of an element and NumPy's name, by the name in a file."""


class Stored(NamedTuple):
    """A tensor in a file.

    Attributes:
        name: Its name.
        type: Name of its type in the file.
        shape: Its shape.
    """

    name: str
    type: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def numpy(self) -> str:
        """NumPy's name of its type."""
        return TYPES[self.type][1]


def read_tensors(path: Path) -> list[Stored]:
    """The tensors of a file.

    Raises:
        EngineError: It is not a `.safetensors` file, or is damaged or cut short.
    """
    with open_regular(path, "safetensors file", limit_bytes=DATA_BYTES, error=EngineError) as stream:
        size, start = os.fstat(stream.fileno()).st_size, stream.read(len(LFS_POINTER))
        if start == LFS_POINTER:
            raise EngineError(f"{path.name} is a Git LFS pointer, not the weights", "run `git lfs pull`")
        length = int.from_bytes(start[:8], "little")
        if len(start) < 8 or not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
            raise EngineError(f"{path.name} is not a safetensors file: its header would have {length} of {size} bytes", DAMAGED)
        stream.seek(8)
        content = stream.read(length)
    try:
        entries = json.loads(content, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"{path.name} is not a safetensors file: its header is not JSON ({str(error)[:100]})", DAMAGED) from None
    if not isinstance(entries, dict):
        raise EngineError(f"{path.name} is not a safetensors file: its header is no mapping", DAMAGED)
    entries.pop(METADATA, None)
    return _checked(path, entries, size - 8 - length)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: It has a name twice.
    """
    if len(entries := dict(pairs)) < len(pairs):
        raise ValueError("it has a name twice")
    return entries


def _checked(path: Path, entries: dict[str, Any], data_bytes: int) -> list[Stored]:
    """The tensors, which must fill the data without a gap."""
    tensors, places = [], []
    for name, entry in entries.items():
        match entry:
            case {"dtype": str(kind), "shape": [*shape], "data_offsets": [int(first), int(end)]} if kind in TYPES and _are_sizes(shape):
                tensor = Stored(name, kind, tuple(shape))
                places.append((first, end, tensor))
            case _:
                raise EngineError(f"{path.name} is damaged: its entry of tensor {name[:80]!r} is {str(entry)[:80]}", DAMAGED)
        if tensor.elements > MAX_ELEMENTS or end - first != (tensor.elements * TYPES[kind][0] + 7) // 8:
            raise EngineError(f"{path.name} is damaged: tensor {name[:80]!r} of {kind} {list(shape)} has {end - first} bytes", DAMAGED)
        tensors.append(tensor)
    expected = 0
    for first, end, tensor in sorted(places):
        if first != expected:
            raise EngineError(f"{path.name} is damaged: tensor {tensor.name[:80]!r} begins at byte {first}, not at {expected}", DAMAGED)
        expected = end
    if expected != data_bytes:
        what = "is cut short" if expected > data_bytes else "is damaged"
        raise EngineError(f"{path.name} {what}: its tensors take {expected} bytes, but the file has {data_bytes}", DAMAGED)
    return tensors


def _are_sizes(shape: list[Any]) -> bool:
    return len(shape) <= 16 and all(isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 2**62 for size in shape)
