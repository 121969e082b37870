"""Logs in the format `powerjoular`."""

from __future__ import annotations

from tests.meters.logs import (
    check_format,
    stamped,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = ("Date,CPU Utilization,Total Power,CPU Power,GPU Power", stamped("{t},0.12,{w},{w},0.0"), {"utc_offset_s": 0})
    check_format(tmp_path, "powerjoular", header, rows, choices)
