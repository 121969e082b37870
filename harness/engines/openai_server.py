"""Servers with an OpenAI-compatible API: a model served by a program that this engine starts and ends, or by one that runs already."""

from __future__ import annotations

import math
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from harness import venvs
from harness.engines.base import EngineOptions, Load
from harness.engines.tokens import TokenEngine
from harness.errors import EngineError
from harness.schema import EngineSpec, Kernel, PluginSpec
from harness.schema.served import TokenLoad
from harness.serving import cpu
from harness.serving.base import Endpoint, Prompt, Reply, ServerTotals, TokenSession
from harness.serving.base import Load as Requests
from harness.serving.presets import PRESETS, Preset
from harness.serving.process import Launch, ServerProcess, redacted, split_cores
from harness.serving.reports import KEY, Reports
from harness.serving.urls import checked_url, elsewhere

GENERIC, BUNDLED = "openai", "xllamacpp"
"""Presets of a server of which nothing is known, and of the one that is used if the suite names none."""
LEAST_CONTEXT, CONTEXT_STEP, CONTEXT_MARGIN = 768, 256, 64
"""Tokens of one request: the least, which the prompts that calibrate lengths need, the step, and what a chat template may add."""
PROMPT_EXCESS = 1.25
"""Tokens that a prompt may have relative to those asked for, since its length is only estimated from its characters."""
SERVER_OPTIONS = ("kv_cache_dtype", "quantization")


class Options(EngineOptions):
    """Options of the openai-server engine."""

    preset: Literal[tuple(PRESETS)] | None = Field(  # type: ignore[valid-type]
        None, description=f"kind of server; {BUNDLED} by default, {GENERIC} with `command` or `url`"
    )
    command: str | None = Field(None, description="command that starts a server, with {model}, {port} and {threads}; needs --trust")
    url: str | None = Field(None, description="address of a server that runs already, such as http://127.0.0.1:8000")
    api: Literal["completions", "chat"] = Field("completions", description="/v1/completions or /v1/chat/completions")
    served_name: str | None = Field(None, description="name of the model at the server, if it has several")
    context: int | None = Field(None, ge=16, description="tokens of one request, prompt and answer; by default as the load needs")
    args: list[str | int | float] = Field([], description="further arguments of the preset's command; needs --trust")
    kv_cache_dtype: str | None = Field(None, description="type of the key-value cache, as the server names it")
    quantization: str | None = Field(None, description="quantization that the server applies when it loads the model, as it names it")
    ready_s: float = Field(540.0, gt=0, description="time limit for the server's start, s")

    @model_validator(mode="after")
    def _consistent(self) -> Options:
        external = "url" if self.url else "command" if self.command else None
        if self.url and self.command:
            raise ValueError("`command` starts a server and `url` names one that runs already: remove one of them")
        if self.preset is None:
            self.preset = GENERIC if external else BUNDLED
        preset = PRESETS[self.preset]
        if preset.name == GENERIC and external is None:
            raise ValueError(f"`preset: {GENERIC}` needs `command` or `url`")
        if preset.program and external:
            raise ValueError(f"`preset: {preset.name}` starts its own server: with `{external}` use `preset: llama-server`")
        settings = [name for name in ("args", *SERVER_OPTIONS, *(["context"] if self.url else [])) if external and getattr(self, name)]
        if settings:
            raise ValueError(f"`{settings[0]}` is an option of a preset's command: with `{external}` set it where the server is started")
        for name in SERVER_OPTIONS:
            if getattr(self, name) and name not in preset.option_arguments:
                raise ValueError(f"`preset: {preset.name}` has no option `{name}`")
        if self.api not in preset.apis:
            raise ValueError(f"`preset: {preset.name}` has no API `{self.api}`: use {' or '.join(preset.apis)}")
        return self


class OpenAiServer(TokenEngine):
    """A server with an OpenAI-compatible API."""

    spec: ClassVar = EngineSpec(
        name="openai-server",
        summary="language models served over HTTP by llama.cpp, vLLM and others",
        formats=("gguf", "hf"),
        devices=("cpu", "gpu"),
        unit="output_token",
        scenarios=("closed", "poisson"),
        parameters=Options,
        load_s=5.0,
        evaluator=PluginSpec(name="lm_eval", summary="quality of served models", venv="lm-eval", packages=("lm_eval",)),
        programs={
            "preset": {
                preset.name: PluginSpec(name=preset.name, summary=preset.title, venv=preset.program[0], packages=preset.program[1:])
                for preset in PRESETS.values()
                if preset.program
            }
        },
    )

    def open_tokens(self, load: Load, requests: TokenLoad) -> TokenSession:
        """Start the server, or connect to one that runs already."""
        options: Options = load.options
        preset = PRESETS[str(options.preset)]
        if options.url:
            return _connect(options, preset, requests)
        _check(load, preset)
        if options.command:
            preset = replace(preset, title=Path(_words(options.command)[0]).name)
        return _start(load, preset, requests)


class ServedSession(TokenSession):
    """The session of a server with the facts of its start.

    Args:
        inner: The client of the server.
        facts: What is known of the server.
    """

    def __init__(self, inner: TokenSession, facts: Mapping[str, Any]) -> None:
        self._inner, self._facts = inner, dict(facts)

    def run(self, load: Requests) -> None:
        """Generate text under a load."""
        self._inner.run(load)

    def answer(self, prompts: Sequence[Prompt], concurrency: int) -> list[Reply]:
        """Greedy answers to some prompts."""
        return self._inner.answer(prompts, concurrency)

    def endpoint(self) -> Endpoint | None:
        """Where another client can reach the server."""
        return self._inner.endpoint()

    def totals(self) -> ServerTotals | None:
        """The server's own counts."""
        return self._inner.totals()

    def facts(self) -> dict[str, Any]:
        """What the client and the start of the server report."""
        return self._inner.facts() | self._facts

    def precision(self) -> str | None:
        """None: servers do not report it."""
        return self._inner.precision()

    def profile(self, seconds: float) -> Sequence[Kernel]:
        """Empty: a server has no profiler that is read here."""
        return self._inner.profile(seconds)

    def close(self) -> dict[str, Any]:
        """Close the clients, then end the server."""
        return self._inner.close()


def sizes(options: Options, requests: TokenLoad) -> tuple[int, int]:
    """Requests at a time that a server is started for, and tokens of one request.

    Args:
        options: Options of the case.
        requests: Load of the case.
    """
    longest_in, longest_out = longest_lengths(requests)
    needed = math.ceil(PROMPT_EXCESS * longest_in) + longest_out + CONTEXT_MARGIN
    context = max(LEAST_CONTEXT, CONTEXT_STEP * math.ceil(needed / CONTEXT_STEP))
    return requests.concurrency or PRESETS[str(options.preset)].poisson_slots, options.context or context


def longest_lengths(requests: TokenLoad) -> tuple[int, int]:
    """Tokens of the longest prompt and of the longest answer of a load."""
    return math.ceil(requests.input_tokens * (1 + requests.spread)), math.ceil(requests.output_tokens * (1 + requests.spread))


def _check(load: Load, preset: Preset) -> None:
    """Refuse what the case's server cannot do, or may not without `--trust`."""
    if not load.trusted and (load.options.command or load.options.args):
        raise EngineError(
            f"{'command' if load.options.command else 'args'} of the engine openai-server can run any program",
            "use --trust if you trust the suite",
            refused=True,
        )
    if load.format not in preset.formats:
        able = [each.name for each in PRESETS.values() if load.format in each.formats and each.name != GENERIC]
        raise EngineError(
            f"{preset.title} cannot open the format {load.format}, only {' and '.join(preset.formats)} (preset {preset.name})",
            f"use one of the presets {', '.join(able)}",
            refused=True,
        )
    if load.device not in preset.devices:
        raise EngineError(
            f"{preset.title} runs on {' and '.join(preset.devices)} only, not on {load.device} (preset {preset.name})",
            "use another preset, or another device",
            refused=True,
        )


def _start(load: Load, preset: Preset, requests: TokenLoad) -> TokenSession:
    options: Options = load.options
    parallel, context = sizes(options, requests)
    values = {
        "model": str(load.path), "threads": load.threads, "parallel": parallel, "context": context, "total_context": parallel * context,
        **_python(preset),
    }  # fmt: skip
    cores, left = split_cores(load.threads)
    launch = Launch(
        title=preset.title,
        command=_command(preset, options, load.device, values),
        ready_path=preset.ready_path,
        variables={name: filled(text, values) for name, text in preset.variables.items()},
        files={name: filled(text, values) for name, text in preset.files.items()},
        cores=cores,
        ready_s=options.ready_s,
    )
    server = ServerProcess(launch)
    try:
        _run_after_start(preset, server, values, options.ready_s)
        session, facts = _session(server.url, options, preset, filled(preset.model_name, values) if preset.model_name else None, server)
        _check_context(facts.get("context"), requests)
    except BaseException:
        server.stop(0.0)
        raise
    started = {
        "server_command": redacted(launch.command), "server_pid": server.pid, "server_ready_s": server.started_s, "server_cpus": cores,
        "client_cpus": left or None, "slots_asked": parallel, "context_asked": context, **_version(preset),
    }  # fmt: skip
    if left:
        cpu.pin(left)
    return ServedSession(session, started | facts)


def check_applied(title: str, asked: Mapping[str, str], reported: Mapping[str, str | None]) -> None:
    """Check that options became what was asked, or a form of it, such as `fp8_e4m3` of `fp8`; what is not reported is not checked.

    Raises:
        EngineError: The server reports something else.
    """
    for option, value in asked.items():
        result = reported.get(option)
        if result is None or value == "auto" or result.lower().startswith(value.lower()) or value.lower().startswith(result.lower()):
            continue
        raise EngineError(
            f"{title} was asked for {option}: {value}, but reports {result}", "remove the option, or name what the server supports"
        )


def _connect(options: Options, preset: Preset, requests: TokenLoad) -> TokenSession:
    url = checked_url(str(options.url))
    session, facts = _session(url, options, preset, None, None)
    _check_context(facts.get("context"), requests)
    return ServedSession(
        session, facts | {"server": "external", "server_url": url, **({"server_host": host} if (host := elsewhere(url)) else {})}
    )


def _check_context(context: int | None, requests: TokenLoad) -> None:
    """Refuse a load whose longest request does not fit: some servers would only answer it with fewer tokens.

    Args:
        context: Tokens of one request as the server reports them; None: not reported.
        requests: Load of the case.
    """
    longest = sum(longest_lengths(requests))
    if context is not None and context < longest:
        raise EngineError(
            f"the server takes requests of {context} tokens, but the longest of the load has {longest} with its answer",
            "raise the option `context` of the engine up to what the model was trained for, or use shorter `lengths`",
            refused=True,
        )


def _session(
    url: str, options: Options, preset: Preset, model: str | None, server: ServerProcess | None
) -> tuple[TokenSession, dict[str, Any]]:
    """The client of a server, and what the server reports about itself."""
    from harness.serving.client import OpenAiSession

    key = os.environ.get(KEY)
    reports = Reports(url, preset.title, key)
    name = reports.model(options.served_name or model)
    asked = {option: value for option in SERVER_OPTIONS if (value := getattr(options, option))}
    proofs = reports.proofs(preset, asked, server.output() if server else "")
    check_applied(preset.title, asked, proofs)
    facts = {
        "server": preset.name, "served_model": name, "prompt_cache_off": preset.cache_off or None,
        **reports.facts(preset), **asked, **{f"{option}_reported": value for option, value in proofs.items()},
    }  # fmt: skip
    if server is None:
        return OpenAiSession(url, preset, name, api=options.api, key=key), facts
    return OpenAiSession(url, preset, name, api=options.api, key=key, died=server.died, stop=server.stop), facts


def _python(preset: Preset) -> dict[str, str]:
    program = OpenAiServer.spec.programs["preset"].get(preset.name)
    return {"python": venvs.python(program)} if program else {}


def _version(preset: Preset) -> dict[str, str]:
    """Version of the package of a program of ours, whose server does not report it."""
    program = OpenAiServer.spec.programs["preset"].get(preset.name)
    versions = venvs.versions(venvs.used(program), program.packages) if program else {}
    version = next(iter(versions.values()), None)
    return {"version": version} if version else {}


def _command(preset: Preset, options: Options, device: str, values: Mapping[str, object]) -> list[str]:
    """The command of a server, in which {port} and {folder} are left."""
    if options.command:
        words = shlex.split(options.command)
        if not any("{port}" in word for word in words):
            raise EngineError(
                f"the command `{options.command}` has no {{port}}", "write the server's port as {port}, such as `--port {port}`"
            )
        return [filled(word, values) for word in words]
    words = [*preset.command, *preset.device_arguments.get(device, ())]
    for option in SERVER_OPTIONS:
        if value := getattr(options, option):
            words += [word.replace("{value}", value) for word in preset.option_arguments[option]]
    return [*(filled(word, values) for word in words), *map(str, options.args)]


def _words(command: str) -> list[str]:
    """The words of the user's command.

    Raises:
        EngineError: It is no command, or has no port.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise EngineError(f"the command `{command}` cannot be read: {error}", "close its quotation marks", refused=True) from None
    if not any("{port}" in word for word in words):
        hint = "write the server's port as {port}, such as `--port {port}`"
        raise EngineError(f"the command `{command}` has no {{port}}", hint, refused=True)
    return words


def filled(text: str, values: Mapping[str, object]) -> str:
    """A text of a preset with its placeholders replaced; other braces, such as those of JSON, are left."""
    return re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1], match[0])), text)


def _run_after_start(preset: Preset, server: ServerProcess, values: Mapping[str, object], limit_s: float) -> None:
    """Run the command that a server needs once, such as the import of a model.

    Raises:
        EngineError: It fails.
    """
    if not preset.after_start:
        return
    command = [server.filled(filled(word, values)) for word in preset.after_start]
    variables = {name: server.filled(filled(text, values)) for name, text in preset.variables.items()}
    try:
        done = subprocess.run(
            command, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, check=False
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{preset.title} cannot import the model: {error} (`{redacted(command)}`)", "run the command yourself") from None
    if done.returncode:
        last = " ".join((done.stderr or done.stdout).split())[-300:]
        raise EngineError(
            f"{preset.title} cannot import the model: {last} (`{redacted(command)}`)", "run the command yourself to see all its output"
        )
