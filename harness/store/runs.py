"""The results folder: a run's header, its records appended and fsynced one by one, its raw traces; old versions readable."""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from harness import userfiles
from harness.errors import StoreError
from harness.schema import SCHEMA_VERSION, Header, Record, StoredRun, Trace
from harness.store.arrays import (
    files_of,
    stem_of,
    trace_columns,
    write_outputs,
    write_table,
)
from harness.store.files import migrate, write_error, write_atomically

CURRENT = f'{{"schema_version":{SCHEMA_VERSION},'.encode()
"""How the line of a record begins that needs no migration."""
WHOLE: set[str] = set()
"""Set of given fields that all models that were read share."""


def new_run_id(suite_name: str, profile: str) -> str:
    """A name for a run that sorts by time: `2026-01-31T120000Z-digits-quick`."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", suite_name).strip("-.")[:40] or "suite"
    return f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}-{slug}-{profile}"


def find_run(results: Path, run: str) -> Path:
    """The folder of a run given by its name under the results folder, or by a path.

    Raises:
        StoreError: There is no such run.
    """
    for folder in (Path(run), results / run):
        if os.path.isfile(folder / "run.json"):  # noqa: PTH113 -- false, too, for what can be no path
            return folder
    known = sorted(p.parent.name for p in results.glob("*/run.json"))
    newest = f"the newest under {results} is {known[-1]}" if known else f"there is none under {results}"
    raise StoreError(f"there is no run {run[:200]!r}", newest)


class Store:
    """One run's folder, open for writing.

    Args:
        folder: An existing run; see `create`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, results: Path, header: Header) -> Store:
        """Make the folder of a new run.

        Raises:
            StoreError: It cannot be written.
        """
        folder = results / header.run_id
        try:
            (folder / "traces").mkdir(parents=True)
        except OSError as error:
            raise write_error(results, error) from None
        store = cls(folder)
        store.write_header(header)
        return store

    def write_header(self, header: Header) -> None:
        """Write `run.json`."""
        write_atomically(self.folder / "run.json", header.model_dump_json(indent=1) + "\n")

    def append(
        self, record: Record, trace: Trace, completions: np.ndarray, per_sample: np.ndarray, outputs: np.ndarray | None = None
    ) -> Record:
        """Keep one task for good: first its raw data, then its line, each on the disk before this returns.

        Args:
            record: Without its trace's path.
            trace: What the sensors said.
            completions: Shape (3, n): start ns, end ns, queries.
            per_sample: Shape (samples,), may be empty.
            outputs: Shape (samples, ...), may be empty; null: none.

        Returns:
            The record as stored.

        Raises:
            StoreError: The disk is full or gone; what was stored before is intact.
        """
        stem = f"traces/{stem_of(record)}"
        try:
            for stale in files_of(self.folder, record):  # of a writer that was killed before it wrote the line
                stale.unlink()
            if trace.samples:
                write_table(self.folder / f"{stem}.parquet", trace_columns(trace))
            if completions.size:
                write_table(
                    self.folder / f"{stem}.completions.parquet", dict(zip(("start_ns", "end_ns", "queries"), completions, strict=True))
                )
            if per_sample.size:
                write_table(self.folder / f"{stem}.quality.parquet", {"value": per_sample})
            if outputs is not None and outputs.size:
                write_outputs(self.folder / f"{stem}.outputs.parquet", outputs)
            stored = record.model_copy(update={"trace": f"{stem}.parquet" if trace.samples else None})
            self._append_line(stored.model_dump_json().encode() + b"\n")
        except OSError as error:
            raise write_error(self.folder, error) from None
        return stored

    def _append_line(self, line: bytes) -> None:
        """Append one line whole, or nothing; a torn line that a killed writer left is closed first."""
        path = self.folder / "records.jsonl"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = b"\n" + line
            try:
                written = os.write(handle, line)
                if written < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(handle)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)


def read_run(folder: Path) -> StoredRun:
    """Read a run back.

    Raises:
        StoreError: Its `run.json` is missing, damaged, or of a newer version.
    """
    if not os.path.lexists(folder / "run.json"):
        raise StoreError(f"{folder} holds no run.json", "give the folder of a run")
    try:
        raw = json.loads(_content(folder / "run.json"))
    except ValueError as error:
        raise StoreError(f"{folder / 'run.json'} cannot be read: {error}", "the run cannot be used without it") from None
    try:
        header = Header.model_validate_json(json.dumps(migrate(raw)))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise StoreError(f"{folder / 'run.json'} is damaged: {place}: {first['msg']}", "the run cannot be used without it") from None
    records, problems = _read_records(folder / "records.jsonl")
    return StoredRun(str(folder), header, tuple(records), tuple(problems))


def _read_records(path: Path) -> tuple[list[Record], list[str]]:
    """Every record that can be read, and a sentence for each line that cannot."""
    records, problems = [], []
    if not os.path.lexists(path):
        return [], []
    try:
        with (
            userfiles.open_regular(path, "run's file of records", limit_bytes=userfiles.RUN_BYTES, error=StoreError) as lines,
            _no_collection(),
        ):
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        records.append(_lean(_record(line)))
                    except ValueError as error:
                        what = "is damaged" if line.endswith(b"\n") else "is torn (the writer was killed)"
                        problems.append(f"{path.name}:{number} {what} and was left out: {str(error).splitlines()[0][:120]}")
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    return records, problems


def _content(path: Path) -> bytes:
    """A file of a run's folder; raises StoreError."""
    return userfiles.read_bytes(path, "run's file", limit_bytes=userfiles.RUN_BYTES, error=StoreError)


def _record(line: bytes) -> Record:
    """A line of today's version as it is: parsing it twice would take three times as long."""
    if line.startswith(CURRENT):
        return Record.model_validate_json(line)
    return Record.model_validate_json(json.dumps(migrate(json.loads(line))))


def _lean(record: Record) -> Record:
    """The record without each model's own set of given fields: half of its memory; see design/0018."""
    single = (record.latency, record.quality, record.artifact, record.artifact.facts if record.artifact else None)
    for noun in (record, *record.phases, *record.measurements, *record.kernels, *record.warnings, *single):
        if noun:
            object.__setattr__(noun, "__pydantic_fields_set__", WHOLE)
    return record


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing that is read is garbage, and no record is part of a circle: looking for one among ever more records takes longer than reading them.

    What there is by then is frozen: else the first collection after it would go through every record.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if on:
            gc.enable()
