"""Logs in the format `gpu-z`."""

from __future__ import annotations

from tests.meters.logs import (
    check_format,
    stamped,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        "        Date        , GPU Clock [MHz] , GPU Temperature [°C] , Board Power Draw [W] , GPU Chip Power Draw [W] , 8-Pin #1 Power [W] , Power Consumption (%) [% TDP] ,",
        stamped("{t} ,        1785.0   ,        48.7   ,       {w}   ,         28.2   ,        41.1   ,        33.6   ,"),
        {"utc_offset_s": 0},
    )
    check_format(tmp_path, "gpu-z", header, rows, choices)
