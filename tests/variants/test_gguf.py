"""Variants of GGUF files: what is stored is what was asked, and everything else is named."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from harness import plugins
from harness.errors import EngineError
from harness.formats.gguf import notes as describe
from harness.formats.gguf_header import read_header
from harness.schema import Step
from harness.variants.base import Job
from tests.gguf_models import Tensor, tiny
from tests.tasks import CASE

RECIPES = {"float16": "gguf_float16", "q8_0": "q8_0", "q4_0": "q4_0"}


def made(variant, source, folder):
    """A variant of a file: path, facts and notes."""
    folder.mkdir()
    job = Job(source, "gguf", "gguf", folder)
    path, facts = plugins.load("variants", RECIPES[variant])().apply(job)
    return path, facts, job.notes


def weights(path):
    """The tensors of a file in float32, as the package gguf reads them."""
    tensors = gguf.GGUFReader(path).tensors
    return {
        each.name: gguf.quants.dequantize(each.data, each.tensor_type).reshape(each.shape[::-1])
        for each in tensors
        if each.tensor_type.name != "I32"
    }


def matrix(name, type_, rows=8, columns=64):
    """A random matrix in a type that the package gguf writes."""
    values = np.random.default_rng(1).standard_normal((rows, columns), dtype=np.float32)
    return Tensor(name, (columns, rows), type_, gguf.quants.quantize(values, gguf.GGMLQuantizationType[type_]).tobytes())


@pytest.mark.parametrize(("variant", "kind", "tolerance"), [("float16", "F16", 1e-3), ("q8_0", "Q8_0", 0.01), ("q4_0", "Q4_0", 0.15)])
def test_matrices_are_stored_in_the_type(tmp_path, variant, kind, tolerance):
    """Close to their values; norms stay in float32, rows that are no whole number of blocks get float16, and both are noted."""
    source = tiny(tmp_path)
    path, facts, notes = made(variant, source, tmp_path / "out")
    types = {each.name: each.type.name for each in read_header(path).tensors}
    assert types == {"token_embd.weight": kind, "blk.0.attn_norm.weight": "F32", "blk.0.ffn_up.weight": "F16"}
    before, after = weights(source), weights(path)
    for name, values in before.items():
        assert np.abs(values - after[name]).max() <= tolerance * np.abs(values).max()
    assert facts.parameters == 64 * 8 + 64 + 48 * 4
    assert notes["stored"][kind] >= 512 / 768 and "requantized_from" not in notes
    assert notes["requested_types"] == [kind] and notes.get("other_types") == (None if kind == "F16" else {"blk.0.ffn_up.weight": "F16"})


def test_the_metadata_are_kept_to_the_byte(tmp_path):
    """Empty arrays, unusual types and long texts too; file type and version of the quantization are those of the new file."""
    fields = {"general.file_type": 0, "empty": [], "long": "x" * 5000, "eps": 1e-5, "flag": True, "quantize.imatrix.file": "x.dat"}
    source = tiny(tmp_path, fields)
    path, _, _ = made("q8_0", source, tmp_path / "out")
    old, new = read_header(source), read_header(path)
    assert (new.number("general.file_type"), new.number("general.quantization_version")) == (7, 2)
    kept = set(old.fields) - {"general.file_type", "quantize.imatrix.file"}
    assert set(new.fields) == {*kept, "general.file_type", "general.quantization_version"}
    before, after = source.read_bytes(), path.read_bytes()
    for key in kept:
        (start, end, *_), (new_start, new_end, *_) = old.fields[key], new.fields[key]
        assert before[start:end] == after[new_start:new_end]


@pytest.mark.parametrize("alignment", [8, 32, 128])
def test_the_alignment_of_the_file_is_kept(tmp_path, alignment):
    """Every tensor is where a reader looks for it."""
    source = tiny(tmp_path, {"general.alignment": alignment}, alignment=alignment)
    path, _, _ = made("q8_0", source, tmp_path / "out")
    assert read_header(path).alignment == alignment
    assert np.abs(weights(path)["blk.0.ffn_up.weight"] - weights(source)["blk.0.ffn_up.weight"]).max() < 0.01


def test_a_long_tensor_is_converted_in_pieces(tmp_path, monkeypatch):
    """The result does not depend on their size."""
    source = tiny(tmp_path)
    whole, _, _ = made("q4_0", source, tmp_path / "whole")
    monkeypatch.setattr("harness.variants.gguf_rewrite.PIECE_ELEMENTS", 100)
    pieces, _, _ = made("q4_0", source, tmp_path / "pieces")
    assert whole.read_bytes() == pieces.read_bytes()


@pytest.mark.parametrize("kind", ["Q4_1", "Q5_0", "BF16"])
def test_a_coarser_source_is_noted(tmp_path, kind):
    """Its quality cannot come back; a tensor that is not converted does not count."""
    source = tiny(tmp_path, tensors=[matrix("a.weight", kind), matrix("b.weight", "Q8_0")])
    path, _, notes = made("q8_0", source, tmp_path / "out")
    assert notes.get("requantized_from") == (None if kind == "BF16" else [kind])
    _, _, dequantized = made("float16", source, tmp_path / "float16")
    assert dequantized["requantized_from"] == (["Q8_0"] if kind == "BF16" else [kind, "Q8_0"])
    assert np.abs(weights(path)["a.weight"] - weights(source)["a.weight"]).max() < 0.05


def test_an_earlier_quantization_is_remembered(tmp_path):
    """Also by a file that was dequantized in between, as by random weights; another quantization adds its type."""
    source = tiny(tmp_path, {"harness.random_weights": True}, tensors=[matrix("a.weight", "Q4_1")])
    first, _, _ = made("float16", source, tmp_path / "1")
    second, _, notes = made("q8_0", first, tmp_path / "2")
    _, _, last = made("q4_0", second, tmp_path / "3")
    assert notes["requantized_from"] == ["Q4_1"] and last["requantized_from"] == ["Q4_1", "Q8_0"] and last["random_weights"]
    assert describe(read_header(second))["requantized_from"] == ["Q4_1"]


@pytest.mark.parametrize(
    ("variant", "tensors", "reason"),
    [
        ("q8_0", [matrix("a.weight", "Q8_0")], "it is already Q8_0"),
        ("float16", [matrix("a.weight", "F16")], "it is already F16"),
        ("q4_0", [Tensor("norm.weight", (64,))], "no matrix that q4_0 would change"),
        ("q4_0", [Tensor("blk.0.ffn_gate_inp.weight", (64, 2))], "no matrix that q4_0 would change"),
        ("q8_0", [Tensor("a.weight", (48, 4)), Tensor("b.weight", (33, 2))], "would store 100% F16 and nothing of q8_0"),
        ("float16", [Tensor("a.weight", (64, 2), content=np.full(128, 1e6, np.float32).tobytes())], "values up to 1e\\+06, which F16"),
        ("q4_0", [Tensor("a.weight", (64, 2), content=np.full(128, 1e6, np.float32).tobytes())], "values up to 1e\\+06, which Q4_0"),
        ("q8_0", [Tensor("a.weight", (64, 2), content=np.full(128, np.nan, np.float32).tobytes())], "values that are not finite"),
        ("q8_0", [Tensor("a.weight", (128, 1), "Q1_0", bytes(18)), Tensor("b.weight", (128, 2), "Q1_0", bytes(36))], "the type Q1_0"),
    ],
)
def test_what_would_not_be_the_variant_is_refused(tmp_path, variant, tensors, reason):
    """Already of the type, nothing to change, too few whole blocks, values that the type cannot hold."""
    with pytest.raises(EngineError, match=reason) as refusal:
        made(variant, tiny(tmp_path, tensors=tensors), tmp_path / "out")
    assert refusal.value.refused and "\n" not in refusal.value.what


def test_integers_and_float64_are_handled(tmp_path):
    """Integers are no weights and stay; float64 is converted."""
    values = np.random.default_rng(2).standard_normal((2, 64))
    tensors = [Tensor("a.weight", (64, 2), "F64", values.tobytes()), Tensor("i.weight", (64, 2), "I32", bytes(512))]
    path, facts, _ = made("q8_0", tiny(tmp_path, tensors=tensors), tmp_path / "out")
    assert [each.type.name for each in read_header(path).tensors] == ["Q8_0", "I32"] and facts.parameters == 128
    assert np.abs(weights(path)["a.weight"] - values).max() < 0.02


@pytest.mark.parametrize("variant", RECIPES)
def test_no_precision_of_the_arithmetic_is_requested(variant):
    """Stored weights do not determine it: the check is that of the file."""
    case = CASE.model_copy(update={"engine": "none", "steps": (Step(recipe=variant),)})
    assert plugins.catalogue().requested_precision(case) is None
