"""GGUF models: imported, counted, described, and refused where they are no language models."""

from __future__ import annotations

import pytest

from harness import plugins
from harness.errors import EngineError
from harness.formats.base import ImportRequest
from harness.formats.gguf import Gguf
from harness.formats.stored_types import stored_types
from harness.suite.resolve import recognise
from tests.gguf_models import Tensor, matrices, tiny


def imported(path, folder):
    """A file imported into a folder."""
    folder.mkdir()
    return Gguf().import_model(ImportRequest(path, folder))


def test_a_file_is_recognised_by_its_suffix(tmp_path):
    """In any case of letters."""
    assert recognise(tiny(tmp_path), plugins.catalogue().formats) == "gguf"


def test_a_model_is_counted_and_described(tmp_path):
    """Parameters exactly; zeros and multiply-accumulates are not known; integers are no parameters."""
    path = tiny(tmp_path, {"llama.attention.head_count": 4, "general.file_type": 7}, [*matrices(), Tensor("i", (8,), "I32", bytes(32))])
    made = imported(path, tmp_path / "out")
    assert made.facts.parameters == 64 * 8 + 64 + 48 * 4
    assert (made.facts.nonzero_parameters, made.facts.macs, made.facts.zeros) == (None, None, None)
    assert made.path.read_bytes() == path.read_bytes()
    assert made.notes == {
        "architecture": "llama",
        "model_name": "tiny",
        "layers": 1,
        "context_length": 128,
        "embedding_length": 64,
        "heads": 4,
        "vocabulary": 3,
        "chat_template": False,
        "file_type": "Q8_0",  # what the file claims
        "stored": {"F32": 1.0},  # what it has
    }


def test_stored_types_are_those_of_the_tensors(tmp_path):
    """Whatever the file claims to be."""
    tensors = [Tensor("a.weight", (64, 2), "Q8_0", bytes(136)), Tensor("b", (64,)), Tensor("i", (8,), "I32", bytes(32))]
    assert stored_types(tiny(tmp_path, {"general.file_type": 2}, tensors), "gguf") == {"q8_0", "float32"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"split.count": 3}, "is one of 3 parts of a model"),
        ({"general.type": "adapter"}, "of the type 'adapter'"),
        ({"general.type": "mmproj"}, "of the type 'mmproj'"),
        ({"general.architecture": None}, "does not name its architecture"),
        ({"general.architecture": 7}, "does not name its architecture"),
        ({"general.architecture": "clip"}, r"\('clip'\) is no language model: it has no block_count and no context"),
        ({"tokenizer.ggml.model": None}, r"it has no tokenizer\.ggml\.model"),
        ({"llama.pooling_type": 1}, "is an encoder"),
        ({"general.architecture": "two\nlines"}, r"'two\\nlines'"),
        ({"llama.attention.causal": False}, "is an encoder"),
    ],
)
def test_what_is_no_language_model_is_refused(tmp_path, fields, reason):
    """Parts, adapters, vision towers and encoders."""
    with pytest.raises(EngineError, match=reason) as refusal:
        imported(tiny(tmp_path, fields), tmp_path / "out")
    assert refusal.value.hint and "\n" not in refusal.value.what
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma3", "an-architecture-of-tomorrow"])
def test_any_architecture_of_text_generation_passes(tmp_path, architecture):
    """The server decides whether it can run it."""
    fields = {"general.architecture": architecture, **{f"{architecture}.{key}_length": 64 for key in ("context", "embedding")}}
    made = imported(tiny(tmp_path, {**fields, f"{architecture}.block_count": 1}), tmp_path / "out")
    assert made.notes["architecture"] == architecture
