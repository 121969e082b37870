"""The engine of servers with an OpenAI-compatible API."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness import plugins, venvs
from harness.engines import openai_server
from harness.engines.base import Load
from harness.engines.openai_server import OpenAiServer, Options, check_applied, filled, sizes
from harness.errors import EngineError
from harness.schema.served import TokenLoad
from harness.serving.base import Prompt
from harness.serving.ports import free_port
from harness.serving.presets import PRESETS, Preset
from harness.workloads.random_llama import RandomLlamaOptions, write_gguf

FAKE = Path(__file__).parent.parent / "serving" / "fake_server.py"
COMMAND = f"{sys.executable} {FAKE} {{port}}"
SHORT = TokenLoad(concurrency=2, input_tokens=8, output_tokens=8)


@pytest.fixture(autouse=True)
def cores(monkeypatch):
    """The cores of this process stay as they are."""
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)


def load(options: Options, *, trusted: bool = True, format: str = "gguf", device: str = "cpu", path: str = "/m.gguf") -> Load:
    """How a case opens its artifact."""
    return Load(Path(path), format, device, 1, 1, options, trusted)


def open_(options: Options, requests: TokenLoad = SHORT, **fields):
    """A session of a case."""
    return OpenAiServer().open_tokens(load(options, **fields), requests)


def command(*behaviour: str, **options) -> Options:
    """Options that start the fake server."""
    return Options(command=" ".join([COMMAND, *behaviour]), ready_s=30, **options)


@pytest.fixture
def running():
    """The fake server as one that runs already: its address."""
    started = []

    def start(*behaviour: str) -> str:
        port = str(free_port())
        server = subprocess.Popen([sys.executable, FAKE, port, *behaviour], stdout=subprocess.PIPE)
        started.append(server)
        assert server.stdout.readline()
        return f"http://127.0.0.1:{port}"

    yield start
    for server in started:
        server.kill()
        server.communicate()


# --- options --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "preset"), [({}, "xllamacpp"), ({"command": "c {port}"}, "openai"), ({"url": "http://127.0.0.1:1"}, "openai"), ({"preset": "vllm"}, "vllm")]
)  # fmt: skip
def test_the_preset_is_chosen_by_the_other_options(options, preset):
    """The wheel's server if nothing is named; a generic one for what the user starts."""
    assert Options(**options).preset == preset


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"command": "c {port}", "url": "http://127.0.0.1:1"}, "remove one of them"),
        ({"preset": "openai"}, "needs `command` or `url`"),
        ({"preset": "xllamacpp", "url": "http://127.0.0.1:1"}, "use `preset: llama-server`"),
        ({"preset": "vllm", "url": "http://127.0.0.1:1", "args": ["-x"]}, "`args` is an option of a preset's command"),
        ({"preset": "vllm", "command": "c {port}", "quantization": "fp8"}, "`quantization` is an option of a preset's command"),
        ({"url": "http://127.0.0.1:1", "context": 512}, "`context` is an option of a preset's command"),
        ({"preset": "llama-server", "quantization": "fp8"}, "has no option `quantization`"),
        ({"preset": "tensorrt-llm", "kv_cache_dtype": "fp8"}, "has no option `kv_cache_dtype`"),
        ({"preset": "llama"}, "xllamacpp"),
        ({"model": "x"}, "Extra inputs"),
        ({"context": 0}, "greater than or equal"),
    ],
)
def test_options_that_do_not_go_together_are_a_sentence(options, sentence):
    """When the suite is read."""
    with pytest.raises(ValidationError, match=sentence):
        Options(**options)


def test_slots_and_context_are_those_of_the_load():
    """A prompt may be a quarter longer than estimated; a rate has a fixed number of slots; the least is what calibration needs."""
    assert sizes(Options(), TokenLoad(concurrency=4, input_tokens=1000, output_tokens=200)) == (4, 2304)
    assert sizes(Options(), TokenLoad(rate_per_s=2, input_tokens=16, output_tokens=48)) == (32, 768)
    assert sizes(Options(preset="vllm"), TokenLoad(rate_per_s=2, input_tokens=16, output_tokens=48))[0] == 256
    assert sizes(Options(context=512), SHORT) == (2, 512)


@pytest.mark.parametrize(
    ("asked", "reported"), [("fp8", "fp8_e4m3"), ("q8_0", "Q8_0"), ("awq", "awq_marlin"), ("auto", "bfloat16"), ("fp8", None)]
)
def test_an_option_that_was_applied_is_accepted(asked, reported):
    """Servers name a form of it, or report nothing."""
    check_applied("fake", {"quantization": asked}, {"quantization": reported})


def test_an_option_that_was_not_applied_is_an_error():
    """Its figures would be those of something else."""
    with pytest.raises(EngineError, match="was asked for kv_cache_dtype: q8_0, but reports f16"):
        check_applied("fake", {"kv_cache_dtype": "q8_0"}, {"kv_cache_dtype": "f16"})


def test_only_known_placeholders_are_replaced():
    """Once: a path that looks like one stays."""
    assert filled('{model} {"min": {n}} {port}', {"model": "/{n}/m", "n": 3}) == '/{n}/m {"min": 3} {port}'


# --- a server of the user's ----------------------------------------------------------------------------------------------


def test_a_command_is_started_asked_and_ended():
    """With what is known of it, the command without its secrets."""
    session = open_(command("--api-key", "abc"))
    try:
        assert session.answer([Prompt("hello", 2)], 1)[0].prompt_tokens == 3
        facts = session.facts()
        assert (facts["server"], facts["served_model"], facts["server_cpus"]) == ("openai", "fake", [min(os.sched_getaffinity(0))])
        assert "abc" not in facts["server_command"] and str(FAKE) in facts["server_command"]
        assert session.totals() is None and session.precision() is None and session.profile(0.1) == ()
    finally:
        ending = session.close()
    assert ending["killed"] is False and not Path(f"/proc/{facts['server_pid']}").exists()


def test_a_preset_states_where_a_command_reports():
    """Its command is the user's, its requests are the preset's."""
    session = open_(command(preset="llama-server"))
    facts = session.facts()
    session.close()
    assert (facts["version"], facts["context"], facts["slots"], facts["slots_asked"]) == ("b1", 4096, 4, 2)


@pytest.mark.parametrize(("option", "name"), [(Options(command="c {port}"), "command"), (Options(args=["--tools", "all"]), "args")])
def test_a_program_needs_trust(option, name):
    """Extra arguments as well: some make a server run code."""
    with pytest.raises(EngineError, match=f"^{name} of the engine openai-server can run any program") as caught:
        open_(option, trusted=False)
    assert caught.value.refused and "--trust" in caught.value.hint


@pytest.mark.parametrize(("text", "sentence"), [("serve {model}", "has no {port}"), ("serve '{port}", "cannot be read")])
def test_a_command_that_cannot_be_used_is_a_sentence(text, sentence):
    """Before anything is started."""
    with pytest.raises(EngineError, match=sentence):
        open_(Options(command=text))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (command("exits"), "exited with code 3 before it was ready; its last output: unknown model architecture"),
        (command("key"), "asks for an API key"),
        (command("two"), "has the models fake, other"),
        (command("two", served_name="third"), "has the models fake, other, but not third"),
        (Options(command="no-such-program-here {port}"), "no-such-program-here cannot be started"),
    ],
)
def test_a_command_that_fails_leaves_no_process(options, sentence):
    """And is a sentence."""
    with pytest.raises(EngineError, match=sentence):
        open_(options)
    marked = [pid for pid in Path("/proc").iterdir() if pid.name.isdigit() and str(FAKE).encode() in _command_line(pid)]
    assert marked == []


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes() if (process / "stat").read_text().split()[3] == str(os.getpid()) else b""
    except OSError:
        return b""


def test_a_load_beyond_the_context_is_refused():
    """llama.cpp would answer with fewer tokens without an error."""
    with pytest.raises(EngineError, match="takes requests of 64 tokens, but the longest of the load has 120") as caught:
        open_(command("short", preset="llama-server"), TokenLoad(concurrency=1, input_tokens=40, output_tokens=40))
    assert caught.value.refused and "context" in caught.value.hint


# --- a server that runs already -------------------------------------------------------------------------------------------


def test_a_server_that_runs_already_is_external(running):
    """It is neither started nor ended by us."""
    url = running()
    session = open_(Options(url=f"{url}/v1", preset="llama-server"), trusted=False)
    facts = session.facts()
    assert (facts["server"], facts["server_url"], facts["served_model"], facts["version"]) == ("external", url, "fake", "b1")
    assert session.close() == {}
    assert open_(Options(url=url)).close() == {}


def test_one_of_its_models_is_chosen_by_name(running):
    """If it has several."""
    url = running("two")
    session = open_(Options(url=url, served_name="other"))
    assert session.facts()["served_model"] == "other"
    session.close()


def test_a_server_that_does_not_answer_is_a_sentence():
    """With its address."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(EngineError, match=f"at {url} does not list its models"):
        open_(Options(url=url))


def test_the_server_of_somebody_else_is_refused():
    """Unless the user names it."""
    with pytest.raises(EngineError, match="is not this machine"):
        open_(Options(url="http://192.0.2.1:8000"))


# --- presets --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "fields", "sentence", "step"),
    [
        (Options(preset="vllm"), {}, "vLLM cannot open the format gguf, only hf", "xllamacpp, llama-server, ollama"),
        (Options(), {"format": "hf"}, "cannot open the format hf, only gguf", "vllm"),
        (Options(), {"device": "gpu"}, "runs on cpu only, not on gpu", "another preset"),
        (Options(preset="tensorrt-llm"), {"format": "hf"}, "runs on gpu only, not on cpu", "another preset"),
    ],
)
def test_a_preset_that_cannot_run_the_case_is_refused(options, fields, sentence, step):
    """With what could."""
    with pytest.raises(EngineError, match=sentence) as caught:
        open_(options, **fields)
    assert caught.value.refused and step in caught.value.hint


def test_a_missing_environment_is_refused_with_its_command(monkeypatch, tmp_path):
    """`make llama-cpp` in a checkout."""
    monkeypatch.setenv("HARNESS_VENV_LLAMA_CPP", str(tmp_path / "missing"))
    with pytest.raises(EngineError, match="does not exist") as caught:
        open_(Options())
    assert caught.value.refused and "make llama-cpp" in caught.value.hint


def test_the_command_of_a_preset_has_the_case_and_the_options(monkeypatch):
    """In the order preset, device, option, arguments; each word is one argument, whatever it contains."""
    started = []

    def start(launch):
        started.append(launch)
        raise EngineError("stopped here")

    monkeypatch.setattr(openai_server, "ServerProcess", start)
    for options, fields in (
        (Options(preset="llama-server", kv_cache_dtype="q8_0", args=["--no-warmup", 3]), {"device": "gpu", "path": "/a b/m.gguf"}),
        (Options(preset="ollama"), {}),
        (Options(preset="tensorrt-llm"), {"format": "hf", "device": "gpu"}),
    ):
        with pytest.raises(EngineError, match="stopped here"):
            open_(options, **fields)
    llama, ollama, tensorrt = started
    text = " ".join(llama.command)
    assert "/a b/m.gguf" in llama.command and "--parallel 2 --ctx-size 1536" in text
    assert text.endswith("--n-gpu-layers all --cache-type-k q8_0 --cache-type-v q8_0 --log-verbosity 4 --no-warmup 3")
    assert ollama.variables["OLLAMA_HOST"] == "127.0.0.1:{port}" and ollama.variables["OLLAMA_NUM_PARALLEL"] == "2"
    assert ollama.files["Modelfile"] == "FROM /m.gguf\nPARAMETER num_thread 1\n"
    assert tensorrt.command[-1] == "{folder}/options.yaml" and "enable_block_reuse: false" in tensorrt.files["options.yaml"]


@pytest.mark.parametrize(
    ("code", "sentence"), [("raise SystemExit('no space left')", "cannot import the model: no space left"), ("", None)]
)
def test_a_server_that_imports_the_model_first_does_so_when_it_is_ready(monkeypatch, code, sentence):
    """As Ollama; in its folder, which is removed at the end."""
    check = f"import sys, pathlib; assert pathlib.Path(sys.argv[1]).read_text() == 'FROM /m.gguf'; {code}"
    preset = Preset(
        "ollama", "Importing server", ("gguf",), (sys.executable, str(FAKE), "{port}"), "/health", "final_usage", files={"Modelfile": "FROM {model}"},
        after_start=(sys.executable, "-c", check, "{folder}/Modelfile"), model_name="fake",
    )  # fmt: skip
    monkeypatch.setitem(PRESETS, "ollama", preset)
    if sentence:
        with pytest.raises(EngineError, match=sentence):
            open_(Options(preset="ollama"))
    else:
        open_(Options(preset="ollama")).close()


def test_its_program_is_known_without_its_library():
    """To `plan`, `doctor` and the record of versions; the engine itself runs in our environment."""
    spec = plugins.catalogue().engines["openai-server"]
    assert [program.venv for program in spec.started({})] == ["llama-cpp"]
    assert spec.started({"preset": "vllm"}) == () and spec.started({"url": "http://127.0.0.1:1"}) == ()
    assert spec.venv is None


@pytest.mark.slow
def test_the_server_of_the_wheel_generates_text(tmp_path):
    """With the type of the cache as llama.cpp reports it, and a file cut short as a sentence."""
    if venvs.used(OpenAiServer.spec.started({})[0]) is None:
        pytest.skip("the environment llama-cpp is not installed: make llama-cpp")
    path = tmp_path / "model.gguf"
    write_gguf(path, RandomLlamaOptions(layers=2, dim=128, ffn=256))
    session = open_(Options(kv_cache_dtype="q8_0"), path=str(path), trusted=False)
    try:
        reply = session.answer([Prompt("hello", 5)], 1)[0]
        assert len(reply.tokens) == 5 and reply.prompt_tokens >= 5
        facts = session.facts()
        assert (facts["kv_cache_dtype_reported"], facts["slots"], facts["context"]) == ("q8_0", 2, 768)
        assert session.totals().output_tokens is not None
    finally:
        assert session.close()["killed"] is False
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(EngineError, match=r"exited with code 1 before it was ready.*failed to load model"):
        open_(Options(), path=str(path), trusted=False)
