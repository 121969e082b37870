"""Choices are checked and suggested as commands."""

from __future__ import annotations

import pytest

from harness.errors import MeterError
from harness.meters.options import Options


def test_each_command_has_a_line_and_each_option_occurs_once():
    """A line can be pasted; an option given before is replaced."""
    options = Options(command="harness import-meter r log.csv --channel 'GPU 0' --timezone UTC")
    lines = options.advice(("choose one", ("--channel", "GPU 1")), ("or all", ("--channel", "sum")), after="columns found: ...").split("\n")
    assert lines == [
        "choose one:",
        "  harness import-meter r log.csv --timezone UTC --channel 'GPU 1'",
        "or all:",
        "  harness import-meter r log.csv --timezone UTC --channel sum",
        "columns found: ...",
    ]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"unit": "V"}, "--unit cannot be 'V'"),
        ({"time_unit": "d"}, "--time-unit"),
        ({"date_order": "ydm"}, "--date-order"),
        ({"decimal": ";"}, "--decimal"),
        ({"timezone": "UTC", "utc_offset_s": 0.0}, "a zone and an offset"),
        ({"one_device": True, "device_column": "gpu"}, "cannot be combined"),
    ],
)
def test_a_choice_that_does_not_exist_or_contradicts_another_is_refused(choices, message):
    """Before the file is read."""
    with pytest.raises(MeterError, match=message):
        Options(**choices).check()
