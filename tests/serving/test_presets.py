"""Presets: data that fit the engine, the client and the documentation."""

import json
import re
from pathlib import Path

import pytest

import harness
from harness.serving.presets import OUTPUT, PRESETS, length_fields

DOCS = Path(harness.__file__).parent.parent / "docs" / "llm.md"
PLACEHOLDERS = {"python", "model", "port", "threads", "parallel", "context", "total_context", "folder", "value"}
each = pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))


@each
def test_its_texts_have_known_placeholders_only(preset):
    """Every server gets its port."""
    arguments = [*preset.device_arguments.values(), *preset.option_arguments.values(), preset.command, preset.after_start]
    texts = [*(word for words in arguments for word in words), *preset.variables.values(), *preset.files.values()]
    assert {name for text in texts for name in re.findall(r"\{(\w+)\}", text)} <= PLACEHOLDERS
    if preset.command:
        assert any("{port}" in text for text in texts)
        assert any("{model}" in text for text in texts)
    assert ("{python}" in preset.command) == (preset.program is not None)


@each
def test_its_proofs_have_one_group_and_a_source(preset):
    """What the server has printed, or a path."""
    for source, pattern in preset.proofs.values():
        assert re.compile(pattern).groups == 1
        assert source == OUTPUT or source.startswith("/")
    assert set(preset.proofs) <= set(preset.option_arguments)


@each
def test_the_docs_state_whether_it_was_run(preset):
    """With the version, or what was read."""
    row = next(line for line in DOCS.read_text().splitlines() if line.startswith(f"| `{preset.name}`"))
    assert ("only read" in row) == (preset.tested is None and preset.read is not None)
    if preset.tested:
        assert preset.tested.split()[-1] in row


def test_the_length_of_an_answer_is_fixed_in_each_servers_way():
    """As a number, or within the text of a generation config."""
    assert length_fields(PRESETS["xllamacpp"], 7) == {"ignore_eos": True}
    assert length_fields(PRESETS["vllm"], 7) == {"ignore_eos": True, "min_tokens": 7}
    config = length_fields(PRESETS["transformers"], 7)["generation_config"]
    assert json.loads(config) == {"max_new_tokens": 7, "min_new_tokens": 7}
    assert length_fields(PRESETS["ollama"], 7) == {}


def test_servers_that_refuse_unknown_fields_get_none():
    """`transformers serve` answers 422 to `stream_options`, TensorRT-LLM to any field that it does not have."""
    assert PRESETS["transformers"].fields == {}
    assert set(PRESETS["tensorrt-llm"].fields) == {"stream_options"}


def test_servers_that_refuse_requests_beyond_a_queue_get_a_long_one():
    """As many as the client may have in progress: TGI refuses more than 128 by default, Ollama more than 512."""
    command = PRESETS["tgi"].command
    assert command[command.index("--max-concurrent-requests") + 1] == PRESETS["ollama"].variables["OLLAMA_MAX_QUEUE"] == "4096"


def test_ollamas_model_has_the_name_that_it_lists():
    """`/v1/models` of Ollama shows the tag, and a name that is not listed is refused."""
    assert PRESETS["ollama"].after_start[:3] == ("ollama", "create", "harness")
    assert PRESETS["ollama"].model_name == "harness:latest"
