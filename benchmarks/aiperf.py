"""Output tokens/s, time to first token and CPU of the client against AIPerf's, alternating on one llama.cpp server.

AIPerf needs 1.2 GB in an environment of its own: set AIPERF to its command. The server needs `make llama-cpp`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.cost import Row, median_text, row
from harness import venvs
from harness.schema.served import COMPLETED, REQUEST_COLUMNS, TokenLoad
from harness.serving.base import Load, Prompt
from harness.serving.client import OpenAiSession
from harness.serving.log import TokenLog
from harness.serving.presets import PRESETS
from harness.serving.prompts import Tokenization, prompts
from harness.workloads.random_llama import RandomLlamaOptions, write_gguf

MODEL = RandomLlamaOptions(layers=6, dim=512, heads=8, kv_heads=4, ffn=1536)
PYTHON = venvs.folder("llama-cpp") / "bin" / "python"
STREAMS, REQUESTS, OUTPUT_TOKENS = 4, 48, 48
TOKENIZER = """
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
words = ["<|eos|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
made = Tokenizer(models.BPE(vocab={word: number for number, word in enumerate(words)}, merges=[]))
made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|eos|>", model_max_length=4096).save_pretrained("tokenizer")
"""
FIGURES = {"tokens_per_s": "output tokens/s", "ttft_s": "time to first token, median", "cpu_s": "CPU of the client, its start included"}


@dataclass(frozen=True)
class Figures:
    """Figures of one load: all tokens over the time from the first sending to the last end."""

    tokens_per_s: float
    ttft_s: float
    cpu_s: float


def rows(pairs: int = 12) -> list[Row]:
    """Ratios of ours to AIPerf's by alternating pairs, and what they are equivalent within."""
    command = os.environ.get("AIPERF")
    if not command or not PYTHON.exists():
        return [row("client / AIPerf", "reported", "skipped: set AIPERF to the command of AIPerf, and run `make llama-cpp`")]
    with tempfile.TemporaryDirectory() as folder, llama_server(Path(folder)) as (port, model):
        write_inputs(Path(folder), Path(command))
        measured = []
        for turn in range(pairs + 1):
            calls = [lambda: ours(port, model, Path(folder)), lambda: theirs(command, port, model, Path(folder))]
            results = [call() for call in calls] if turn % 2 else [call() for call in reversed(calls)][::-1]
            measured.append((results[0], results[1]))
    return [_row(name, measured[1:]) for name in FIGURES]


def _row(name: str, measured: list[tuple[Figures, Figures]]) -> Row:
    ratios = [getattr(a, name) / getattr(b, name) for a, b in measured]
    ends = [np.median([getattr(side, name) for side in sides]) for sides in zip(*measured, strict=True)]
    text = f"{median_text(ratios)}; medians {ends[0]:.4g} and {ends[1]:.4g}"
    return row(f"{FIGURES[name]} / AIPerf, {STREAMS} streams, {len(ratios)} pairs", "reported", text)


@contextlib.contextmanager
def llama_server(folder: Path) -> Iterator[tuple[int, str]]:
    """Port of a llama.cpp server with a random model, and the name of that."""
    model = folder / "model.gguf"
    write_gguf(model, MODEL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [str(PYTHON), "-m", "harness.serving.llamacpp", str(model)]
    argv += ["--port", str(port), "--threads", "1", "--parallel", str(STREAMS), "--ctx-size", str(512 * STREAMS)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == httpx.codes.OK:
                    break
            time.sleep(0.1)
        yield port, model.name
    finally:
        process.terminate()
        process.wait()


def write_inputs(folder: Path, command: Path) -> None:
    """The prompts of both, and a tokenizer for AIPerf that needs no download."""
    load = TokenLoad(concurrency=STREAMS, input_tokens=32, output_tokens=OUTPUT_TOKENS, spread=0)
    texts = [prompt.text for prompt in itertools.islice(prompts(load, Tokenization(1.0), 0), REQUESTS)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    subprocess.run([command.parent / "python", "-c", TOKENIZER], cwd=folder, check=True, capture_output=True)


def ours(port: int, model: str, folder: Path) -> Figures:
    """Figures of our client, in this process."""
    texts = [json.loads(line)["text"] for line in (folder / "prompts.jsonl").read_text().splitlines()]
    session, log, sent = OpenAiSession(f"http://127.0.0.1:{port}", PRESETS["xllamacpp"], model), TokenLog(), itertools.count()
    endless = (Prompt(text, OUTPUT_TOKENS) for text in itertools.cycle(texts) if next(sent) >= 0)
    requests = TokenLoad(concurrency=STREAMS, input_tokens=32, output_tokens=OUTPUT_TOKENS, spread=0)
    load = Load(requests, endless, log, lambda: log.requests().shape[1] >= REQUESTS, drain_s=60.0)
    before_s = time.process_time()
    session.run(load)
    used_s = time.process_time() - before_s
    session.close()
    table = dict(zip(REQUEST_COLUMNS, log.requests(), strict=True))
    assert set(table["status"]) == {COMPLETED}, log.errors
    seconds = (table["end_ns"].max() - table["sent_ns"].min()) * 1e-9
    ttft_s = float(np.median(table["first_ns"] - table["sent_ns"])) * 1e-9
    return Figures(float(table["output_tokens"].sum() / seconds), ttft_s, used_s)


def theirs(command: str, port: int, model: str, folder: Path) -> Figures:
    """Figures of AIPerf, by its own report."""
    extra = {"max_tokens": OUTPUT_TOKENS, "ignore_eos": "true", "cache_prompt": "false", "temperature": 0}
    argv = [command, "profile", "--model", model, "--url", f"http://127.0.0.1:{port}", "--endpoint-type", "completions", "--streaming"]
    argv += ["--input-file", "prompts.jsonl", "--custom-dataset-type", "single_turn", "--concurrency", str(STREAMS)]
    argv += ["--request-count", str(REQUESTS), "--use-server-token-count", "--tokenizer", "tokenizer", "--ui", "none"]
    argv += [
        "--output-artifact-dir",
        "out",
        *itertools.chain.from_iterable(("--extra-inputs", f"{key}:{value}") for key, value in extra.items()),
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout[-2000:]
    report = json.loads((folder / "out" / "profile_export_aiperf.json").read_text())
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures(report["output_token_throughput"]["avg"], report["time_to_first_token"]["p50"] * 1e-3, used_s)
