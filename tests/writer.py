"""A plug-in of another distribution: an engine that generates text in this process at a known pace, with a log of the truth."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel

from harness.engines.base import Load
from harness.engines.tokens import TokenEngine
from harness.errors import EngineError
from harness.schema import EngineSpec
from harness.schema.served import COMPLETED, CUT, FAILED, TokenLoad
from harness.serving import cpu
from harness.serving.base import Endpoint, Prompt, Reply, ServerTotals, TokenSession
from harness.serving.base import Load as Requests
from harness.serving.log import End


class Options(BaseModel):
    """Its pace, and what goes wrong."""

    step_s: float = 0.01
    """Time between two tokens of a stream."""
    prefill_s: float = 0.02
    """Time from a request to its first token."""
    log: str = ""
    """File of the arrivals of all tokens as the writer knows them, int64 in ns."""
    url: str = ""
    """Address that another client can ask; empty: there is none."""
    what: str = ""
    """slow: no request ever ends; dies: the load raises; refused: the model cannot be opened; fails: every tenth request fails."""


class Writer(TokenEngine):
    """Writes."""

    spec: ClassVar = EngineSpec(
        name="writer",
        formats=("*",),
        devices=("cpu",),
        unit="output_token",
        scenarios=("closed", "poisson"),
        parameters=Options,
        simulated=True,
    )

    def open_tokens(self, load: Load, requests: TokenLoad) -> TokenSession:
        """A session of threads."""
        if load.options.what == "refused":
            raise EngineError("the writer cannot open this", "give it another model", refused=True)
        return Session(load.options)


class Session(TokenSession):
    """One thread for each stream."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.arrivals: list[int] = []
        self.lock = threading.Lock()
        self.count = 0

    def run(self, load: Requests) -> None:
        """Closed streams; the main thread polls the stop."""
        stopped = threading.Event()
        load.cpu.append(cpu.reading())
        threads = [threading.Thread(target=self._stream, args=(load, stopped)) for _ in range(load.requests.concurrency or 1)]
        for thread in threads:
            thread.start()
        began_s = time.monotonic()
        try:
            while not load.stop():
                if self.options.what == "dies" and time.monotonic() > began_s + 1.0:
                    raise EngineError("the server died: exit code 139", "read its output")
                time.sleep(0.005)
        finally:
            stopped.set()
            for thread in threads:
                thread.join(load.drain_s if self.options.what != "slow" else 0.1)
        load.cpu.append(cpu.reading())
        load.totals.append(ServerTotals(time.monotonic_ns(), running=float(len(threads))))

    def _stream(self, load: Requests, stopped: threading.Event) -> None:
        while not stopped.is_set():
            with self.lock:
                prompt, self.count = next(load.prompts), self.count + 1
                fails = self.options.what == "fails" and self.count % 10 == 0
                sent_ns = time.monotonic_ns()
                number = load.log.sent(sent_ns, sent_ns, prompt.output_tokens)
            due_s = time.monotonic() + self.options.prefill_s
            for _ in range(prompt.output_tokens):
                time.sleep(max(0.0, due_s - time.monotonic()))
                due_s += self.options.step_s
                with self.lock:
                    load.log.tokens(number, time.monotonic_ns(), 1)
                    if not fails:
                        self.arrivals.append(time.monotonic_ns())
                if self.options.what == "slow" and stopped.wait(3600):
                    load.log.ended(number, time.monotonic_ns(), End(CUT))
                    return
            end = End(FAILED) if fails else End(COMPLETED, prompt.output_tokens, len(prompt.text), 0, self.options.prefill_s)
            with self.lock:
                load.log.ended(number, time.monotonic_ns(), end, error="500 written on purpose" if fails else None)

    def answer(self, prompts: Sequence[Prompt], concurrency: int) -> list[Reply]:
        """The letters of the prompt, each with the same probability."""
        return [Reply(tuple(each.text[: each.output_tokens]), (-1.0,) * each.output_tokens, len(each.text)) for each in prompts]

    def endpoint(self) -> Endpoint | None:
        """The address of its options."""
        return Endpoint(self.options.url, "writer", chat=False) if self.options.url else None

    def facts(self) -> dict[str, Any]:
        """The letters that it knows."""
        return {"vocabulary": 26}

    def close(self) -> dict[str, Any]:
        """Write the log."""
        if self.options.log:
            np.save(self.options.log, np.array(sorted(self.arrivals), dtype=np.int64))
        return {"server_stop_s": 0.01}


def install(folder: Path) -> dict[str, str]:
    """Make the plug-in a distribution in a folder.

    Returns:
        The environment in which Python finds it.
    """
    metadata = folder / "writer-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: writer\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[harness.engines]\nwriter = tests.writer:Writer\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parent.parent)])}
