"""The raw data of a record come back as stored."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import StoreError
from harness.schema import Sample, Trace
from harness.store import (
    read_run,
    read_trace,
    with_outputs,
)
from harness.store.arrays import numbers, read_table, stem_of
from tests.store.conftest import EMPTY, NOTHING


def test_the_raw_trace_is_kept(store, run):
    """Times, values and missing readings of every domain come back; completions and per-sample quality have files of their own."""
    domains = {d.name: d for d in run.header.domains}
    samples = {name: Sample(np.array([1.0, 2.0]), np.array([1.5, 2.5]), np.array([7.0, np.nan])) for name in domains}
    stored = store.append(run.records[0], Trace(domains, samples), np.array([[1, 2], [3, 4], [1, 1]]), np.array([1.0, 0.0]))
    trace = read_trace(read_run(store.folder), stored)
    for name in domains:
        assert np.array_equal(trace.samples[name].value, [7.0, np.nan], equal_nan=True)
        assert trace.samples[name].t_s.tolist() == [1.25, 2.25]
    assert sorted(p.suffixes[0] for p in (store.folder / "traces").iterdir() if len(p.suffixes) > 1) != []
    assert len(list((store.folder / "traces").iterdir())) == 3


def test_raw_data_of_a_killed_writer_are_not_part_of_the_record(store, run):
    """It left files without a line: only the files of the repeated task remain."""
    done = next(r for r in run.records if r.case_id and r.status == "ok")
    store.append(done, EMPTY, np.ones((3, 2), np.int64), np.array([1.0, 0.0]), np.zeros((2, 3), np.float32))
    (store.folder / "records.jsonl").unlink()
    store.append(done, EMPTY, *NOTHING)
    assert list((store.folder / "traces").iterdir()) == []


def test_answers_of_a_case_are_read_back(store, run):
    """From its first successful repetition, with shape and type; a case without any has empty arrays."""
    done = [r for r in run.records if r.case_id and r.status == "ok"]
    outputs = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    lost = done[0].model_copy(update={"status": "failed", "attempt": 1})
    store.append(lost, EMPTY, *NOTHING, outputs + 1)
    store.append(done[0].model_copy(update={"attempt": 2}), EMPTY, NOTHING[0], np.array([1.0, 0.0]), outputs)
    later = next(r for r in done if r.case_id == done[0].case_id and r.repetition == 1)
    store.append(later, EMPTY, NOTHING[0], np.array([0.0, 0.0]), outputs[:0])
    other = next(r for r in done if r.case_id != done[0].case_id)
    store.append(other, EMPTY, *NOTHING)
    answers = with_outputs(read_run(store.folder)).outputs
    assert answers[done[0].case_id].per_sample.tolist() == [1.0, 0.0]
    assert answers[done[0].case_id].outputs.dtype == np.float32
    assert np.array_equal(answers[done[0].case_id].outputs, outputs)
    assert answers[other.case_id].outputs.size == answers[other.case_id].per_sample.size == 0


def test_damaged_outputs_are_an_error(store, run):
    """With the name of the file."""
    done = next(r for r in run.records if r.case_id and r.status == "ok")
    store.append(done, EMPTY, NOTHING[0], np.zeros(0), np.zeros((2, 3), np.float32))
    path = next((store.folder / "traces").glob("*.outputs.parquet"))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(StoreError, match=r"outputs.parquet cannot be read"):
        with_outputs(read_run(store.folder))


def test_a_file_without_the_columns_it_needs_is_refused(tmp_path):
    """As is one whose column contains no numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"value": ["a"]}), path)
    with pytest.raises(StoreError, match="has no column domain"):
        read_table(path, "domain")
    with pytest.raises(StoreError, match="column value is missing, or does not hold numbers"):
        numbers(path, read_table(path), "value")


def test_names_of_tasks_that_differ_in_marks_alone_differ(run):
    """They are safe as file names, and unique."""
    record = next(r for r in run.records if r.case_id)
    stems = {stem_of(record.model_copy(update={"case_id": name})) for name in ("a/b", "a b", "a-b", "../a", "x" * 300)}
    assert len(stems) == 5
    assert all("/" not in stem and len(stem) < 120 and not stem.startswith(".") for stem in stems)
