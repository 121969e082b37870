"""Hugging Face folders: recognised, imported, counted, and refused where they would run code or are no language models."""

from __future__ import annotations

import pytest

from harness import plugins
from harness.errors import EngineError
from harness.formats.base import ImportRequest
from harness.formats.hf import Hf
from harness.formats.stored_types import stored_types
from harness.suite.resolve import recognise
from tests.hf_models import CONFIG, TENSORS, hf_folder, safetensors_bytes

INDEX = "model.safetensors.index.json"


def imported(path, folder, **options):
    """A folder imported into another one."""
    folder.mkdir()
    return Hf().import_model(ImportRequest(path, folder, **options))


def refusal(path, folder, **options) -> EngineError:
    """The error of an import, which stores nothing."""
    with pytest.raises(EngineError) as caught:
        imported(path, folder, **options)
    assert not list(folder.iterdir()) and "\n" not in caught.value.what and caught.value.hint
    return caught.value


def test_a_folder_is_recognised_by_its_configuration(tmp_path):
    """A SavedModel and a diffusion pipeline that have one too are none."""
    folder, formats = hf_folder(tmp_path), plugins.catalogue().formats
    assert recognise(folder, formats) == "hf"
    (folder / "saved_model.pb").write_bytes(b"graph")
    assert recognise(folder, formats) == "savedmodel"
    (folder / "saved_model.pb").rename(folder / "model_index.json")
    assert recognise(folder, formats) is None


def test_a_model_is_counted_and_described(tmp_path):
    """By the headers of its weights; what else is in the folder is not stored."""
    files = {"README.md": "text", "modeling_x.py": "print()", "pytorch_model.bin": b"pickle", "chat_template.jinja": "{{ x }}"}
    made = imported(hf_folder(tmp_path, files), tmp_path / "out")
    assert (made.facts.parameters, made.facts.nonzero_parameters, made.facts.macs) == (72, None, None)
    assert made.notes == {
        "architecture": "LlamaForCausalLM",
        "layers": 1,
        "embedding_length": 8,
        "vocabulary": 4,
        "stored": {"float16": 0.555556, "bfloat16": 0.444444},
    }
    assert {path.name for path in made.path.iterdir()} == {"config.json", "tokenizer.json", "model.safetensors", "chat_template.jinja"}
    assert stored_types(made.path, "hf") == {"float16", "bfloat16"}


def test_a_model_in_several_files_is_one(tmp_path):
    """The files of its index, and no other one."""
    parts = {name: {tensor: TENSORS[tensor]} for name, tensor in zip(("a", "b", "c"), TENSORS, strict=True)}
    files = {f"{name}.safetensors": safetensors_bytes(each) for name, each in parts.items()}
    index = {"weight_map": {tensor: f"{name}.safetensors" for name, each in parts.items() for tensor in each}}
    folder = hf_folder(tmp_path, {**files, INDEX: index})  # model.safetensors is not in the index
    made = imported(folder, tmp_path / "out")
    assert made.facts.parameters == 72 and not (made.path / "model.safetensors").exists()
    (folder / "b.safetensors").unlink()
    assert "lacks b.safetensors" in refusal(folder, tmp_path / "out 2").what


def test_a_second_copy_of_the_weights_does_not_count(tmp_path):
    """As in folders that hold the weights in the author's own layout too."""
    made = imported(hf_folder(tmp_path, {"consolidated.safetensors": safetensors_bytes(TENSORS)}), tmp_path / "out")
    assert made.facts.parameters == 72 and not (made.path / "consolidated.safetensors").exists()


@pytest.mark.parametrize("weight_map", [None, [], {"a": 1}, {"a": "../model.safetensors"}, {"a": "/etc/passwd"}])
def test_an_index_that_leaves_the_folder_is_refused(tmp_path, weight_map):
    """And one that is none."""
    assert "weight_map" in refusal(hf_folder(tmp_path, {INDEX: {"weight_map": weight_map}}), tmp_path / "out").what


def test_an_index_must_name_what_the_files_hold(tmp_path):
    """A tensor that is missing is named."""
    index = {"weight_map": {"lost.weight": "model.safetensors"}}
    assert "'lost.weight'" in refusal(hf_folder(tmp_path, {INDEX: index}), tmp_path / "out").what


@pytest.mark.parametrize(
    ("tensors", "parameters"),
    [
        ({"q.weight": ("F8_E4M3", (4, 8)), "q.weight_scale": ("F32", (4, 1)), "q.input_scale": ("F32", (1,))}, 32),
        ({"q.qweight": ("I32", (4, 8)), "q.qzeros": ("I32", (1, 4)), "q.scales": ("F16", (1, 4))}, None),
        ({"q.weight": ("U8", (128, 1)), "q.weight.absmax": ("F32", (2,))}, None),
        ({"q.weight": ("F16", (4, 8)), "position_ids": ("I64", (1, 512))}, 32),
    ],
    ids=["fp8", "awq", "nf4", "positions"],
)
def test_quantized_weights_are_counted_only_where_they_can_be(tmp_path, tensors, parameters):
    """Scales are no parameters; how many weights an integer packs is not in the file."""
    config = {**CONFIG, "quantization_config": {"quant_method": "awq", "bits": 4}}
    made = imported(hf_folder(tmp_path, {"config.json": config}, tensors), tmp_path / "out")
    assert made.facts.parameters == parameters and made.notes["quantization"] == "awq"


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
def test_code_of_the_model_is_refused_without_trust(tmp_path, name):
    """With it the code is stored with the weights."""
    content = {**(CONFIG if name == "config.json" else {}), "auto_map": {"AutoModelForCausalLM": "modeling_x.Net"}}
    folder = hf_folder(tmp_path, {name: content, "modeling_x.py": "print()"})
    error = refusal(folder, tmp_path / "out")
    assert f"auto_map in {name}" in error.what and "--trust" in error.hint and error.refused
    assert (imported(folder, tmp_path / "trusted", trusted=True).path / "modeling_x.py").is_file()


def test_pickled_weights_are_refused_without_trust(tmp_path):
    """With it they are stored, and nothing is counted."""
    folder = hf_folder(tmp_path, {"model.safetensors": None, "pytorch_model.bin": b"pickle"})
    error = refusal(folder, tmp_path / "out")
    assert "only pickled weights (pytorch_model.bin)" in error.what and "--trust" in error.hint and error.refused
    made = imported(folder, tmp_path / "trusted", trusted=True)
    assert made.facts.parameters is None and stored_types(made.path, "hf") is None and (made.path / "pytorch_model.bin").is_file()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"config.json": "{"}, "config.json is not JSON"),
        ({"config.json": "[" * 100_000}, "config.json is not JSON"),
        ({"config.json": "[]"}, "config.json is not a JSON object"),
        ({"config.json": b"\xff\xfe"}, "UTF-16"),
        ({"config.json": {"name": "a web project"}}, "neither `model_type` nor `architectures`"),
        ({"config.json": {"architectures": ["BertForMaskedLM"], "model_type": "bert"}}, "BertForMaskedLM, which generates no text"),
        ({"config.json": {"architectures": ["ViTForImageClassification"]}}, "generates no text"),
        ({"tokenizer.json": None}, "has no tokenizer"),
        ({"model.safetensors": None}, "has no weights"),
        ({"model.safetensors": safetensors_bytes({})}, "holds no tensors"),
        ({"model.safetensors": safetensors_bytes(TENSORS)[:-5]}, "model.safetensors is cut short"),
        ({"model.safetensors": b"version https://git-lfs.github.com/spec/v1"}, "Git LFS pointer"),
    ],
)
def test_what_is_no_language_model_is_refused(tmp_path, files, reason):
    """With the file that is wrong."""
    assert reason in refusal(hf_folder(tmp_path, files), tmp_path / "out").what
