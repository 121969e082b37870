"""GGUF models of llama.cpp: recognised, checked, counted and stored; nothing but the header is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from harness.errors import EngineError
from harness.formats.base import Format, Imported, ImportRequest
from harness.formats.ggml import FILE_TYPES, shares
from harness.formats.gguf_header import DAMAGED, Header, read_header
from harness.formats.linking import store_file
from harness.schema import ArtifactFacts, FormatSpec

FILE = "model.gguf"
REQUIRED = ("block_count", "context_length", "embedding_length")
"""Metadata that every architecture of text generation has."""
RANDOM, REQUANTIZED = "harness.random_weights", "harness.requantized_from"
"""Our own metadata: whether the weights are random, and the types in which they were quantized before, as `Q4_1,Q8_0`."""
GIVE = "give a language model that generates text"


class Gguf(Format):
    """A `.gguf` file."""

    spec: ClassVar = FormatSpec(name="gguf", summary="GGUF language model of llama.cpp", suffixes=(".gguf",))

    def import_model(self, request: ImportRequest) -> Imported:
        """Store the file, by a link where possible, after its header was checked."""
        header = read_header(request.source)
        check_generates(header, request.source.name)
        path = request.folder / FILE
        store_file(request.source, path)
        return Imported(path, facts(header), notes(header))

    def stored_types(self, path: Path) -> set[str]:
        """Types of the tensors: NumPy's names, and GGML's in lower case, such as `q4_0`."""
        return {each.type.stored_as for each in read_header(path).tensors if not each.type.is_integer}


def check_generates(header: Header, name: str) -> None:
    """Refuse a file that is no language model, or only a part of one.

    Raises:
        EngineError: It lacks what a language model has, is an adapter or an encoder, or one of several parts.
    """
    if (parts := header.number("split.count") or 1) > 1:
        raise EngineError(f"{name} is one of {parts} parts of a model", "join them with `llama-gguf-split --merge`")
    kind = header.text("general.type") or "model"
    if kind != "model":
        raise EngineError(f"{name} is not a model, but of the type {kind[:40]!r}", GIVE)
    architecture = header.text("general.architecture")
    if not architecture:
        raise EngineError(f"{name} does not name its architecture (general.architecture)", DAMAGED)
    title = f"{name} ({architecture[:40]!r})"
    keys = [*(f"{architecture}.{field}" for field in REQUIRED), "tokenizer.ggml.model"]
    if missing := [key for key in keys if key not in header.fields]:
        raise EngineError(
            f"{title} is no language model: it has no {' and no '.join(key.removeprefix(f'{architecture}.') for key in missing)}", GIVE
        )
    pooled, causal = header.number(f"{architecture}.pooling_type"), header.fields.get(f"{architecture}.attention.causal")
    if pooled or (causal and causal.value is False):
        raise EngineError(f"{title} is an encoder, which generates no text", GIVE)


def facts(header: Header) -> ArtifactFacts:
    """Number of parameters; zeros are not counted, and multiply-accumulates per token depend on the length of the context."""
    return ArtifactFacts(parameters=sum(each.elements for each in header.tensors if not each.type.is_integer))


def stored_shares(header: Header) -> dict[str, float]:
    """Share of the parameters in each type, by GGML's name."""
    return shares((each.type, each.elements) for each in header.tensors if not each.type.is_integer)


def notes(header: Header) -> dict[str, Any]:
    """What the file reports of the model, and the types that its parameters are stored in."""
    architecture = header.text("general.architecture")
    sizes = {
        name: header.number(f"{architecture}.{key}")
        for name, key in {
            "layers": "block_count",
            "context_length": "context_length",
            "embedding_length": "embedding_length",
            "feed_forward_length": "feed_forward_length",
            "heads": "attention.head_count",
            "key_value_heads": "attention.head_count_kv",
            "experts": "expert_count",
            "experts_used": "expert_used_count",
        }.items()
    }
    tokens = header.fields.get("tokenizer.ggml.tokens")
    file_type, requantized = header.number("general.file_type"), header.text(REQUANTIZED)
    written = {
        "architecture": architecture,
        "model_name": header.text("general.name"),
        **sizes,
        "vocabulary": tokens.length if tokens else None,
        "chat_template": "tokenizer.chat_template" in header.fields,
        "file_type": None if file_type is None else FILE_TYPES.get(file_type, str(file_type)),
        "random_weights": RANDOM in header.fields or None,
        "requantized_from": requantized.split(",") if requantized else None,
    }
    return {**{name: value for name, value in written.items() if value is not None}, "stored": stored_shares(header)}
