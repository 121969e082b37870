"""What a server reports about itself."""

import re
from types import SimpleNamespace

import httpx
import pytest

from harness.errors import EngineError
from harness.serving.presets import PRESETS
from harness.serving.reports import Reports

CLIENT = httpx.Client
PROPS = {"build_info": "b1", "total_slots": 4, "default_generation_settings": {"n_ctx": 512}}


@pytest.fixture
def reports(monkeypatch):
    """Reports with given answers by path; a number is a status."""

    def make(key=None, **answers):
        def handle(request: httpx.Request) -> httpx.Response:
            made.requests.append(request)
            answer = answers.get(request.url.path.strip("/").replace("/", "_").replace("-", "_"), 404)
            return httpx.Response(answer) if isinstance(answer, int) else httpx.Response(200, **answer)

        transport = httpx.MockTransport(handle)
        monkeypatch.setattr(httpx, "Client", lambda **options: CLIENT(transport=transport, headers=options["headers"]))
        made = SimpleNamespace(reports=Reports("http://127.0.0.1:1", "fake", key), requests=[])
        return made

    return make


def models(*names: str) -> dict:
    """An answer with models."""
    return {"json": {"data": [{"id": name} for name in names]}}


def test_its_facts_are_what_it_reports(reports):
    """What it does not report is left out; each path is asked once."""
    made = reports(props={"json": PROPS})
    assert made.reports.facts(PRESETS["llama-server"]) == {"version": "b1", "context": 512, "slots": 4}
    assert len(made.requests) == 1


@pytest.mark.parametrize(
    "answer", [404, 500, {"text": "not JSON"}, {"json": []}, {"json": {"version": None}}, {"json": {"version": {"a": 1}}}]
)
def test_an_answer_that_cannot_be_read_gives_no_fact(reports, answer):
    """And no error: a server need not report anything."""
    assert reports(version=answer).reports.facts(PRESETS["tensorrt-llm"]) == {}


def test_the_only_model_is_the_one_that_is_asked(reports):
    """Or the one that is named; a preset's own name needs no list."""
    assert reports(v1_models=models("a")).reports.model(None) == "a"
    assert reports(v1_models=models("a", "b")).reports.model("b") == "b"
    assert reports(v1_models=models()).reports.model("harness") == "harness"
    assert reports().reports.model("harness") == "harness"


@pytest.mark.parametrize(
    ("answers", "name", "sentence"),
    [
        ({}, None, "does not list its models"),
        ({"v1_models": models()}, None, "has the models none"),
        ({"v1_models": models("a", "b")}, None, "has the models a, b$"),
        ({"v1_models": models("a", "b")}, "c", "has the models a, b, but not c"),
    ],
)
def test_a_model_that_is_not_clear_is_a_sentence(reports, answers, name, sentence):
    """With the option that chooses one."""
    with pytest.raises(EngineError) as caught:
        reports(**answers).reports.model(name)
    assert re.search(sentence, caught.value.what)


def test_a_key_is_sent_and_its_want_is_a_sentence(reports):
    """From an environment variable, so that no suite contains it."""
    made = reports(key="abc", v1_models=models("a"))
    made.reports.model(None)
    assert made.requests[0].headers["authorization"] == "Bearer abc"
    with pytest.raises(EngineError, match=r"asks for an API key \(401 /v1/models\)") as caught:
        reports(v1_models=401).reports.model(None)
    assert "HARNESS_API_KEY" in caught.value.hint


def test_what_an_option_became_is_read_from_output_or_metrics(reports):
    """None if the server does not report it, and for an option without a known place."""
    printed = "llama_kv_cache: size = 1 MiB (512 cells, 2 layers), K (q8_0):    0.13 MiB, V (q8_0): 0.13 MiB"
    asked = {"kv_cache_dtype": "q8_0"}
    assert reports().reports.proofs(PRESETS["xllamacpp"], asked, printed) == {"kv_cache_dtype": "q8_0"}
    assert reports().reports.proofs(PRESETS["xllamacpp"], asked, "nothing") == {"kv_cache_dtype": None}
    metrics = 'vllm:cache_config_info{block_size="16",cache_dtype="fp8",engine="0"} 1.0'
    printed = "Initializing a V1 LLM engine with config: model='m', quantization=fp8, kv_cache_dtype=fp8"
    asked = {"kv_cache_dtype": "fp8", "quantization": "fp8"}
    assert reports(metrics={"text": metrics}).reports.proofs(PRESETS["vllm"], asked, printed) == asked
    assert reports().reports.proofs(PRESETS["tgi"], {"quantization": "awq"}, printed) == {"quantization": None}
