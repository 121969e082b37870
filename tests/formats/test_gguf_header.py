"""Headers of GGUF files: whole ones are read, and everything that is wrong is one sentence."""

from __future__ import annotations

import random
import struct
import tracemalloc

import pytest

from harness.errors import EngineError
from harness.formats.gguf_header import MAX_FIELDS, read_header
from tests.gguf_models import ARRAY, LLAMA, TEXT, UINT64, Tensor, gguf_bytes, matrices, text, tiny


def refusal(folder, content: bytes) -> str:
    """The error of a file's content."""
    path = folder / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(EngineError) as caught:
        read_header(path)
    assert "\n" not in caught.value.what and caught.value.hint and len(caught.value.what) < 300
    return caught.value.what


def with_field(content: bytes) -> bytes:
    """A file with one more field, of any content."""
    return gguf_bytes({**LLAMA, "odd": content}, matrices())


def test_a_whole_file_is_read(tmp_path):
    """Numbers and short texts by key, arrays as their length, tensors with type and place."""
    header = read_header(tiny(tmp_path, {"long": "x" * 5000, "yes": True, "eps": 0.5}))
    assert header.text("general.name") == "tiny" and header.number("llama.block_count") == 1 and header.fields["eps"].value == 0.5
    assert header.fields["tokenizer.ggml.tokens"].length == 3 and header.fields["long"].value is None
    assert header.text("llama.block_count") is None and header.number("yes") is None and header.number("absent") is None
    assert [(each.name, each.sizes, each.type.name, each.offset, each.bytes) for each in header.tensors] == [
        ("token_embd.weight", (64, 8), "F32", 0, 2048),
        ("blk.0.attn_norm.weight", (64,), "F32", 2048, 256),
        ("blk.0.ffn_up.weight", (48, 4), "F32", 2304, 768),
    ]


def test_the_package_gguf_reads_the_same(tmp_path):
    """Names, sizes and places of the data, in a file with an alignment of its own."""
    from gguf import GGUFReader

    path = tiny(tmp_path, {"general.alignment": 64}, alignment=64)
    header, theirs = read_header(path), GGUFReader(path)
    assert [(each.name, list(each.sizes), header.data_start + each.offset) for each in header.tensors] == [
        (each.name, each.shape.tolist(), each.data_offset) for each in theirs.tensors
    ]
    assert list(header.fields) == [key for key in theirs.fields if not key.startswith("GGUF.")]


@pytest.mark.parametrize("version", [0x03000000, 1, 4])
def test_other_versions_are_refused(tmp_path, version):
    """Big-endian files too."""
    assert "big-endian" in (found := refusal(tmp_path, gguf_bytes(LLAMA, matrices(), version))) or f"version {version}" in found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a GGUF file: it begins with b''"),
        (b"lmgg" + bytes(100), "begins with b'lmgg'"),
        (b"<!DOCTYPE html>", "begins with b'<!DO'"),
        (b"GGUF", "version would end beyond its 4 bytes"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), f"claims to have {2**63} tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, MAX_FIELDS + 1), f"claims to have {MAX_FIELDS + 1} fields"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 2**60), "key 0 has"),
        (with_field(struct.pack("<I", 99)), "unknown type 99"),
        (with_field(struct.pack("<IQ", TEXT, 2**62)), "would end beyond"),
        (with_field(struct.pack("<IIQ", ARRAY, 0, 2**62)), "would end beyond"),
        (with_field(struct.pack("<IIQ", ARRAY, TEXT, 2**61)), "would end beyond"),
        (with_field(struct.pack("<IIQ", ARRAY, TEXT, 1) + struct.pack("<Q", 2**62)), "would end beyond"),
        (with_field(struct.pack("<IIQ", ARRAY, ARRAY, 1)), "which arrays cannot have"),
        (gguf_bytes({**LLAMA, "general.alignment": 0}, matrices()), "alignment 0"),
        (gguf_bytes({**LLAMA, "general.alignment": 48}, matrices()), "alignment 48"),
        (gguf_bytes({**LLAMA, "general.alignment": struct.pack("<IQ", UINT64, 32)}, matrices()), "alignment 32"),
        (gguf_bytes(LLAMA, []), "holds no tensors"),
        (gguf_bytes(LLAMA, [Tensor("a", (64,), 99)]), "type 99"),
        (gguf_bytes(LLAMA, [Tensor("a", (64,), 4)]), "type 4"),
        (gguf_bytes(LLAMA, [Tensor("a", (0,), content=b"")]), "the sizes 0"),
        (gguf_bytes(LLAMA, [Tensor("a", (2**32, 2**32), content=b"")]), "the sizes 4294967296 x 4294967296"),
        (gguf_bytes(LLAMA, [Tensor("a", (1,) * 5)]), "5 axes"),
        (gguf_bytes(LLAMA, [Tensor("a", (48, 2), "Q8_0", bytes(102))]), "48 columns in Q8_0, whose blocks have 32"),
        (gguf_bytes(LLAMA, [Tensor("a", (64,)), Tensor("a", (64,))]), "two tensors named 'a'"),
        (gguf_bytes(LLAMA, [Tensor("a\n" * 20_000, (64,), 99)]), "tensor 'a\\na\\n"),
        (gguf_bytes(LLAMA, [Tensor("a", (64,), offset=32)]), "at byte 32 of its data, not at 0"),
        (gguf_bytes(LLAMA, [Tensor("a", (64,)), Tensor("b", (64,), offset=0)]), "at byte 0 of its data, not at 256"),
        (gguf_bytes(LLAMA, [Tensor("a", (2**40,), content=b"")]), "is cut short: tensor 'a'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, reason):
    """Lengths beyond the file, unknown types, impossible sizes and places."""
    assert reason in refusal(tmp_path, content)


def test_a_repeated_key_is_refused(tmp_path):
    """Readers would disagree on which one counts."""
    pair = text("k") + struct.pack("<II", 4, 1)
    assert "key 'k' twice" in refusal(tmp_path, b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + 2 * pair)


def test_a_key_that_is_no_text_is_refused(tmp_path):
    """Not decoded with replacements."""
    content = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 2) + b"\xff\xfe" + struct.pack("<II", 4, 1)
    assert "key 0 is not text" in refusal(tmp_path, content)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    """At each byte of the header, and in the data."""
    content = tiny(tmp_path).read_bytes()
    for end in [*range(0, 600, 7), len(content) // 2, len(content) - 1]:
        assert "cut short" in (found := refusal(tmp_path, content[:end])) or "begins with" in found


def test_random_damage_gives_a_sentence_or_a_readable_header(tmp_path):
    """Never another exception."""
    content, path = bytearray(tiny(tmp_path).read_bytes()), tmp_path / "damaged.gguf"
    rng = random.Random(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(600)] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
        path.write_bytes(damaged)
        try:
            read_header(path)
        except EngineError:
            refused += 1
    assert refused > 100


def test_a_large_header_is_refused_before_it_is_read(tmp_path):
    """A sparse file whose only array would fill it."""
    path = tmp_path / "sparse.gguf"
    start = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + text("a") + struct.pack("<IIQ", ARRAY, 0, 2**30)
    with path.open("wb") as file:
        file.write(start)
        file.truncate(2**31)
    with pytest.raises(EngineError, match="header of more than 64 MiB"):
        read_header(path)


def test_memory_is_that_of_the_keys(tmp_path):
    """Neither vocabularies nor long texts are held."""
    path = tiny(tmp_path, {"tokenizer.ggml.tokens": ["token"] * 50_000, "tokenizer.chat_template": "x" * 2_000_000})
    tracemalloc.start()
    read_header(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000
