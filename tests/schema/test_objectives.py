"""The declared objectives of a front."""

from __future__ import annotations

from harness.frame.columns import CASES
from harness.schema.objectives import DECLARED, OBJECTIVES


def test_objectives_are_numeric_columns_of_the_table_of_cases():
    """Each has a name and a column of its own."""
    types = {column.name: column.type for column in CASES}
    assert all(types[objective.column] in ("float", "int") for objective in DECLARED)
    assert len({o.name for o in DECLARED}) == len({o.column for o in DECLARED}) == len(DECLARED)
    assert DECLARED[: len(OBJECTIVES)] == OBJECTIVES
