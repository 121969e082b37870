"""GGUF files written byte by byte, so that any of them can be wrong."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.formats.ggml import TYPES

UINT32, FLOAT32, BOOL, TEXT, ARRAY, UINT64 = 4, 6, 7, 8, 9, 10
LLAMA = {
    "general.architecture": "llama",
    "general.name": "tiny",
    "llama.block_count": 1,
    "llama.context_length": 128,
    "llama.embedding_length": 64,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.tokens": ["<|eos|>", "a", "b"],
}
NUMBERS = {name: number for number, (_, name, *_) in TYPES.items()}


class Tensor:
    """A tensor to write: values by default random, or bytes of any content.

    Args:
        name: Its name.
        sizes: Its sizes, the contiguous one first.
        type_: GGML's name of its type, or a number.
        offset: Offset that is written instead of the right one.
    """

    def __init__(self, name: str, sizes: Sequence[int], type_: str | int = "F32", content: bytes | None = None, offset: int | None = None):
        self.name, self.sizes, self.offset = name, sizes, offset
        self.number = type_ if isinstance(type_, int) else NUMBERS[type_]
        if content is None:
            content = np.random.default_rng(len(name)).standard_normal(int(np.prod(sizes)), dtype=np.float32).tobytes()
        self.content = content


def text(value: str) -> bytes:
    """A text with its length."""
    return struct.pack("<Q", len(value.encode())) + value.encode()


def value(content: Any) -> bytes:
    """A value with its type; bytes as they are."""
    if isinstance(content, bytes):
        return content
    if isinstance(content, bool):
        return struct.pack("<I?", BOOL, content)
    if isinstance(content, int):
        return struct.pack("<II", UINT32, content)
    if isinstance(content, float):
        return struct.pack("<If", FLOAT32, content)
    if isinstance(content, str):
        return struct.pack("<I", TEXT) + text(content)
    return struct.pack("<IIQ", ARRAY, TEXT, len(content)) + b"".join(map(text, content))


def gguf_bytes(fields: Mapping[str, Any], tensors: Sequence[Tensor], version: int = 3, alignment: int = 32) -> bytes:
    """A whole file."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(fields))
    out += b"".join(text(key) + value(each) for key, each in fields.items())
    data = b""
    for each in tensors:
        data += bytes(-len(data) % alignment)
        place = len(data) if each.offset is None else each.offset
        out += text(each.name) + struct.pack(f"<I{len(each.sizes)}Q", len(each.sizes), *each.sizes) + struct.pack("<IQ", each.number, place)
        data += each.content
    return out + bytes(-len(out) % alignment) + data


def tiny(folder: Path, fields: Mapping[str, Any] | None = None, tensors: Sequence[Tensor] | None = None, **options: int) -> Path:
    """A small llama in a file: two matrices and a norm; more fields, None to leave one out."""
    chosen = {key: each for key, each in {**LLAMA, **(fields or {})}.items() if each is not None}
    path = folder / "tiny.gguf"
    path.write_bytes(gguf_bytes(chosen, matrices() if tensors is None else tensors, **options))
    return path


def matrices() -> list[Tensor]:
    """An embedding whose rows are whole blocks, a norm, and a matrix of 48 columns."""
    return [
        Tensor("token_embd.weight", (64, 8)),
        Tensor("blk.0.attn_norm.weight", (64,)),
        Tensor("blk.0.ffn_up.weight", (48, 4)),
    ]
