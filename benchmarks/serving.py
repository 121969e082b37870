"""CPU of the client of a server of text, and its figures against a plain loop over httpx, on a server in another process.

Against AIPerf on a real server: `python -m benchmarks.aiperf`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx
import numpy as np

from benchmarks.cost import Row, median_text, row
from harness.schema.served import REQUEST_COLUMNS, TokenLoad
from harness.serving.base import Load
from harness.serving.client import OpenAiSession
from harness.serving.cpu import cpu_s
from harness.serving.log import TokenLog
from harness.serving.presets import PRESETS, Preset
from harness.serving.prompts import Tokenization, prompts

PAUSES_S = {1: 0.001, 8: 0.004, 64: 0.02}
"""Time between the tokens of a stream by the number of streams: 1,000 to 3,200 tokens/s, each in a read of its own."""
SECONDS, WARM_S = 2.5, 0.4
OUTPUT_TOKENS = 64
CPU_GOAL = "<= 100 us"


@dataclass(frozen=True)
class Figures:
    """What a client measured in a window: of itself, and of the server."""

    cpu_us_per_token: float
    tokens_per_s: float
    ttft_s: float


def rows(pairs: int = 12) -> list[Row]:
    """CPU per token, and ratios of medians of alternating pairs."""
    table = []
    with fake_server() as port:
        for streams, pause_s in PAUSES_S.items():
            preset = replace(PRESETS["vllm"], fields={**PRESETS["vllm"].fields, "pause_s": pause_s}, metrics_path=None)
            measured = [(ours(port, preset, "honest", streams), plain(port, preset, "honest", streams)) for _ in range(pairs)]
            table += _rows(f"{streams} streams", measured, "plain httpx")
    return table


def _rows(load: str, measured: list[tuple[Figures, Figures]], other: str) -> list[Row]:
    def text(name: str) -> str:
        return median_text([getattr(a, name) / getattr(b, name) for a, b in measured])

    cpu = [median_text([figures.cpu_us_per_token for figures in side]) for side in zip(*measured, strict=True)]
    return [
        row(f"CPU of the client per token, {load}, {len(measured)} times", CPU_GOAL, f"{cpu[0]} us; {other} {cpu[1]} us"),
        row(f"output tokens/s / {other}, {load}", "reported", text("tokens_per_s")),
        row(f"time to first token / {other}, {load}", "reported", text("ttft_s")),
    ]


@contextlib.contextmanager
def fake_server() -> Iterator[int]:
    """Port of a server that streams tokens, in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "tests.serving.lying"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def ours(port: int, preset: Preset, model: str, streams: int, seconds: float = SECONDS, output_tokens: int = OUTPUT_TOKENS) -> Figures:
    """The figures of our client."""
    session, log = OpenAiSession(f"http://127.0.0.1:{port}", preset, model), TokenLog()
    requests = TokenLoad(concurrency=streams, input_tokens=16, output_tokens=output_tokens, spread=0)
    until_s = time.monotonic() + WARM_S + seconds
    load = Load(requests, prompts(requests, Tokenization(1.0), time.monotonic_ns()), log, lambda: time.monotonic() > until_s, drain_s=10.0)
    try:
        session.run(load)
    finally:
        session.close()
    start_ns, end_ns = round((until_s - seconds) * 1e9), round(until_s * 1e9)
    completions, table = log.completions(), dict(zip(REQUEST_COLUMNS, log.requests(), strict=True))
    tokens = completions[2][(completions[1] >= start_ns) & (completions[1] < end_ns)].sum()
    used_s = cpu_s(load.cpu, start_ns, end_ns)
    assert used_s is not None and not log.errors and not log.estimated, log.errors
    inside = (table["sent_ns"] >= start_ns) & (table["first_ns"] < end_ns) & (table["first_ns"] >= 0)
    return Figures(1e6 * used_s / tokens, tokens / seconds, float(np.median((table["first_ns"] - table["sent_ns"])[inside])) * 1e-9)


def plain(port: int, preset: Preset, model: str, streams: int, seconds: float = SECONDS, output_tokens: int = OUTPUT_TOKENS) -> Figures:
    """The figures of a loop that does no more than read lines and parse them."""
    arrivals: list[float] = []
    first: list[tuple[float, float]] = []
    until_s = time.monotonic() + WARM_S + seconds
    body = {
        "model": model,
        "prompt": "x" * 16,
        "stream": True,
        "max_tokens": output_tokens,
        "temperature": 0,
        **preset.fields,
        "ignore_eos": True,
    }

    async def stream(client: httpx.AsyncClient) -> None:
        while time.monotonic() < until_s:
            sent_s, begun = time.monotonic(), False
            async with client.stream("POST", "/v1/completions", json=body) as response:
                async for line in response.aiter_lines():
                    if line.startswith("data: {"):
                        choices = json.loads(line[6:])["choices"]
                        if choices and choices[0]["text"]:
                            arrivals.append(time.monotonic())
                            if not begun:
                                first.append((sent_s, arrivals[-1]))
                                begun = True

    async def main() -> tuple[float, float]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=httpx.Limits(), verify=False) as client:
            tasks = [asyncio.create_task(stream(client)) for _ in range(streams)]
            await asyncio.sleep(WARM_S)
            begin_s = time.process_time()
            await asyncio.sleep(max(0.0, until_s - time.monotonic()))
            end_s = time.process_time()
            await asyncio.gather(*tasks)
            return begin_s, end_s

    begin_s, end_s = asyncio.run(main())
    tokens = sum(until_s - seconds <= t < until_s for t in arrivals)
    waits = [first_s - sent_s for sent_s, first_s in first if sent_s >= until_s - seconds and first_s < until_s]
    return Figures(1e6 * (end_s - begin_s) / tokens, tokens / seconds, float(np.median(waits)))
