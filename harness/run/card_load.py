"""The load of a probe: a child process in which an engine keeps one card busy at requested times."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol, TypeVar

import numpy as np

from harness import venvs
from harness.channel import Child, Request
from harness.energy.periodic_load import Bursts
from harness.errors import EngineError, HarnessError, WorkerError
from harness.run.conversation import Conversation, TaskEndedError
from harness.run.timing import Limit
from harness.schema import Catalogue, EngineSpec
from harness.schema.worker import Burst, Edges, LoadTask, Ready

START_S = 90.0
"""Time limit for the start of an engine, which may load gigabytes of libraries."""
PATIENCE_S = 15.0
"""Time limit for the answer after the end of a burst."""
Reply = TypeVar("Reply", Ready, Edges)
FIRST = ("torch", "onnxruntime", "tensorflow")
"""Engines that are tried first."""


class Load(Protocol):
    """A load that runs while the readings are taken."""

    engine: str
    pid: int

    def start(self, start_s: float, period_s: float, share: float, count: int) -> None:
        """Switch on for a share of each of `count` periods, from a time on CLOCK_MONOTONIC on."""

    def bursts(self) -> Bursts:
        """When the load was really on, after its end."""

    def end(self) -> None:
        """End the load, and give up its context on the card."""


class EngineLoad:
    """The load of an engine in a child process that sees one card only.

    Args:
        spec: Engine.
        uuid: UUID of the card.
        device: Device on which the engine works; `cpu` only in tests.

    Raises:
        HarnessError: The engine cannot load the card.
    """

    def __init__(self, spec: EngineSpec, uuid: str, device: str = "gpu") -> None:
        self.engine = spec.name
        environment = {"CUDA_VISIBLE_DEVICES": uuid, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        task = LoadTask(engine=spec.name, device=device)
        self._child = Child(Request("harness.worker.card_load", task, python=(venvs.python(spec),), environment=environment))
        self._conversation = Conversation(self._child)
        self.pid = self._child.pid
        try:
            uuids = self._wait(Ready, START_S).facts.get("device_uuids")
            if device != "cpu" and uuids != [uuid]:
                used = f"used {' and '.join(map(str, uuids))}" if isinstance(uuids, list) else "did not load the CUDA driver"
                raise EngineError(
                    f"the engine {spec.name} was to use {uuid}, but {used}", "check the engine's installation with `make bench`"
                )
        except BaseException:
            self.end()
            raise

    def start(self, start_s: float, period_s: float, share: float, count: int) -> None:
        """Switch on for a share of each of `count` periods."""
        self._until_s = start_s + count * period_s
        self._conversation.send(Burst(start_s=start_s, period_s=period_s, share=share, count=count))

    def bursts(self) -> Bursts:
        """When the load was really on.

        Raises:
            EngineError: The child has died, or does not answer.
        """
        edges = self._wait(Edges, max(0.0, self._until_s - time.monotonic()) + PATIENCE_S)
        return Bursts(np.array(edges.on_s), np.array(edges.off_s), np.array(edges.calls, dtype=float))

    def end(self) -> None:
        """End the child."""
        self._child.end()

    def _wait(self, kind: type[Reply], patience_s: float) -> Reply:
        try:
            return self._conversation.wait_for(kind, Limit(patience_s, f"the load process of {self.engine} works", ""))
        except TaskEndedError as ended:
            what, _, hint = str(ended).partition("\n")
            raise EngineError(what, hint) from None
        except (EOFError, WorkerError):
            last = (self._child.tail.strip().splitlines() or ["it printed nothing"])[-1]
            raise EngineError(f"the load process of {self.engine} ended: {last}", "check the engine's installation") from None


def start_load(catalogue: Catalogue, uuid: str) -> tuple[Load | None, dict[str, str]]:
    """The load of the first engine that can load a card, and for each engine before it the reason why it cannot."""
    reasons: dict[str, str] = {}
    for spec in _engines(catalogue):
        try:
            return EngineLoad(spec, uuid), reasons
        except HarnessError as error:
            reasons[spec.name] = str(error)
    return None, reasons


def _engines(catalogue: Catalogue) -> Iterable[EngineSpec]:
    """Engines for GPUs, without test doubles, in the order in which they are tried."""
    able = [spec for spec in catalogue.engines.values() if "gpu" in spec.devices and not spec.simulated]
    return sorted(able, key=lambda spec: (FIRST.index(spec.name) if spec.name in FIRST else len(FIRST), spec.name))
