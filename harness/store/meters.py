"""Imported power-meter logs in the folder of a run, joined to its records on reading."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.schema import Meter, MeterReading, Record, Sample, StoredRun
from harness.store.arrays import numbers, read_table, write_table
from harness.store.files import migrate, read_bytes, write_atomically, write_error


def write_meter(folder: Path, meter: Meter, sample: Sample) -> Path:
    """Store an imported log with its reading of each record; a log of the same name is replaced.

    Args:
        folder: Folder of the run.
        meter: Readings of the meter.
        sample: Power on Unix time, the offset of the meter's clock not subtracted.

    Returns:
        The file with the readings.

    Raises:
        StoreError: It cannot be written.
    """
    path = folder / "meters" / f"{meter.domain.name}.json"
    try:
        path.parent.mkdir(exist_ok=True)
        write_table(path.with_suffix(".parquet"), {"domain": [meter.domain.name] * len(sample.value), **vars(sample)})
    except OSError as error:
        raise write_error(folder, error) from None
    write_atomically(path, meter.model_dump_json(indent=1) + "\n")
    return path


def read_meters(folder: Path) -> list[Meter]:
    """Every imported log of a run.

    Raises:
        StoreError: One is damaged.
    """
    meters = []
    for path in sorted((folder / "meters").glob("*.json")):
        try:
            meters.append(Meter.model_validate_json(json.dumps(migrate(json.loads(read_bytes(path))))))
        except ValueError as error:
            raise StoreError(f"{path} cannot be read: {str(error).splitlines()[0]}", "import the meter's log again") from None
    return meters


def read_meter_sample(folder: Path, meter: Meter) -> Sample:
    """Power of an imported log on Unix time, the offset of the meter's clock subtracted.

    Raises:
        StoreError: The file is missing or damaged.
    """
    path = folder / "meters" / f"{meter.domain.name}.parquet"
    table = read_table(path)
    start_s, end_s, value = (numbers(path, table, name) for name in ("start_s", "end_s", "value"))
    return Sample(start_s - meter.clock_offset_s, end_s - meter.clock_offset_s, value)


def with_meters(run: StoredRun) -> StoredRun:
    """The run with the readings of its meters added to its records, and their domains to its header.

    Raises:
        StoreError: The file of a meter is damaged.
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


def _key(task: Record | MeterReading) -> tuple[Any, ...]:
    """Identity of a task and attempt: a case by its own id, a build by the build's."""
    return task.task, task.case_id, None if task.case_id else task.build_id, task.repetition, task.attempt


def _with_readings(record: Record, readings: list[MeterReading]) -> Record:
    return record.model_copy(
        update={
            "measurements": (*record.measurements, *(m for reading in readings for m in reading.measurements)),
            "warnings": (*record.warnings, *(f for reading in readings for f in reading.findings)),
        }
    )
