"""The task under way, written down as it goes: a harness that is killed leaves its energy so far. Gone once the task's record is stored."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from harness.atomic import replace_file
from harness.schema import FrozenModel, Sample, Task

ANNOUNCED, SEEN = "inflight.json", "inflight.arrow"
PHASE = "phase "
"""Before the name of a phase, where a row tells that it began rather than what a sensor said."""


class Announcement(FrozenModel):
    """What is known of a task as it begins."""

    task: Task
    boot_id: str | None
    started_utc: str
    utc_minus_monotonic_s: float


@dataclass(frozen=True)
class Lost:
    """What a killed harness left of the task that it ran.

    Attributes:
        announced: Which task, and the clock it was on.
        phases: (name, when it began on CLOCK_MONOTONIC) in order.
        samples: By domain.
    """

    announced: Announcement
    phases: tuple[tuple[str, float], ...]
    samples: Mapping[str, Sample]


class Journal:
    """Written by the harness while a task runs: what the sensors say, about once a second, and each phase as it begins.

    Args:
        folder: Of the run.
        task: About to run.
        boot_id: Of this boot: the times are on its clock.

    A disk that is full does not stop the task here: its record will tell.
    """

    def __init__(self, folder: Path, task: Task, boot_id: str | None) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._sink: int | None = None
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        announced = Announcement(task=task, boot_id=boot_id, started_utc=now, utc_minus_monotonic_s=time.time() - time.monotonic())
        with contextlib.suppress(OSError):
            discard(folder)
            replace_file(folder / ANNOUNCED, announced.model_dump_json())

    def phase(self, name: str) -> None:
        """A phase begins now."""
        now_s = np.array([time.monotonic()])
        self.samples({PHASE + name: Sample(now_s, now_s, np.array([np.nan]))})

    def samples(self, samples: Mapping[str, Sample]) -> None:
        """Add readings."""
        import pyarrow as pa

        names = [name for name, sample in samples.items() for _ in range(len(sample.value))]
        columns = [np.concatenate([getattr(s, c) for s in samples.values()]) for c in ("start_s", "end_s", "value")] if names else []
        if not columns:
            return
        batch = pa.record_batch([pa.array(names), *map(pa.array, columns)], names=["domain", "start_s", "end_s", "value"])
        with self._lock, contextlib.suppress(OSError):
            if self._sink is None:
                self._sink = os.open(self._folder / SEEN, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                os.write(self._sink, batch.schema.serialize())
            os.write(self._sink, batch.serialize())

    def discard(self) -> None:
        """The record is stored: this is not needed any more."""
        with self._lock, contextlib.suppress(OSError):
            if self._sink is not None:
                os.close(self._sink)
                self._sink = None
            discard(self._folder)


def discard(folder: Path) -> None:
    """Remove what an earlier task left."""
    for name in (ANNOUNCED, SEEN):
        (folder / name).unlink(missing_ok=True)


def lost(folder: Path) -> Lost | None:
    """What was running when the harness was killed; null where it ended by itself."""
    if not (folder / ANNOUNCED).is_file():  # a pipe would block
        return None
    try:
        announced = Announcement.model_validate_json((folder / ANNOUNCED).read_bytes())
    except (OSError, ValidationError):
        return None
    rows = _rows(folder / SEEN)
    names = dict.fromkeys(name for name, _ in rows)
    phases, samples = [], {}
    for name in names:
        values = np.concatenate([columns for other, columns in rows if other == name], axis=1)
        if name.startswith(PHASE):
            phases += [(name.removeprefix(PHASE), float(start_s)) for start_s in values[0]]
        else:
            samples[name] = Sample(*values)
    return Lost(announced, tuple(sorted(phases, key=lambda phase: phase[1])), samples)


def _rows(path: Path) -> list[tuple[str, np.ndarray]]:
    """(domain, its start_s, end_s, value) of every batch that was written whole."""
    import pyarrow as pa

    rows: list[tuple[str, np.ndarray]] = []
    if not path.is_file():
        return rows
    with contextlib.suppress(OSError, pa.ArrowInvalid), path.open("rb") as stream:
        for batch in pa.ipc.open_stream(stream):
            names = np.array(batch.column(0).to_pylist())
            columns = np.array([batch.column(i).to_numpy() for i in (1, 2, 3)])
            rows += [(str(name), columns[:, names == name]) for name in dict.fromkeys(names)]
    return rows
