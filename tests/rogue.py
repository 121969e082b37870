"""A plug-in of another distribution: an engine that misbehaves as its options request, installed as a folder on PYTHONPATH."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel

from harness.engines.base import Engine, Session, Tensor, kernels_of
from harness.schema import EngineSpec


class Options(BaseModel):
    """How it misbehaves, and when."""

    what: Literal["nothing", "crash", "exit", "error", "hang", "python_memory", "native_memory", "flood", "interrupt_proof"] = "nothing"
    when: Literal["open", "query", "profile"] = "open"


class Rogue(Engine):
    """Misbehaves."""

    spec: ClassVar = EngineSpec(name="rogue", formats=("*",), parameters=Options, simulated=True)

    def open(self, load):
        """A session, unless it misbehaves here."""
        if load.options.when == "open":
            MISDEEDS[load.options.what]()
        return RogueSession(load)


class RogueSession(Session):
    """StoredOutputs 20 queries of 2 ms, then misbehaves."""

    def __init__(self, load):
        self.inputs, self.outputs = (), (Tensor("zeros", (1, 1), np.dtype(np.float32)),)
        self.load, self.queries = load, 0

    def run(self, inputs):
        """Zeros."""
        time.sleep(0.002)
        self.queries += 1
        if self.load.options.when == "query" and self.queries == 20:
            MISDEEDS[self.load.options.what]()
        return [np.zeros((1, 1), np.float32)]

    def profile(self, queries, seconds):
        """Kernels with part of the time in int8, unless it misbehaves here."""
        if self.load.options.when == "profile":
            MISDEEDS[self.load.options.what]()
        return kernels_of([("Conv", "fast", "int8", 3.0), ("Conv", "slow", "float32", 1.0)])


def crash():
    ctypes.string_at(0)


def error():
    raise RuntimeError("no counters here")


def python_memory():
    kept = []
    while True:
        kept.append(bytearray(64 * 2**20))


def native_memory():
    """End as a C++ library does when `new` fails."""
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def flood():
    for _ in range(300):
        print("x" * 100_000)
        print("y" * 100_000, file=sys.stderr)


def interrupt_proof():
    """Ignore every signal that can be ignored, and the end of the pipe: C code that keeps Python's lock."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.PyDLL(None).sleep(600)


MISDEEDS = {
    "nothing": lambda: None,
    "crash": crash,
    "exit": lambda: os._exit(7),
    "error": error,
    "hang": lambda: time.sleep(600),
    "python_memory": python_memory,
    "native_memory": native_memory,
    "flood": flood,
    "interrupt_proof": interrupt_proof,
}


def install(folder: Path) -> dict[str, str]:
    """Make the plug-in a distribution in a folder.

    Returns:
        The environment in which Python finds it.
    """
    metadata = folder / "rogue-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: rogue\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[harness.engines]\nrogue = tests.rogue:Rogue\n")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parent.parent)])}
