"""What is known of each server of language models: how it is started, asked and read. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

TokenSource = Literal["timings_predicted_n", "continuous_usage", "final_usage"]
"""Where the number of generated tokens so far is read in a stream: `timings.predicted_n` of each chunk (llama.cpp), `usage.completion_tokens` of each chunk,
or only `usage.completion_tokens` at the end, over which the chunks are scaled (marked `estimated`)."""

OUTPUT_TOKENS = "{output_tokens}"
"""Stands for the number of tokens to generate in `Preset.length_fields`."""


@dataclass(frozen=True)
class Preset:
    """One kind of server.

    Attributes:
        name: Name in the suite.
        title: Name of the program, for messages.
        formats: Formats of models that it opens.
        command: Its command, with {python}, {model}, {port}, {threads}, {parallel} (slots) and {context} (tokens of one slot), {total_context} (of all slots).
        variables: Environment variables of the command, with the same placeholders.
        venv: Environment of our own whose Python is {python}, `harness.venvs`; None: {python} is not used, or is the Python that runs us.
        devices: Devices it runs on.
        ready_path: Answers 200 once the model is loaded.
        apis: What of the OpenAI API it has: `completions` is `/v1/completions`, `chat` is `/v1/chat/completions`.
        fields: Fields of every request beside `model`, `prompt` or `messages`, `stream` and `max_tokens`: prompt cache off, counts in the stream on.
        length_fields: Fields that make an answer exactly as long as asked; the text `OUTPUT_TOKENS` stands for the number (alone: as an integer).
        tokens_from: Where the cumulative number of tokens is read.
        prefill_ms: Path of keys in a chunk to the duration of the prompt's processing, in ms; empty: not reported.
        cached_tokens: Path of keys in a chunk to the number of prompt tokens taken from the cache; empty: not reported.
        metrics_path: Path of its metrics in Prometheus' text format; None: it has none.
        generated_metric: Name of the counter of generated tokens; None: not reported.
        running_metric: Name of the gauge of requests being processed; None: not reported.
        version_path: Path that reports its version; None: not reported.
        version_key: Key of the version in that answer.
        exact_length: Whether the length of answers can be fixed at all.
        tested: Version that was run for this table; None: only its documentation or source was read.
        read: What was read, with its version.
    """

    name: str
    title: str
    formats: tuple[str, ...]
    command: tuple[str, ...]
    ready_path: str
    tokens_from: TokenSource
    variables: Mapping[str, str] = field(default_factory=dict)
    venv: str | None = None
    devices: tuple[str, ...] = ("cpu", "gpu")
    apis: tuple[Literal["completions", "chat"], ...] = ("completions", "chat")
    fields: Mapping[str, Any] = field(default_factory=dict)
    length_fields: Mapping[str, Any] = field(default_factory=dict)
    prefill_ms: tuple[str, ...] = ()
    cached_tokens: tuple[str, ...] = ()
    metrics_path: str | None = None
    generated_metric: str | None = None
    running_metric: str | None = None
    version_path: str | None = None
    version_key: str = "version"
    exact_length: bool = True
    tested: str | None = None
    read: str | None = None


_LLAMA_CPP: dict[str, Any] = {
    "formats": ("gguf",),
    "ready_path": "/health",
    "tokens_from": "timings_predicted_n",
    "fields": {"cache_prompt": False, "timings_per_token": True, "stream_options": {"include_usage": True}},
    "length_fields": {"ignore_eos": True},
    "prefill_ms": ("timings", "prompt_ms"),
    "cached_tokens": ("timings", "cache_n"),
    "metrics_path": "/metrics",
    "generated_metric": "llamacpp:tokens_predicted_total",
    "running_metric": "llamacpp:requests_processing",
    "version_path": "/props",
    "version_key": "build_info",
}

_PRESETS = (
    Preset(
        name="xllamacpp",
        title="llama.cpp (wheel xllamacpp)",
        command=("{python}", "-m", "harness.serving.llamacpp", "{model}", "{port}", "{threads}", "{parallel}", "{total_context}"),
        venv="llama-cpp",
        devices=("cpu",),
        **_LLAMA_CPP,
    ),
    Preset(
        name="llama-server",
        title="llama-server",
        command=(
            "llama-server",
            "--model",
            "{model}",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
            "--threads",
            "{threads}",
            "--threads-batch",
            "{threads}",
            "--parallel",
            "{parallel}",
            "--ctx-size",
            "{total_context}",
            "--metrics",
            "--slots",
            "--no-cache-prompt",
        ),  # fmt: skip
        **_LLAMA_CPP,
    ),
    Preset(
        name="vllm",
        title="vLLM",
        formats=("hf",),
        command=("vllm", "serve", "{model}"),
        ready_path="/health",
        tokens_from="continuous_usage",
        fields={"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        length_fields={"ignore_eos": True, "min_tokens": OUTPUT_TOKENS},
        cached_tokens=("usage", "prompt_tokens_details", "cached_tokens"),
        metrics_path="/metrics",
        generated_metric="vllm:generation_tokens_total",
        running_metric="vllm:num_requests_running",
        version_path="/version",
    ),
    Preset(
        name="openai",
        title="OpenAI-compatible server",
        formats=("gguf", "hf"),
        command=(),
        ready_path="/v1/models",
        tokens_from="final_usage",
        fields={"stream_options": {"include_usage": True}},
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


__all__ = ["OUTPUT_TOKENS", "PRESETS", "Preset", "TokenSource", "length_fields"]
