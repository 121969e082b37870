"""Inputs of a model: declared in the file, and matched to named arrays."""

from __future__ import annotations

import pytest

from harness.errors import EngineError
from harness.formats.inputs import positions


@pytest.mark.parametrize(
    ("given", "found"),
    [([None, None], [0, 1]), (["b", "a"], [1, 0]), (["a:0", "b"], None), (["a", None], None), (["a", "b", "c"], None), (["a"], None)],
)
def test_arrays_find_their_inputs(given, found):
    """By name, or in their order where none is named; a name too few or too many is refused."""
    wanted = ["serving_default_a:0", "b"]
    if found:
        assert positions(wanted, given) == found
    else:
        with pytest.raises(EngineError, match="name each input once"):
            positions(wanted, given)
