"""Imported logs are kept apart from the records, and joined on reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.errors import StoreError
from harness.meters import read_log
from harness.meters.importing import import_log
from harness.store import (
    read_meter_sample,
    read_meters,
    read_run,
    with_meters,
    write_meter,
)
from tests import metered
from tests.metered import log_file


@pytest.fixture(name="run")
def metered_run(tmp_path):
    """Four repetitions, without a sensor."""
    return metered.stored(tmp_path)


def test_recorded_lines_are_not_touched(tmp_path, run):
    """The readings have files of their own, and are merged on request."""
    path = Path(run.folder) / "records.jsonl"
    before = path.read_bytes(), (path.parent / "run.json").read_bytes()
    source = read_log(log_file(tmp_path))
    meter = import_log(run, source)
    write_meter(path.parent, meter, source.sample)
    assert (path.read_bytes(), (path.parent / "run.json").read_bytes()) == before
    assert read_run(path.parent) == run
    merged = with_meters(run)
    assert [m.domain for m in merged.records[0].measurements] == ["wall"] * 3
    assert merged.header.domains[-1].name == "wall"
    assert read_meters(path.parent) == [meter]
    assert np.array_equal(read_meter_sample(path.parent, meter).value, source.sample.value)
    (path.parent / "meters" / "wall.json").write_text("{")
    with pytest.raises(StoreError, match="import the meter's log again"):
        with_meters(run)


@pytest.mark.parametrize("columns", [{"start_s": [0.0]}, {"start_s": ["a"], "end_s": ["b"], "value": ["c"]}])
def test_damaged_samples_are_refused(tmp_path, run, columns):
    """A missing column, or one that contains no numbers."""
    source = read_log(log_file(tmp_path))
    meter = import_log(run, source)
    path = write_meter(Path(run.folder), meter, source.sample)
    pd.DataFrame(columns).to_parquet(path.with_suffix(".parquet"))
    with pytest.raises(StoreError, match=r"wall\.parquet cannot be read: its column \w+ is missing, or does not hold numbers"):
        read_meter_sample(Path(run.folder), meter)


def test_a_run_without_meters_is_unchanged(run):
    """The same object."""
    assert with_meters(run) is run
