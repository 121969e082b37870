"""Logs in the format `yokogawa`."""

from __future__ import annotations

from tests.meters.logs import (
    check_format,
    stamped,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        "Store No.,Date,Time,U-1,I-1,P-1,S-1",
        stamped("1,{t},230.1,1.0,{w},1000", "%Y/%m/%d,%H:%M:%S"),
        {"utc_offset_s": 0},
    )
    check_format(tmp_path, "yokogawa", header, rows, choices)
