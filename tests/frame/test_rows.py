"""Rows of a table as plain Python dictionaries."""

from __future__ import annotations

import math

import pandas as pd

from harness.frame.rows import rows_of


def test_every_missing_value_is_none():
    """NaN of a float column, NA of an integer, boolean or text column."""
    table = pd.DataFrame(
        {
            "f": pd.array([1.5, math.nan], dtype="float64"),
            "i": pd.array([2**53 + 1, None], dtype="Int64"),
            "b": pd.array([True, None], dtype="boolean"),
            "s": pd.array(["a", None], dtype="string"),
        }
    )
    assert rows_of(table) == [{"f": 1.5, "i": 2**53 + 1, "b": True, "s": "a"}, dict.fromkeys("fibs")]


def test_a_table_without_rows():
    """A table without rows gives an empty list."""
    assert rows_of(pd.DataFrame(columns=["a"])) == []
