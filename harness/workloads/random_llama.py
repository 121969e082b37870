"""Llamas with random weights as GGUF files and as Hugging Face folders, written tensor by tensor.

The vocabulary `ascii` has a token for each printable character and the line feed, so that text and tokens are the same sequence and each token is a
piece of text. `bytes` has a token for each byte: random output is no valid UTF-8, and a server holds text back. The token that ends a text is the only
other one. All weights are normal with the variance 1 / columns, those of the embedding with 1, so that activations keep their size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from harness.formats.gguf import RANDOM
from harness.formats.libraries import import_library
from harness.workloads.base import WorkloadOptions

INSTALL = "pip install 'harness[llm]'"
END = "<|eos|>"
EPSILON, ROPE_BASE = 1e-5, 10000.0
FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32}
"""llama.cpp's number of the file type."""
DTYPES: dict[str, Any] = {"f32": np.float32, "f16": np.float16, "bf16": np.uint16}
SAFETENSORS = {"f32": "F32", "f16": "F16", "bf16": "BF16"}
GENERATION = {"bos_token_id": 0, "eos_token_id": 0, "do_sample": False}
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "


class RandomLlamaOptions(WorkloadOptions):
    """Size of a llama with random weights."""

    layers: int = Field(4, ge=1, le=1000, description="transformer blocks")
    dim: int = Field(256, ge=32, le=65536, description="width of the embedding")
    heads: int = Field(4, ge=1, le=1024, description="attention heads; dim is divisible by twice their number")
    kv_heads: int = Field(2, ge=1, le=1024, description="heads of keys and values; heads is divisible by it")
    ffn: int = Field(768, ge=32, le=262144, description="width of the feed-forward layer")
    context: int = Field(4096, ge=16, le=2**20, description="longest context, tokens")
    vocabulary: Literal["ascii", "bytes"] = Field(
        "ascii", description="ascii: a token is a printable character, and each token is a piece of text; bytes: a token is a byte"
    )
    type: Literal["f16", "f32", "bf16"] = Field("f16", description="type of the matrices")
    seed: int = Field(0, ge=0, lt=2**32, description="seed of the weights")

    @model_validator(mode="after")
    def _divisible(self) -> RandomLlamaOptions:
        if self.dim % (2 * self.heads):
            raise ValueError(f"must have a dim divisible by twice its heads ({2 * self.heads})")
        if self.heads % self.kv_heads:
            raise ValueError(f"must have heads divisible by kv_heads ({self.kv_heads})")
        return self

    @property
    def head(self) -> int:
        """Width of an attention head."""
        return self.dim // self.heads


class Weight(NamedTuple):
    """A tensor to write.

    Attributes:
        gguf: Its name in a GGUF file.
        hf: Its name in a Hugging Face folder.
        shape: Its shape; a norm has one axis.
        rotated: Number of heads to which rotary positions are applied; 0: none.
    """

    gguf: str
    hf: str
    shape: tuple[int, ...]
    rotated: int = 0

    def values(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Ones for a norm, else normal numbers."""
        if len(self.shape) == 1:
            return np.ones(self.shape, np.float32)
        deviation = 1.0 if self.gguf == "token_embd.weight" else self.shape[1] ** -0.5
        return rng.standard_normal(self.shape, dtype=np.float32) * np.float32(deviation)


def weights(size: RandomLlamaOptions) -> Iterator[Weight]:
    """All tensors in the order in which they are drawn and written."""
    words, dim, kv = len(vocabulary(size.vocabulary)), size.dim, size.kv_heads * size.head
    yield Weight("token_embd.weight", "model.embed_tokens.weight", (words, dim))
    for layer in range(size.layers):
        for gguf, hf, shape, rotated in (
            ("attn_norm", "input_layernorm", (dim,), 0),
            ("attn_q", "self_attn.q_proj", (dim, dim), size.heads),
            ("attn_k", "self_attn.k_proj", (kv, dim), size.kv_heads),
            ("attn_v", "self_attn.v_proj", (kv, dim), 0),
            ("attn_output", "self_attn.o_proj", (dim, dim), 0),
            ("ffn_norm", "post_attention_layernorm", (dim,), 0),
            ("ffn_gate", "mlp.gate_proj", (size.ffn, dim), 0),
            ("ffn_up", "mlp.up_proj", (size.ffn, dim), 0),
            ("ffn_down", "mlp.down_proj", (dim, size.ffn), 0),
        ):
            yield Weight(f"blk.{layer}.{gguf}.weight", f"model.layers.{layer}.{hf}.weight", shape, rotated)
    yield Weight("output_norm.weight", "model.norm.weight", (dim,))
    yield Weight("output.weight", "lm_head.weight", (words, dim))


def vocabulary(kind: str) -> list[str]:
    """The tokens, in GPT-2's printable alphabet of bytes."""
    letters = printable_bytes()
    return [END, *(letters[byte] for byte in (range(256) if kind == "bytes" else [10, *range(32, 127)]))]


def printable_bytes() -> dict[int, str]:
    """GPT-2's printable character for each byte: itself, or else one from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + index) for index, byte in enumerate(others)}


def stored(values: NDArray[np.float32], type_: str) -> NDArray[Any]:
    """Values in the type of the matrices; bfloat16, rounded to even, as its bits in uint16."""
    if values.ndim == 1:
        return values
    if type_ != "bf16":
        return values.astype(DTYPES[type_], copy=False)
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_gguf(path: Path, size: RandomLlamaOptions) -> None:
    """Write a GGUF file of the architecture `llama`.

    Raises:
        EngineError: The package gguf is not installed.
    """
    gguf = import_library("gguf", "gguf", INSTALL)
    writer = gguf.GGUFWriter(path, "llama")
    _add_metadata(gguf, writer, size)
    types = gguf.GGMLQuantizationType
    for each in weights(size):
        kind = types.F32 if len(each.shape) == 1 else types[size.type.upper()]
        dtype = np.dtype(np.float32 if len(each.shape) == 1 else DTYPES[size.type])
        writer.add_tensor_info(each.gguf, each.shape, dtype, int(np.prod(each.shape)) * dtype.itemsize, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(size.seed)
    for each in weights(size):
        writer.write_tensor_data(stored(each.values(rng), size.type))
    writer.close()


def _add_metadata(gguf: Any, writer: Any, size: RandomLlamaOptions) -> None:
    tokens = vocabulary(size.vocabulary)
    writer.add_name("random-llama")
    writer.add_bool(RANDOM, True)
    writer.add_file_type(FILE_TYPES[size.type])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(len(tokens))
    writer.add_context_length(size.context)
    writer.add_embedding_length(size.dim)
    writer.add_block_count(size.layers)
    writer.add_feed_forward_length(size.ffn)
    writer.add_head_count(size.heads)
    writer.add_head_count_kv(size.kv_heads)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_rope_dimension_count(size.head)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL, *[gguf.TokenType.NORMAL] * (len(tokens) - 1)])
    writer.add_token_merges([f"{tokens[1]} {tokens[1]}"])  # llama.cpp requires the key; this merge gives no token of the vocabulary
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_chat_template(TEMPLATE)


def write_hf(folder: Path, size: RandomLlamaOptions) -> None:
    """Write the same model as a folder: the configuration, the tokenizer and one safetensors file."""
    folder.mkdir()
    for name, values in {"config.json": _config(size), "generation_config.json": GENERATION, **_tokenizer(size)}.items():
        (folder / name).write_text(json.dumps(values, indent=1), encoding="utf-8")
    content = json.dumps(_safetensors_header(size)).encode()
    rng = np.random.default_rng(size.seed)
    with (folder / "model.safetensors").open("xb") as file:
        file.write(len(content).to_bytes(8, "little") + content)
        for each in weights(size):
            flat = half_rotated(each.values(rng), each.rotated).reshape(1, -1)
            stored(flat, size.type).tofile(file)


def _safetensors_header(size: RandomLlamaOptions) -> dict[str, Any]:
    """Type, shape and place of each tensor; norms too have the type of the matrices."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for each in weights(size):
        begin, end = end, end + int(np.prod(each.shape)) * np.dtype(DTYPES[size.type]).itemsize
        header[each.hf] = {"dtype": SAFETENSORS[size.type], "shape": each.shape, "data_offsets": [begin, end]}
    return header


def half_rotated(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of a query or key matrix in the order of Hugging Face, which rotates halves of a head where llama.cpp rotates neighbours."""
    if not heads:
        return values
    rows, columns = values.shape
    return np.ascontiguousarray(values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns))


def _config(size: RandomLlamaOptions) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": size.dim,
        "intermediate_size": size.ffn,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "head_dim": size.head,
        "max_position_embeddings": size.context,
        "vocab_size": len(vocabulary(size.vocabulary)),
        "hidden_act": "silu",
        "rms_norm_eps": EPSILON,
        "rope_theta": ROPE_BASE,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        RANDOM: True,
        "torch_dtype": {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}[size.type],
    }


def _tokenizer(size: RandomLlamaOptions) -> dict[str, dict[str, Any]]:
    """The tokenizer as tokenizer.json, and its configuration."""
    tokens = vocabulary(size.vocabulary)
    by_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    first, text = {"SpecialToken": {"id": END, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": 0, "content": END, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        ],
        "normalizer": None,
        "pre_tokenizer": by_bytes,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [first, text],
            "pair": [first, text, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {END: {"id": END, "ids": [0], "tokens": [END]}},
        },
        "decoder": by_bytes,
        "model": {"type": "BPE", "vocab": {token: index for index, token in enumerate(tokens)}, "merges": []},
    }
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END,
        "eos_token": END,
        "model_max_length": size.context,
        "chat_template": TEMPLATE,
    }
    return {"tokenizer.json": tokenizer, "tokenizer_config.json": configuration}
