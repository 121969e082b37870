"""Logs in the format `libre-hardware-monitor`."""

from __future__ import annotations

from tests.meters.logs import (
    check_format,
    stamped,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        ",/amdcpu/0/load/0,/amdcpu/0/power/0\nTime,CPU Total,Package",
        stamped('"{t}","5.1","{w}"', "%m/%d/%Y %H:%M:%S"),
        {"utc_offset_s": 0},
    )
    check_format(tmp_path, "libre-hardware-monitor", header, rows, choices)
