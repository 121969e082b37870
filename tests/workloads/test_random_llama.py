"""Llamas with random weights: the same model as a GGUF file and as a Hugging Face folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from harness.formats.gguf_header import read_header
from harness.formats.safetensors import read_tensors
from harness.workloads.random_llama import RandomLlamaOptions, half_rotated, printable_bytes, vocabulary, weights, write_gguf, write_hf

SMALL = {"layers": 2, "dim": 64, "heads": 4, "kv_heads": 2, "ffn": 96, "context": 128}


def gguf_arrays(path):
    """The tensors of a file in float32, by the package gguf."""
    import gguf

    tensors = gguf.GGUFReader(path).tensors
    return {each.name: gguf.quants.dequantize(each.data, each.tensor_type).reshape(each.shape[::-1]) for each in tensors}


@pytest.mark.parametrize(("type_", "kind"), [("f32", "F32"), ("f16", "F16"), ("bf16", "BF16")])
def test_both_forms_hold_the_same_weights(tmp_path, type_, kind):
    """In the type of the options; norms are float32 in the GGUF file, and rows that are rotated have the order of each form."""
    size = RandomLlamaOptions(**SMALL, type=type_)
    write_gguf(tmp_path / "m.gguf", size)
    write_hf(tmp_path / "hf", size)
    assert {each.type.name for each in read_header(tmp_path / "m.gguf").tensors} == {kind, "F32"}
    assert {each.type for each in read_tensors(tmp_path / "hf" / "model.safetensors")} == {kind}
    ours = gguf_arrays(tmp_path / "m.gguf")
    theirs = hf_arrays(tmp_path / "hf" / "model.safetensors", type_)
    for each in weights(size):
        assert np.array_equal(half_rotated(ours[each.gguf], each.rotated), theirs[each.hf])
        assert each.rotated or np.array_equal(ours[each.gguf], theirs[each.hf])


def hf_arrays(path, type_):
    """The tensors of a safetensors file in float32."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    arrays = {}
    for name, entry in json.loads(content[8 : 8 + length]).items():
        if name != "__metadata__":
            first, end = (8 + length + offset for offset in entry["data_offsets"])
            raw = np.frombuffer(content[first:end], {"f32": np.float32, "f16": np.float16, "bf16": np.uint16}[type_])
            values = (raw.astype(np.uint32) << 16).view(np.float32) if type_ == "bf16" else raw.astype(np.float32)
            arrays[name] = values.reshape(entry["shape"])
    return arrays


def test_the_seed_decides_the_weights(tmp_path):
    """The same one gives the same bytes."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_gguf(tmp_path / name, RandomLlamaOptions(**SMALL, seed=seed))
    first, same, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == same != other


def test_the_activations_keep_their_size(tmp_path):
    """Rows of a product have the variance of its inputs."""
    write_gguf(tmp_path / "m.gguf", RandomLlamaOptions(**SMALL))
    arrays = gguf_arrays(tmp_path / "m.gguf")
    assert arrays["blk.1.ffn_down.weight"].std() == pytest.approx(96**-0.5, rel=0.05)
    assert arrays["token_embd.weight"].std() == pytest.approx(1, rel=0.05) and set(arrays["output_norm.weight"]) == {1.0}


def test_tokens_of_ascii_are_characters():
    """Printable ones and the line feed, the space among them as GPT-2 writes it; those of bytes are all bytes."""
    letters = printable_bytes()
    assert len(set(letters.values())) == 256 and (letters[ord("a")], letters[32], letters[10]) == ("a", "\u0120", "\u010a")
    assert len(vocabulary("ascii")) == 97 and len(vocabulary("bytes")) == 257


def test_both_forms_have_one_vocabulary(tmp_path):
    """The same token at each number, the first one begins and ends a text; nothing is merged."""
    import gguf

    size = RandomLlamaOptions(**SMALL)
    write_gguf(tmp_path / "m.gguf", size)
    write_hf(tmp_path / "hf", size)
    tokenizer = json.loads((tmp_path / "hf" / "tokenizer.json").read_text())
    tokens = gguf.GGUFReader(tmp_path / "m.gguf").fields["tokenizer.ggml.tokens"].contents()
    assert list(tokenizer["model"]["vocab"]) == tokens == vocabulary("ascii") and tokenizer["model"]["merges"] == []
    assert tokenizer["post_processor"]["special_tokens"]["<|eos|>"]["ids"] == [0]
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["vocab_size"] == len(tokens)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"dim": 100, "heads": 3, "kv_heads": 3}, "divisible by twice its heads"),
        ({"dim": 96, "heads": 3, "kv_heads": 2}, "divisible by kv_heads"),
        ({"vocabulary": "bpe"}, "ascii"),
        ({"type": "q8_0"}, "f16"),
        ({"layers": 0}, "greater than or equal to 1"),
    ],
)
def test_impossible_sizes_are_refused(options, reason):
    """Before anything is built."""
    with pytest.raises(ValidationError, match=reason):
        RandomLlamaOptions(**options)


def test_rows_of_a_head_are_reordered_for_the_other_rotation():
    """Neighbours, which llama.cpp rotates, become the halves of a head, which transformers rotates."""
    rows = np.arange(8, dtype=np.float32).reshape(8, 1)
    assert half_rotated(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert half_rotated(rows, 0) is rows
