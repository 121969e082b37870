"""Journal of the task in flight: what a killed harness has measured of it so far; removed once its record is stored."""

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
from harness.store.arrays import trace_columns

ANNOUNCED, SEEN = "inflight.json", "inflight.arrow"
PHASE = "phase "
"""Prefix of the domain of rows that mark the start of a phase."""


class Announcement(FrozenModel):
    """A task as it begins."""

    task: Task
    boot_id: str | None
    started_utc: str
    utc_minus_monotonic_s: float


@dataclass(frozen=True)
class Lost:
    """Data of the task in flight that a killed harness stored.

    Attributes:
        announced: The task and its clock.
        phases: (name, start in s on CLOCK_MONOTONIC), in order.
        samples: Readings by domain.
    """

    announced: Announcement
    phases: tuple[tuple[str, float], ...]
    samples: Mapping[str, Sample]


class Journal:
    """Journal of a task while it runs: its readings, about once a second, and each phase as it begins.

    Errors of the disk are ignored: storing the record reports them.

    Args:
        folder: Folder of the run.
        task: The task that begins.
        boot_id: Id of this boot, on whose clock the times are.
    """

    def __init__(self, folder: Path, task: Task, boot_id: str | None) -> None:
        import pyarrow as pa

        pa.array([""])  # imports pandas here, not while something is measured
        self._folder, self._lock = folder, threading.Lock()
        self._sink: int | None = None
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        announced = Announcement(task=task, boot_id=boot_id, started_utc=now, utc_minus_monotonic_s=time.time() - time.monotonic())
        with contextlib.suppress(OSError):
            discard(folder)
            replace_file(folder / ANNOUNCED, announced.model_dump_json())

    def phase(self, name: str) -> None:
        """Add the start of a phase, now."""
        now_s = np.array([time.monotonic()])
        self.samples({PHASE + name: Sample(now_s, now_s, np.array([np.nan]))})

    def samples(self, samples: Mapping[str, Sample]) -> None:
        """Add readings."""
        import pyarrow as pa

        columns = trace_columns(samples)
        if not columns["domain"]:
            return
        batch = pa.record_batch({name: pa.array(values) for name, values in columns.items()})
        with self._lock, contextlib.suppress(OSError):
            if self._sink is None:
                self._sink = os.open(self._folder / SEEN, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                os.write(self._sink, batch.schema.serialize())
            os.write(self._sink, batch.serialize())

    def discard(self) -> None:
        """Remove the journal, once the record is stored."""
        with self._lock, contextlib.suppress(OSError):
            if self._sink is not None:
                os.close(self._sink)
                self._sink = None
            discard(self._folder)


def discard(folder: Path) -> None:
    """Remove the journal of a run's folder."""
    for name in (ANNOUNCED, SEEN):
        (folder / name).unlink(missing_ok=True)


def lost(folder: Path) -> Lost | None:
    """The task in flight when the harness was killed; None if it ended by itself."""
    if not (folder / ANNOUNCED).is_file():  # opening a pipe would block
        return None
    try:
        announced = Announcement.model_validate_json((folder / ANNOUNCED).read_bytes())
    except (OSError, ValidationError):
        return None
    rows = _rows(folder / SEEN)
    phases, samples = [], {}
    for name in dict.fromkeys(name for name, _ in rows):
        values = np.concatenate([columns for other, columns in rows if other == name], axis=1)
        if name.startswith(PHASE):
            phases += [(name.removeprefix(PHASE), float(start_s)) for start_s in values[0]]
        else:
            samples[name] = Sample(*values)
    return Lost(announced, tuple(sorted(phases, key=lambda phase: phase[1])), samples)


def _rows(path: Path) -> list[tuple[str, np.ndarray]]:
    """(domain, its start_s, end_s and value) of every batch that was written completely."""
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
