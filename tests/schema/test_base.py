"""What all schema types share."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from harness.schema.base import KINDS, FrozenModel, evidence


class Point(FrozenModel):
    """A value."""

    x: int


def test_a_value_cannot_change_and_has_no_unknown_fields():
    """A misspelt field is an error, not a default."""
    point = Point(x=1)
    with pytest.raises(ValidationError, match="frozen"):
        point.x = 2
    with pytest.raises(ValidationError, match="y"):
        Point(x=1, y=2)


def test_measured_kinds_are_one_class_of_evidence():
    """Any other is its own."""
    assert [evidence(kind) for kind in KINDS] == ["measured", "measured", "modelled", "simulated", "absent"]
