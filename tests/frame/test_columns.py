"""Declared columns: order, completeness and documentation."""

from __future__ import annotations

import pytest

from harness import frame
from harness.frame.columns import TABLES, describe_columns
from tests.factories import (
    digits,
)

CONTRACT = (
    "schema_version run_id case_id suite_hash environment_id host model variant engine device "
    "device_name device_count batch_size threads scenario unit status valid invalid_reasons repetitions "
    "target_reached window_s quality_metric quality_direction quality quality_low quality_high latency_p50_s latency_p90_s latency_p99_s "
    "throughput_per_s energy_j energy_low_j energy_high_j energy_abs_low_j energy_abs_high_j energy_net_j energy_modelled_j idle_w energy_kind "
    "energy_scope peak_memory_bytes artifact_bytes parameters nonzero_parameters macs precision_ran carbon_g baseline_case_id p_front "
    "warnings "
)


def test_the_contract_comes_first_and_in_its_order():
    """A reader by position finds the contract's columns; others follow them."""
    assert frame.cases([digits()]).columns[: len(CONTRACT.split())].tolist() == CONTRACT.split()


@pytest.mark.parametrize("name", [name for name in TABLES if name != "history"])
def test_every_table_has_its_declared_columns(name):
    """Also without rows; the documentation has one line for each."""
    assert frame.tables([digits()])[name].columns.tolist() == [c.name for c in TABLES[name]]
    assert frame.tables([])[name].columns.tolist() == [c.name for c in TABLES[name]]
    assert describe_columns(name).count("\n") == len(TABLES[name]) + 1


def test_meanings_are_noun_phrases():
    """They begin in lower case or with a code, without a full stop; empty cells have a condition, not a sentence."""
    for table in TABLES.values():
        for column in table:
            assert column.meaning and not column.meaning.endswith(".") and not column.null.endswith(".")
            assert not column.meaning.lower().startswith(("the ", "a ", "of ")), column.name


def test_names_are_unique_and_carry_their_unit():
    """A number in joules, seconds, watts or bytes ends in its unit, or has it before what it is counted per."""
    units = {"in joules": "_j", "in seconds": "_s", "in watts": "_w", "in bytes": "_bytes"}
    for table in TABLES.values():
        assert len({column.name for column in table}) == len(table)
        for column in table:
            for words, end in units.items():
                if column.meaning.endswith(words) and column.name != "seconds":
                    assert column.name.partition("_per_")[0].endswith(end), column.name
