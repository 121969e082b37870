"""A run in the results folder: finds, writes and reads its header, records and raw data."""

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
from harness.schema.served import REQUEST_COLUMNS
from harness.store.arrays import EVALUATION, files_of, stem_of, trace_columns, write_outputs, write_table
from harness.store.files import migrate, read_bytes, write_atomically, write_error

CURRENT = f'{{"schema_version":{SCHEMA_VERSION},'.encode()
"""First bytes of a record that needs no migration."""
WHOLE: set[str] = set()
"""Set of given fields that is shared by all models read."""


def new_run_id(suite_name: str, profile: str) -> str:
    """Name of a new run, which sorts by time: `2026-01-31T120000Z-digits-quick`."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", suite_name).strip("-.")[:40] or "suite"
    return f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}-{slug}-{profile}"


def find_run(results: Path, run: str) -> Path:
    """Folder of a run.

    Args:
        results: Folder of the results.
        run: Name of the run there, or a path.

    Raises:
        StoreError: There is no such run.
    """
    for folder in (Path(run), results / run):
        if os.path.isfile(folder / "run.json"):  # noqa: PTH113 -- also False for impossible paths
            return folder
    known = sorted(p.parent.name for p in results.glob("*/run.json"))
    newest = f"the newest under {results} is {known[-1]}" if known else f"there is none under {results}"
    raise StoreError(f"there is no run {run[:200]!r}", newest)


class Store:
    """Writer of one run.

    Args:
        folder: Folder of an existing run; `create` makes a new one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, results: Path, header: Header) -> Store:
        """Create the folder of a new run.

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
        self,
        record: Record,
        trace: Trace,
        completions: np.ndarray,
        per_sample: np.ndarray,
        outputs: np.ndarray | None = None,
        requests: np.ndarray | None = None,
        evaluation: str = "",
    ) -> Record:
        """Store one task: first its raw data, then its line, each flushed to the disk.

        Args:
            record: Record of the task, without the path of its trace.
            trace: Readings of the sensors.
            completions: Completions, shape (3, n): start in ns, end in ns, number of queries.
            per_sample: Metric of each test sample, shape (samples,); may be empty.
            outputs: Outputs to keep, shape (samples, ...); None or empty for none.
            requests: Requests of text generation, shape (columns, n); None or empty for none.
            evaluation: Results of an evaluation as lm_eval wrote them; empty for none.

        Returns:
            The record as stored.

        Raises:
            StoreError: The disk is full or gone; earlier records are intact.
        """
        stem = f"traces/{stem_of(record)}"
        try:
            for stale in files_of(self.folder, record):  # left by a writer that was killed before the line
                stale.unlink()
            if trace.samples:
                write_table(self.folder / f"{stem}.parquet", trace_columns(trace.samples))
            if completions.size:
                write_table(
                    self.folder / f"{stem}.completions.parquet", dict(zip(("start_ns", "end_ns", "queries"), completions, strict=True))
                )
            if requests is not None and requests.size:
                write_table(self.folder / f"{stem}.requests.parquet", dict(zip(REQUEST_COLUMNS, requests, strict=True)))
            if per_sample.size:
                write_table(self.folder / f"{stem}.quality.parquet", {"value": per_sample})
            if outputs is not None and outputs.size:
                write_outputs(self.folder / f"{stem}.outputs.parquet", outputs)
            if evaluation:
                write_atomically(self.folder / f"{stem}{EVALUATION}", evaluation)
            stored = record.model_copy(update={"trace": f"{stem}.parquet" if trace.samples else None})
            self._append_line(stored.model_dump_json().encode() + b"\n")
        except OSError as error:
            raise write_error(self.folder, error) from None
        return stored

    def _append_line(self, line: bytes) -> None:
        """Append one line completely or not at all; a torn line of a killed writer is ended first."""
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
    """Read a run.

    Args:
        folder: Folder of the run.

    Raises:
        StoreError: Its `run.json` is missing, damaged, or of a newer version.
    """
    if not os.path.lexists(folder / "run.json"):
        raise StoreError(f"{folder} contains no run.json", "give the folder of a run")
    try:
        raw = json.loads(read_bytes(folder / "run.json"))
    except ValueError as error:
        raise StoreError(
            f"{folder / 'run.json'} cannot be read: {error}", "restore it from a copy, since the run cannot be read without it"
        ) from None
    try:
        header = Header.model_validate_json(json.dumps(migrate(raw)))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise StoreError(
            f"{folder / 'run.json'} is damaged: {place}: {first['msg']}", "restore it from a copy, since the run cannot be read without it"
        ) from None
    records, problems = _read_records(folder / "records.jsonl")
    return StoredRun(str(folder), header, tuple(records), tuple(problems))


def _read_records(path: Path) -> tuple[list[Record], list[str]]:
    """(records, a sentence for each line that cannot be read)."""
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


def _record(line: bytes) -> Record:
    """A record; a line of today's version is parsed only once, which takes a third of the time."""
    if line.startswith(CURRENT):
        return Record.model_validate_json(line)
    return Record.model_validate_json(json.dumps(migrate(json.loads(line))))


def _lean(record: Record) -> Record:
    """The record with one shared set of given fields, which halves its memory; see design/0018."""
    single = (record.latency, record.tokens, record.quality, record.artifact, record.artifact.facts if record.artifact else None)
    for noun in (record, *record.phases, *record.measurements, *record.kernels, *record.warnings, *single):
        if noun:
            object.__setattr__(noun, "__pydantic_fields_set__", WHOLE)
    return record


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Suspend garbage collection: records have no cycles, and searching for some takes longer than reading them.

    Objects are frozen at the end, so that later collections skip the records.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if on:
            gc.enable()
