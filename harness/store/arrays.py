"""Raw data of a record as Parquet files: trace, completions, requests, quality per test sample, and kept outputs."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness import userfiles
from harness.energy.scope import for_card
from harness.errors import StoreError
from harness.schema import Record, Sample, StoredOutputs, StoredRun, Trace
from harness.schema.served import REQUEST_COLUMNS

KINDS = ("", ".completions", ".requests", ".quality", ".outputs")
"""Suffixes of a record's files: sensor readings, ends of queries, requests of text generation, metric of each test sample, scored outputs."""
EVALUATION = ".lm_eval.json"
"""Suffix of the results of lm_eval, as it wrote them."""
SAMPLE_SHAPE = b"sample_shape"
"""Key of the shape of one sample, as JSON, in the metadata of kept outputs."""
HINT = "was the run copied completely?"


def read_trace(run: StoredRun, record: Record) -> Trace:
    """The raw trace of a record.

    Raises:
        StoreError: It is missing or damaged.
    """
    assert record.trace
    table = read_table(Path(run.folder) / record.trace, "domain")
    names = np.asarray(table["domain"].to_pylist())
    columns = {name: numbers(Path(record.trace), table, name) for name in ("start_s", "end_s", "value")}
    if not all(np.isfinite(columns[name]).all() for name in ("start_s", "end_s")):  # only values may be missing
        raise StoreError(f"{record.trace} cannot be read: it holds times that are not numbers", HINT)
    card = next((case.card for case in run.header.suite.cases if case.case_id == record.case_id), None)
    domains = {d.name: d for d in for_card(run.header.domains, card)}
    return Trace(domains, {name: Sample(*(column[names == name] for column in columns.values())) for name in domains})


def read_completions(run: StoredRun, record: Record) -> np.ndarray:
    """Completions of a record, shape (3, n): start in ns, end in ns, and number of queries or tokens; n is 0 if none were kept.

    Raises:
        StoreError: The file is damaged.
    """
    path = _path(run, record, ".completions")
    if not path.exists():
        return np.zeros((3, 0), dtype=np.int64)
    table = read_table(path)
    completions = np.stack([numbers(path, table, name) for name in ("start_ns", "end_ns", "queries")])
    if completions.dtype.kind != "i" or (completions[2] < 1).any():
        raise StoreError(f"{path} cannot be read: times and queries are whole numbers", HINT)
    return completions


def read_requests(run: StoredRun, record: Record) -> np.ndarray:
    """Requests of a record, shape (columns, n), in the order of `REQUEST_COLUMNS`; n is 0 if its case generates no text.

    Raises:
        StoreError: The file is damaged.
    """
    path = _path(run, record, ".requests")
    if not path.exists():
        return np.zeros((len(REQUEST_COLUMNS), 0), dtype=np.int64)
    table = read_table(path)
    requests = np.stack([numbers(path, table, name) for name in REQUEST_COLUMNS])
    if requests.dtype.kind != "i":
        raise StoreError(f"{path} cannot be read: times and tokens are whole numbers", HINT)
    return requests


def read_per_sample(run: StoredRun, record: Record) -> np.ndarray:
    """The metric of each test sample of a record, shape (samples,); empty if it was not kept, StoreError if it is damaged."""
    path = _path(run, record, ".quality")
    return numbers(path, read_table(path), "value") if path.exists() else np.zeros(0)


def with_outputs(run: StoredRun) -> StoredRun:
    """The run with the quality and outputs of each case, from its first successful repetition that kept them.

    Raises:
        StoreError: A file is damaged.
    """
    # One listing: two lookups for each of 100,000 records take longer than reading the records.
    names = {path.name for path in (Path(run.folder) / "traces").glob("*.*.parquet")}
    outputs_by_case: dict[str, StoredOutputs] = {}
    for record in sorted((r for r in run.records if r.case_id and r.status == "ok"), key=lambda r: (r.repetition, r.attempt)):
        assert record.case_id
        known = outputs_by_case.setdefault(record.case_id, StoredOutputs())
        if not names or (known.per_sample.size and known.outputs.size):
            continue
        per_sample, outputs = known.per_sample, known.outputs
        if not per_sample.size and f"{stem_of(record)}.quality.parquet" in names:
            per_sample = read_per_sample(run, record)
        if not outputs.size and f"{stem_of(record)}.outputs.parquet" in names:
            outputs = _read_outputs(_path(run, record, ".outputs"))
        outputs_by_case[record.case_id] = StoredOutputs(per_sample, outputs)
    return replace(run, outputs=outputs_by_case)


def _read_outputs(path: Path) -> np.ndarray:
    """Kept outputs, shape (samples, ...)."""
    table = read_table(path)
    try:
        shape = json.loads(table.schema.metadata[SAMPLE_SHAPE])
        return np.asarray(table["output"].combine_chunks().flatten().to_numpy()).reshape(len(table), *shape)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}", HINT) from None


def read_table(path: Path, *columns: str) -> Any:
    """A Parquet file with at least these columns.

    Raises:
        StoreError: It cannot be read, or a column is missing.
    """
    import pyarrow.parquet as pq

    if path.exists():  # opening a pipe would block
        userfiles.check_regular(path, "run's file", limit_bytes=userfiles.RUN_BYTES, error=StoreError)
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise StoreError(f"{path} cannot be read: the file is missing", HINT) from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}", HINT) from None
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise StoreError(f"{path} cannot be read: it has no column {missing[0]}", HINT)
    return table


def numbers(path: Path, table: Any, column: str) -> np.ndarray:
    """A column of numbers of a Parquet file; its path is for messages.

    Raises:
        StoreError: The column is missing, or does not hold numbers.
    """
    values = np.asarray(table[column].to_numpy()) if column in table.column_names else np.zeros(0, dtype=object)
    if values.dtype.kind not in "fiub":
        raise StoreError(f"{path} cannot be read: its column {column} is missing, or does not hold numbers", HINT)
    return values


def stem_of(record: Record) -> str:
    """Name of a task's files: readable, safe, and unique in its run."""
    name = record.case_id or f"build/{record.build_id}"
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80]
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{slug}-{digest}-r{record.repetition}-a{record.attempt}"


def _path(run: StoredRun, record: Record, kind: str) -> Path:
    return Path(run.folder) / f"traces/{stem_of(record)}{kind}.parquet"


def files_of(folder: Path, record: Record) -> list[Path]:
    """The files of a record's raw data in the folder of its run."""
    suffixes = (*(f"{kind}.parquet" for kind in KINDS), EVALUATION)
    return [path for suffix in suffixes if (path := folder / f"traces/{stem_of(record)}{suffix}").exists()]


def trace_columns(samples: Mapping[str, Sample]) -> dict[str, Any]:
    """Readings as the columns of one table, domain after domain."""
    names = [name for name, sample in samples.items() for _ in range(len(sample.value))]
    parts = list(samples.values())
    arrays = {key: [getattr(part, key) for part in parts] for key in ("start_s", "end_s", "value")}
    return {"domain": names, **{key: np.concatenate(own) if own else np.zeros(0) for key, own in arrays.items()}}


def write_table(path: Path, columns: dict[str, Sequence[Any] | np.ndarray]) -> None:
    """Write columns to a Parquet file and flush it to the disk."""
    import pyarrow as pa

    types = {"domain": pa.string()}
    _write(path, pa.table({name: pa.array(values, type=types.get(name)) for name, values in columns.items()}))


def write_outputs(path: Path, outputs: np.ndarray) -> None:
    """Write one row per sample, its values flat, with their shape in the metadata of the file."""
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
