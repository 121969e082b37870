"""The Parquet files beside a run's records: raw traces, completions, what a case said of the test samples; written and read back."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness import userfiles
from harness.errors import StoreError
from harness.schema import Answers, Record, Sample, StoredRun, Trace

SILENT = Answers()
"""Of a case that left none."""
KINDS = ("", ".completions", ".quality", ".outputs")
"""Of files that a record may have: what the sensors said, when queries ended, the metric of each test sample, the scored output."""
SAMPLE_SHAPE = b"sample_shape"
"""Where the metadata of kept outputs hold the shape of one sample, as JSON."""


def read_trace(run: StoredRun, record: Record) -> Trace:
    """The raw trace of a record.

    Raises:
        StoreError: It is missing or damaged.
    """
    assert record.trace
    table = read_table(Path(run.folder) / record.trace, "domain")
    names = np.asarray(table["domain"].to_pylist())
    columns = {name: numbers(Path(record.trace), table, name) for name in ("start_s", "end_s", "value")}
    if not all(np.isfinite(columns[name]).all() for name in ("start_s", "end_s")):  # a value may be missing, its time never
        raise StoreError(f"{record.trace} cannot be read: it holds times that are no numbers", "was the run copied whole?")
    domains = {d.name: d for d in run.header.domains}
    return Trace(
        domains=domains, samples={name: Sample(*(columns[c][names == name] for c in ("start_s", "end_s", "value"))) for name in domains}
    )


def read_completions(run: StoredRun, record: Record) -> np.ndarray:
    """When the queries of a record began and ended: shape (3, n), start ns, end ns, queries; n is 0 where none were kept.

    Raises:
        StoreError: The file is damaged.
    """
    path = Path(run.folder) / f"traces/{stem_of(record)}.completions.parquet"
    if not path.exists():
        return np.zeros((3, 0), dtype=np.int64)
    table = read_table(path)
    found = np.stack([numbers(path, table, name) for name in ("start_ns", "end_ns", "queries")])
    if found.dtype.kind != "i" or (found[2] < 1).any():
        raise StoreError(f"{path} cannot be read: times and queries are whole numbers", "was the run copied whole?")
    return found


def read_per_sample(run: StoredRun, record: Record) -> np.ndarray:
    """The metric of each test sample of a record, shape (samples,); empty where it was not kept.

    Raises:
        StoreError: The file is damaged.
    """
    path = Path(run.folder) / f"traces/{stem_of(record)}.quality.parquet"
    return numbers(path, read_table(path), "value") if path.exists() else np.zeros(0)


def with_answers(run: StoredRun) -> StoredRun:
    """The run with what each case said of the test samples: of its first repetition that is ok and has left it.

    Raises:
        StoreError: A file is damaged.
    """
    # Listed once: asking the disk for two files of each of 100,000 records takes longer than reading the records.
    there = {path.name for path in (Path(run.folder) / "traces").glob("*.*.parquet")}
    answers: dict[str, Answers] = {}
    for record in sorted((r for r in run.records if r.case_id and r.status == "ok"), key=lambda r: (r.repetition, r.attempt)):
        assert record.case_id
        found = answers.setdefault(record.case_id, SILENT)
        if there and not (found.per_sample.size and found.outputs.size):
            kept = f"{stem_of(record)}.quality.parquet" in there
            per_sample = read_per_sample(run, record) if kept and not found.per_sample.size else found.per_sample
            outputs = found.outputs if found.outputs.size else _read_outputs(run, record, there)
            answers[record.case_id] = Answers(per_sample, outputs)
    return replace(run, answers=answers)


def _read_outputs(run: StoredRun, record: Record, there: Collection[str]) -> np.ndarray:
    """Shape (samples, ...); empty where they were not kept."""
    name = f"{stem_of(record)}.outputs.parquet"
    if name not in there:
        return np.zeros(0)
    path = Path(run.folder) / "traces" / name
    table = read_table(path)
    try:
        shape = json.loads(table.schema.metadata[SAMPLE_SHAPE])
        return np.asarray(table["output"].combine_chunks().flatten().to_numpy()).reshape(len(table), *shape)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "was the run copied whole?") from None


def read_table(path: Path, *columns: str) -> Any:
    """A Parquet file that has these columns.

    Raises:
        StoreError: It cannot be read, or has not.
    """
    import pyarrow.parquet as pq

    if path.exists():  # a pipe would block
        userfiles.check_regular(path, "run's file", limit_bytes=userfiles.RUN_BYTES, error=StoreError)
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "was the run copied whole?") from None
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise StoreError(f"{path} cannot be read: it has no column {missing[0]}", "was the run copied whole?")
    return table


def numbers(path: Path, table: Any, column: str) -> np.ndarray:
    """A column of a Parquet file.

    Raises:
        StoreError: It is not there, or holds something else than numbers.
    """
    values = np.asarray(table[column].to_numpy()) if column in table.column_names else np.zeros(0, dtype=object)
    if values.dtype.kind not in "fiub":
        raise StoreError(f"{path} cannot be read: its column {column} holds no numbers, or is not there", "was the run copied whole?")
    return values


def stem_of(record: Record) -> str:
    """A file name for a task: readable, safe, and unique in its run."""
    name = record.case_id or f"build/{record.build_id}"
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80]
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{slug}-{digest}-r{record.repetition}-a{record.attempt}"


def files_of(folder: Path, record: Record) -> list[Path]:
    """The raw data of a record that lie in its run's folder."""
    stem = folder / "traces" / stem_of(record)
    return [path for kind in KINDS if (path := stem.with_name(f"{stem.name}{kind}.parquet")).exists()]


def trace_columns(trace: Trace) -> dict[str, Any]:
    """A trace as the columns of one table: the domains one below the other."""
    names = [name for name, sample in trace.samples.items() for _ in range(len(sample.value))]
    parts = list(trace.samples.values())

    def joined(pick: Any) -> np.ndarray:
        return np.concatenate([pick(part) for part in parts]) if parts else np.zeros(0)

    return {"domain": names, "start_s": joined(lambda s: s.start_s), "end_s": joined(lambda s: s.end_s), "value": joined(lambda s: s.value)}


def write_table(path: Path, columns: dict[str, Sequence[Any] | np.ndarray]) -> None:
    """A Parquet file of these columns, on the disk before this returns."""
    import pyarrow as pa

    _write(
        path,
        pa.table({name: pa.array(values, type=pa.string()) if name == "domain" else pa.array(values) for name, values in columns.items()}),
    )


def write_outputs(path: Path, outputs: np.ndarray) -> None:
    """One row a sample, its values flat; their shape in the file's metadata."""
    import pyarrow as pa

    column = pa.FixedSizeListArray.from_arrays(pa.array(outputs.reshape(-1)), outputs[0].size)
    table = pa.table({"output": column}).replace_schema_metadata({SAMPLE_SHAPE: json.dumps(outputs.shape[1:])})
    _write(path, table)


def _write(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    with path.open("wb") as stream:
        pq.write_table(table, stream, compression="zstd")
        stream.flush()
        os.fsync(stream.fileno())
