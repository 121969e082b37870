"""Records are never lost, and never changed by what comes after."""

from __future__ import annotations

import errno
import gc
import json
import os
from pathlib import Path

import numpy as np
import pytest

from harness import frame
from harness.errors import StoreError
from harness.schema import SCHEMA_VERSION, Record
from harness.store import (
    Store,
    files_of,
    find_run,
    new_run_id,
    read_run,
)
from tests.store.conftest import EMPTY, NOTHING


def test_what_goes_in_comes_out(store, run):
    """Header and records are read back as they were."""
    for record in run.records:
        store.append(record.model_copy(update={"trace": None}), EMPTY, *NOTHING)
    back = read_run(store.folder)
    assert back.header == run.header
    assert [r.model_copy(update={"trace": None}) for r in run.records] == list(back.records)
    assert back.problems == ()


def test_the_garbage_collector_skips_records(store, run):
    """Searching 100,000 records for garbage takes as long as reading them; afterwards the collector is on again."""
    store.append(run.records[0], EMPTY, *NOTHING)
    back = read_run(store.folder)
    assert gc.isenabled()
    assert not any(each is back.records[0] for each in gc.get_objects() if isinstance(each, Record))
    gc.unfreeze()


def test_a_record_is_flushed_before_append_returns(store, run, monkeypatch):
    """Each file of its raw data, then the line."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink().suffixes[0]))
    store.append(run.records[0], EMPTY, np.ones((3, 2), np.int64), np.array([1.0, 0.0]))
    assert synced == [".completions", ".quality", ".jsonl"]


def test_a_torn_line_loses_nothing_else(store, run):
    """After a kill in the middle of a line, earlier and later lines are intact, and the torn one is reported."""
    path = store.folder / "records.jsonl"
    store.append(run.records[0], EMPTY, *NOTHING)
    before = path.read_bytes()
    with path.open("ab") as stream:
        stream.write(b'{"schema_version": 1, "run_')
    store.append(run.records[1], EMPTY, *NOTHING)
    back = read_run(store.folder)
    assert path.read_bytes().startswith(before)
    assert len(back.records) == 2
    assert len(back.problems) == 1


def test_a_full_disk_leaves_earlier_records_intact(store, run, monkeypatch):
    """The partial line is removed, the error states the next step, and the record can be stored later."""
    store.append(run.records[0], EMPTY, *NOTHING)
    before = (store.folder / "records.jsonl").read_bytes()
    real_write = os.write

    def full(handle, data):
        real_write(handle, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreError, match="full") as caught:
        store.append(run.records[1], EMPTY, *NOTHING)
    assert (caught.value.exit_code, "--resume" in caught.value.hint) == (3, True)
    assert (store.folder / "records.jsonl").read_bytes() == before
    monkeypatch.undo()
    store.append(run.records[1], EMPTY, *NOTHING)
    assert len(read_run(store.folder).records) == 2


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path, run):
    """With the next step."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        Store.create(tmp_path / "file", run.header)
    assert "--results" in caught.value.hint


def test_a_newer_run_is_not_misread(store):
    """A newer schema is refused."""
    path = store.folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(StoreError, match="newer harness"):
        read_run(store.folder)


def test_models_that_are_read_share_one_set_of_given_fields():
    """Half of the memory of a long run (design/0018): fails if Pydantic stores the set elsewhere."""
    one, *_ = read_run(Path(__file__).parents[1] / "runs" / "schema-2").records
    assert all(each.model_fields_set is one.model_fields_set for each in (*one.phases, *one.measurements, one.artifact))
    assert one.model_fields_set == set()


def test_a_run_of_the_first_version_is_read_with_none_for_missing_fields():
    """As its harness wrote it; every table can be computed, and states its version."""
    run = read_run(Path(__file__).parents[1] / "runs" / "schema-1")
    assert run.problems == ()
    assert {run.header.schema_version} | {r.schema_version for r in run.records} == {1}
    assert [len(r.kernels) for r in run.records] == [0] * 8
    assert {r.resident_bytes for r in run.records} == {r.shift_s for r in run.records} == {None}
    cases = frame.tables([run])["cases"]
    assert cases["schema_version"].tolist() == [1, 1]
    assert cases["energy_j"].gt(0).all()
    assert cases["resident_bytes"].isna().all()


def test_a_record_of_a_newer_version_is_refused(store, run):
    """Also in a run with a header of today's version: records are never dropped silently."""
    store.append(run.records[0], EMPTY, *NOTHING)
    path = store.folder / "records.jsonl"
    path.write_text(path.read_text().replace(f'"schema_version":{SCHEMA_VERSION}', f'"schema_version":{SCHEMA_VERSION + 1}', 1))
    with pytest.raises(StoreError, match="newer harness"):
        read_run(store.folder)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 1}'])
def test_a_damaged_header_is_an_error(store, content):
    """Without a traceback."""
    (store.folder / "run.json").write_text(content)
    with pytest.raises(StoreError):
        read_run(store.folder)


def test_a_run_is_found_by_name_or_path(tmp_path, store, run):
    """The error for an unknown run names the newest."""
    assert find_run(tmp_path, run.header.run_id) == store.folder
    assert find_run(tmp_path / "elsewhere", str(store.folder)) == store.folder
    with pytest.raises(StoreError, match="no run") as caught:
        find_run(tmp_path, "nope")
    assert run.header.run_id in caught.value.hint
    for impossible in ("x" * 5000, "a\0b"):
        with pytest.raises(StoreError, match="no run"):
            find_run(tmp_path, impossible)


@pytest.mark.parametrize("name", ["a b/c", "../../etc", "...", "名前", "x" * 500])
def test_a_run_id_is_a_safe_file_name(name):
    """For any name of a suite."""
    run_id = new_run_id(name, "quick")
    assert "/" not in run_id
    assert len(run_id) < 100
    assert ".." not in run_id or not run_id.startswith(".")


def test_the_results_of_an_evaluation_are_kept_as_they_are(store, run):
    """With the raw data of the record, and removed with them by the next writer of it."""
    record = next(each for each in run.records if each.case_id).model_copy(update={"trace": None})
    store.append(record, EMPTY, *NOTHING, evaluation='{"n": 1}')
    (path,) = [each for each in files_of(store.folder, record) if each.suffix == ".json"]
    assert path.read_text() == '{"n": 1}'
    store.append(record, EMPTY, *NOTHING)
    assert not path.exists()
