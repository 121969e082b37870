"""A run of the tiny suite, and an observer that keeps what it receives."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from harness import plugins
from harness.artifacts import Cache
from harness.run import start
from harness.schema import PROFILES, Record
from harness.store import manifest, read_run, write_atomically
from harness.suite import load_suite
from harness.verify import verify
from tests import tiny

PROFILE = PROFILES["quick"].model_copy(update={"first": 2, "cap": 2, "window_s": 0.4, "idle_s": 0.05})


class Watcher:
    """An observer that keeps all events, and may interrupt after a number of records."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.events: list[tuple[str, Any]] = []
        self.records: list[Record] = []
        self.interrupt_after = interrupt_after

    def record(self, record: Record) -> None:
        """Keep it."""
        self.records.append(record)
        if len(self.records) == self.interrupt_after:
            raise KeyboardInterrupt

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.events.append((name, values))


def run_request(folder: Path, suite: str = tiny.SUITE) -> start.RunRequest:
    """A run of the tiny suite."""
    path = tiny.write(folder, suite)
    return start.RunRequest(load_suite(path, plugins.catalogue()), suite, PROFILE, folder / "results")


def run(request: start.RunRequest, watcher: Watcher | None = None) -> Path:
    """Run it; returns its folder."""
    with start.begin(request, plugins.catalogue(), watcher or Watcher()) as running:
        folder = running.store.folder
        with contextlib.suppress(KeyboardInterrupt):
            running.run()
    return folder


def problems(folder: Path) -> list[str]:
    """Problems that a verification finds in a run that has ended and is sealed."""
    write_atomically(folder / manifest.NAME, manifest.seal(folder))
    return verify(folder, cache=Cache()).problems


def done(folder: Path) -> list[tuple[str, int]]:
    """Case and repetition of each ok record."""
    return sorted((r.case_id, r.repetition) for r in read_run(folder).records if r.case_id and r.status == "ok")
