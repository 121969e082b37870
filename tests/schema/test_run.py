"""Records and headers."""

from __future__ import annotations

import pytest

from harness.schema import SCHEMA_VERSION, Record
from tests import factories


def test_a_record_survives_json():
    """With the version of the schema first, by which old records are recognised."""
    one = factories.digits().records[0]
    line = one.model_dump_json()
    assert line.startswith(f'{{"schema_version":{SCHEMA_VERSION},')
    assert Record.model_validate_json(line) == one


@pytest.mark.parametrize(("commit", "shown"), [(None, None), ("a" * 40, "a" * 12), ("a" * 40 + "+", "a" * 12 + "+")])
def test_a_commit_is_shortened(commit, shown):
    """With its mark of changed files."""
    assert factories.digits().header.model_copy(update={"harness_commit": commit}).commit == shown
