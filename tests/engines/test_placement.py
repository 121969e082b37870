"""Where operators run: counts by place, and the kinds that run elsewhere."""

from __future__ import annotations

import pytest

from harness.engines.placement import LISTED, placement
from harness.errors import EngineError


def test_operators_are_counted_by_place():
    """With the kinds that run elsewhere, the most frequent first."""
    facts = placement("GPU", [("GPU", "MatMul"), ("CPU", "Where"), ("CPU", "Unique"), ("CPU", "Where"), ("GPU", "Relu")])
    assert facts == {"asked": "GPU", "operators": {"CPU": 3, "GPU": 2}, "elsewhere": {"Where": 2, "Unique": 1}}


def test_many_kinds_are_cut():
    """The record stays small."""
    assert len(placement("GPU", [("GPU", "MatMul"), *(("CPU", f"Op{n}") for n in range(99))])["elsewhere"]) == LISTED


@pytest.mark.parametrize(("operators", "words"), [([("CPU", "MatMul")], "1 on CPU"), ([], "none at all")])
def test_nothing_where_the_case_asks_for_is_refused(operators, words):
    """Its energy would be that of another device."""
    with pytest.raises(EngineError, match=f"no operator of the model runs on GPU .{words}.") as caught:
        placement("GPU", operators)
    assert caught.value.refused
