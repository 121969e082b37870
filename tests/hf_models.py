"""Hugging Face folders written byte by byte, so that any of them can be wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "I32": 4, "I64": 8, "U8": 1}
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "vocab_size": 4}
TENSORS = {"model.embed_tokens.weight": ("F16", (4, 8)), "model.norm.weight": ("F16", (8,)), "lm_head.weight": ("BF16", (4, 8))}


def safetensors_bytes(tensors: Mapping[str, tuple[str, tuple[int, ...]]], header: bytes | None = None, **entries: Any) -> bytes:
    """A file of zeros; with a header of any content, or more or other entries in it."""
    places, end = {"__metadata__": {"format": "pt"}}, 0
    for name, (kind, shape) in tensors.items():
        size = SIZES[kind]
        for each in shape:
            size *= each
        places[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    content = json.dumps({**places, **entries}).encode() if header is None else header
    return len(content).to_bytes(8, "little") + content + bytes(end)


def hf_folder(folder: Path, files: Mapping[str, Any] | None = None, tensors: Mapping[str, tuple[str, tuple[int, ...]]] = TENSORS) -> Path:
    """A small llama; more files as bytes, text or JSON, None to leave one out."""
    path = folder / "tiny-llama"
    path.mkdir()
    default = {"config.json": CONFIG, "tokenizer.json": {"model": {}}, "model.safetensors": safetensors_bytes(tensors)}
    for name, content in {**default, **(files or {})}.items():
        if content is not None:
            encoded = content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode()
            (path / name).write_bytes(encoded)
    return path
