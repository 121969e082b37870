"""Stored objects of older schemas get today's names; those of today stay as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.schema import SCHEMA_VERSION
from harness.schema.migration import RENAMED_CODES, RENAMED_SINCE, upgrade
from harness.store import read_meters, read_run
from harness.verify import verify

RUNS = Path(__file__).parents[1] / "runs"
RUN = RUNS / "schema-3"


def old_record(version: int) -> dict[str, object]:
    """Fields of a record whose names have changed, and one whose name has not."""
    return {
        "schema_version": version,
        "run_id": "r",
        "warnings": [{"code": code} for code in RENAMED_CODES] + [{"code": "throttled"}],
        "engine_facts": {"precision_told": "int8", "tf32": False},  # codespell:ignore
    }


@pytest.mark.parametrize("version", range(1, RENAMED_SINCE))
def test_old_names_are_replaced(version):
    """Codes of findings and keys of the engine facts; the version of the record stays."""
    assert upgrade(old_record(version)) == {
        "schema_version": version,
        "run_id": "r",
        "warnings": [{"code": code} for code in RENAMED_CODES.values()] + [{"code": "throttled"}],
        "engine_facts": {"precision_reported": "int8", "tf32": False},
    }


def test_notes_of_an_imported_meter():
    """They had another name up to version 3."""
    assert upgrade({"schema_version": 3, "told": ["format csv"]}) == {"schema_version": 3, "notes": ["format csv"]}  # codespell:ignore


@pytest.mark.parametrize(
    "raw",
    [
        old_record(RENAMED_SINCE),
        old_record(SCHEMA_VERSION),
        None,
        [],
        {"schema_version": "1"},
        {"schema_version": 3, "warnings": ["x"], "engine_facts": 1},
    ],
)
def test_anything_else_is_left_for_validation(raw):
    """Records of today, and what is not a record at all."""
    before = repr(raw)
    assert repr(upgrade(raw)) == before


def test_a_run_of_schema_5_is_read_and_verified(tmp_path):
    """As its harness wrote it: its cases answer queries, and its profile has the windows of today for text."""
    run = read_run(RUNS / "schema-5")
    assert {(r.schema_version, r.tokens) for r in run.records if r.task == "case"} == {(5, None)}
    assert {(case.load, case.unit) for case in run.header.suite.cases} == {(None, "inference")}
    assert run.header.profile.token_window_s > 0
    shutil.copytree(RUNS / "schema-5", tmp_path / "run")
    verification = verify(tmp_path / "run")
    assert verification.problems == []
    assert verification.recomputed["energy"] > 20


def test_a_run_of_schema_4_is_read_and_verified(tmp_path):
    """As its harness wrote it: what was not recorded is what it was then."""
    (record, *_), header = read_run(RUNS / "schema-4").records[-1:], read_run(RUNS / "schema-4").header
    assert (record.schema_version, record.copies, record.in_flight, record.profiled, record.start_conditions) == (4, None, None, None, {})
    assert {(case.copies, case.in_flight, case.card) for case in header.suite.cases} == {("outside", 1, None)}
    shutil.copytree(RUNS / "schema-4", tmp_path / "run")
    verification = verify(tmp_path / "run")
    assert verification.problems == []
    assert verification.recomputed["energy"] > 20


def test_a_run_of_schema_3_is_read_and_verified(tmp_path):
    """As its harness wrote it, with an imported meter; findings are compared by code and validity, since their sentences have changed."""
    (meter,) = read_meters(RUN)
    assert "format csv" in meter.notes
    assert {r.schema_version for r in read_run(RUN).records} == {3}
    shutil.copytree(RUN, tmp_path / "run")
    verification = verify(tmp_path / "run")
    assert verification.problems == []
    assert verification.recomputed["energy"] > 300
    assert verification.recomputed["findings"] > 0
