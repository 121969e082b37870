"""Logs in the format `hwinfo`."""

from __future__ import annotations

from tests.meters.logs import (
    check_format,
    stamped,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        'Date,Time,"Virtual Memory Committed [MB]","CPU Package [°C]","CPU Package Power [W]"',
        stamped("{t},9000,45,{w},", "%d.%m.%Y,%H:%M:%S.000"),
        {"utc_offset_s": 0},
    )
    check_format(tmp_path, "hwinfo", header, rows, choices)
