"""The logs of external meters that were imported beside a run: kept, and joined to its records, which they never change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import userfiles
from harness.errors import StoreError
from harness.schema import Meter, MeterReading, Record, Sample, StoredRun
from harness.store.arrays import numbers, read_table, write_table
from harness.store.files import migrate, write_error, write_atomically


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
        write_table(
            path.with_suffix(".parquet"),
            {
                "domain": [meter.domain.name] * len(sample.value),
                "start_s": sample.start_s,
                "end_s": sample.end_s,
                "value": sample.value,
            },
        )
    except OSError as error:
        raise write_error(folder, error) from None
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
            found.append(Meter.model_validate_json(json.dumps(migrate(json.loads(_content(path))))))
        except ValueError as error:
            raise StoreError(f"{path} cannot be read: {str(error).splitlines()[0]}", "import the meter's log again") from None
    return found


def _content(path: Path) -> bytes:
    return userfiles.read_bytes(path, "run's file", limit_bytes=userfiles.RUN_BYTES, error=StoreError)


def read_meter_sample(folder: Path, meter: Meter) -> Sample:
    """The power of an imported log on Unix time, the meter's clock corrected.

    Raises:
        StoreError: The file is missing or damaged.
    """
    path = folder / "meters" / f"{meter.domain.name}.parquet"
    table = read_table(path)
    start_s, end_s, value = (numbers(path, table, name) for name in ("start_s", "end_s", "value"))
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
