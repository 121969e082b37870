"""The results folder: a run's header, its records appended and fsynced one by one, its raw traces; old versions readable."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from harness.errors import StoreError
from harness.schema import SCHEMA_VERSION, Answers, Header, Meter, MeterReading, Record, References, Sample, StoredRun, Trace

SAMPLE_SHAPE = b"sample_shape"
"""Where the metadata of kept outputs hold the shape of one sample, as JSON."""


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
        if (folder / "run.json").is_file():
            return folder
    known = sorted(p.parent.name for p in results.glob("*/run.json"))
    newest = f"the newest under {results} is {known[-1]}" if known else f"there is none under {results}"
    raise StoreError(f"there is no run {run!r}", newest)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file whole, or leave it as it was.

    Raises:
        StoreError: The folder cannot be written, or the disk is full.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _trouble(path, error) from None


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
            raise _trouble(results, error) from None
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
        stem = f"traces/{_stem(record)}"
        try:
            if trace.samples:
                _write_table(self.folder / f"{stem}.parquet", _trace_columns(trace))
            if completions.size:
                _write_table(
                    self.folder / f"{stem}.completions.parquet", dict(zip(("start_ns", "end_ns", "queries"), completions, strict=True))
                )
            if per_sample.size:
                _write_table(self.folder / f"{stem}.quality.parquet", {"value": per_sample})
            if outputs is not None and outputs.size:
                _write_outputs(self.folder / f"{stem}.outputs.parquet", outputs)
            stored = record.model_copy(update={"trace": f"{stem}.parquet" if trace.samples else None})
            self._append_line(stored.model_dump_json().encode() + b"\n")
        except OSError as error:
            raise _trouble(self.folder, error) from None
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
    try:
        raw = json.loads((folder / "run.json").read_bytes())
    except FileNotFoundError:
        raise StoreError(f"{folder} holds no run.json", "give the folder of a run") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder / 'run.json'} cannot be read: {error}", "the run cannot be used without it") from None
    try:
        header = Header.model_validate_json(json.dumps(migrate(raw)))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise StoreError(f"{folder / 'run.json'} is damaged: {place}: {first['msg']}", "the run cannot be used without it") from None
    records, problems = _read_records(folder / "records.jsonl")
    return StoredRun(str(folder), header, tuple(records), tuple(problems))


def migrate(raw: Any) -> Any:
    """An older header or record in today's shape.

    Raises:
        StoreError: It was written by a newer harness.
    """
    found = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(found, int) and found > SCHEMA_VERSION:
        raise StoreError(
            f"this run was written by a newer harness (schema {found}, this one reads up to {SCHEMA_VERSION})", "install a newer harness"
        )
    return raw


def read_trace(run: StoredRun, record: Record) -> Trace:
    """The raw trace of a record.

    Raises:
        StoreError: It is missing or damaged.
    """
    import pyarrow.parquet as pq

    assert record.trace
    try:
        table = pq.read_table(Path(run.folder) / record.trace)
    except (OSError, ValueError) as error:
        raise StoreError(f"the trace {record.trace} cannot be read: {error}", "was the run copied whole?") from None
    names = np.asarray(table["domain"].to_pylist())
    columns = {name: table[name].to_numpy() for name in ("start_s", "end_s", "value")}
    domains = {d.name: d for d in run.header.domains}
    return Trace(
        domains=domains, samples={name: Sample(*(columns[c][names == name] for c in ("start_s", "end_s", "value"))) for name in domains}
    )


def read_completions(run: StoredRun, record: Record) -> np.ndarray:
    """When the queries of a record began and ended: shape (3, n), start ns, end ns, queries; n is 0 where none were kept.

    Raises:
        StoreError: The file is damaged.
    """
    import pyarrow.parquet as pq

    path = Path(run.folder) / f"traces/{_stem(record)}.completions.parquet"
    if not path.exists():
        return np.zeros((3, 0), dtype=np.int64)
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "was the run copied whole?") from None
    return np.stack([table[name].to_numpy() for name in ("start_ns", "end_ns", "queries")])


def with_answers(run: StoredRun) -> StoredRun:
    """The run with what each case said of the test samples: of its first repetition that is ok and has left it.

    Raises:
        StoreError: A file is damaged.
    """
    answers: dict[str, Answers] = {}
    for record in sorted((r for r in run.records if r.case_id and r.status == "ok"), key=lambda r: (r.repetition, r.attempt)):
        assert record.case_id
        found = answers.get(record.case_id, Answers())
        per_sample = found.per_sample if found.per_sample.size else _read_per_sample(run, record)
        outputs = found.outputs if found.outputs.size else _read_outputs(run, record)
        answers[record.case_id] = Answers(per_sample, outputs)
    return replace(run, answers=answers)


def _read_per_sample(run: StoredRun, record: Record) -> np.ndarray:
    """Shape (samples,); empty where it was not kept."""
    table = _read_table(Path(run.folder) / f"traces/{_stem(record)}.quality.parquet")
    return np.zeros(0) if table is None else np.asarray(table["value"].to_numpy())


def _read_outputs(run: StoredRun, record: Record) -> np.ndarray:
    """Shape (samples, ...); empty where they were not kept."""
    path = Path(run.folder) / f"traces/{_stem(record)}.outputs.parquet"
    table = _read_table(path)
    if table is None:
        return np.zeros(0)
    try:
        shape = json.loads(table.schema.metadata[SAMPLE_SHAPE])
        return np.asarray(table["output"].combine_chunks().flatten().to_numpy()).reshape(len(table), *shape)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "was the run copied whole?") from None


def _read_table(path: Path) -> Any:
    """A Parquet file; null where there is none."""
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path) if path.exists() else None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "was the run copied whole?") from None


# --- the references of its fronts: beside what was recorded, written by the first drawing and never changed by a later one ---


def read_references(folder: Path) -> References:
    """What the hypervolumes of a run are counted from; empty where none was drawn yet.

    Raises:
        StoreError: The file is damaged.
    """
    path = folder / "fronts.json"
    try:
        return References.model_validate_json(json.dumps(migrate(json.loads(path.read_bytes())))) if path.exists() else References()
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {str(error).splitlines()[0]}", "remove it: the references are then chosen anew") from None


def write_references(folder: Path, references: References) -> None:
    """Keep them for the next drawing.

    Raises:
        StoreError: They cannot be written.
    """
    write_atomically(folder / "fronts.json", references.model_dump_json(indent=1) + "\n")


# --- meters: beside what was recorded, which they never change ---


def write_meter(folder: Path, meter: Meter, sample: Sample) -> Path:
    """Keep an imported log with what it says of each record; a log of the same name is replaced.

    Args:
        folder: Of the run.
        meter: Its readings.
        sample: Its power on Unix time, the meter's clock uncorrected.

    Returns:
        The file with the readings.

    Raises:
        StoreError: It cannot be written.
    """
    path = folder / "meters" / f"{meter.domain.name}.json"
    try:
        path.parent.mkdir(exist_ok=True)
        _write_table(
            path.with_suffix(".parquet"),
            {
                "domain": [meter.domain.name] * len(sample.value),
                "start_s": sample.start_s,
                "end_s": sample.end_s,
                "value": sample.value,
            },
        )
    except OSError as error:
        raise _trouble(folder, error) from None
    write_atomically(path, meter.model_dump_json(indent=1) + "\n")
    return path


def read_meters(folder: Path) -> list[Meter]:
    """Every log that was imported beside a run.

    Raises:
        StoreError: One is damaged.
    """
    found = []
    for path in sorted((folder / "meters").glob("*.json")):
        try:
            found.append(Meter.model_validate_json(json.dumps(migrate(json.loads(path.read_bytes())))))
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} cannot be read: {str(error).splitlines()[0]}", "import the meter's log again") from None
    return found


def read_meter_sample(folder: Path, meter: Meter) -> Sample:
    """The power of an imported log on Unix time, the meter's clock corrected.

    Raises:
        StoreError: The file is missing or damaged.
    """
    import pyarrow.parquet as pq

    path = folder / "meters" / f"{meter.domain.name}.parquet"
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}", "import the meter's log again") from None
    start_s, end_s, value = (table[name].to_numpy() for name in ("start_s", "end_s", "value"))
    return Sample(start_s - meter.clock_offset_s, end_s - meter.clock_offset_s, value)


def with_meters(run: StoredRun) -> StoredRun:
    """The run with the readings of its meters among the measurements of its records, and their domains among its own.

    Raises:
        StoreError: A meter's file is damaged.
    """
    meters = read_meters(Path(run.folder))
    if not meters:
        return run
    readings: dict[Any, list[MeterReading]] = {}
    for meter in meters:
        for reading in meter.readings:
            readings.setdefault(_key(reading), []).append(reading)
    domains = (*run.header.domains, *(meter.domain for meter in meters))
    return replace(
        run,
        header=run.header.model_copy(update={"domains": domains}),
        records=tuple(_with_readings(record, readings.get(_key(record), [])) for record in run.records),
    )


def _key(named: Record | MeterReading) -> tuple[Any, ...]:
    """Which task and attempt; a case is told by its own id, a build by the build's."""
    return named.task, named.case_id, None if named.case_id else named.build_id, named.repetition, named.attempt


def _with_readings(record: Record, readings: Sequence[MeterReading]) -> Record:
    return record.model_copy(
        update={
            "measurements": (*record.measurements, *(m for reading in readings for m in reading.measurements)),
            "warnings": (*record.warnings, *(f for reading in readings for f in reading.findings)),
        }
    )


def _read_records(path: Path) -> tuple[list[Record], list[str]]:
    """Every record that can be read, and a sentence for each line that cannot."""
    records, problems = [], []
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else []
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                records.append(Record.model_validate_json(json.dumps(migrate(json.loads(line)))))
            except ValueError as error:
                what = "is torn (the writer was killed)" if number == len(lines) else "is damaged"
                problems.append(f"{path.name}:{number} {what} and was left out: {str(error).splitlines()[0][:120]}")
    return records, problems


def _stem(record: Record) -> str:
    """A file name for a task: readable, safe, and unique in its run."""
    name = record.case_id or f"build/{record.build_id}"
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80]
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{slug}-{digest}-r{record.repetition}-a{record.attempt}"


def _trace_columns(trace: Trace) -> dict[str, Any]:
    names = [name for name, sample in trace.samples.items() for _ in range(len(sample.value))]
    parts = list(trace.samples.values())

    def joined(pick: Any) -> np.ndarray:
        return np.concatenate([pick(part) for part in parts]) if parts else np.zeros(0)

    return {"domain": names, "start_s": joined(lambda s: s.start_s), "end_s": joined(lambda s: s.end_s), "value": joined(lambda s: s.value)}


def _write_table(path: Path, columns: dict[str, Sequence[Any] | np.ndarray]) -> None:
    import pyarrow as pa

    _write(
        path,
        pa.table({name: pa.array(values, type=pa.string()) if name == "domain" else pa.array(values) for name, values in columns.items()}),
    )


def _write_outputs(path: Path, outputs: np.ndarray) -> None:
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


def _trouble(path: Path, error: OSError) -> StoreError:
    """An operating-system error as a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        trouble = StoreError(
            f"the disk that holds {path} is full", "every record so far is intact: free some space, then `harness run --resume`"
        )
        trouble.exit_code = 3
        return trouble
    return StoreError(
        f"{path} cannot be written: {error.strerror or error}", "choose another folder with --results, or mend its permissions"
    )
