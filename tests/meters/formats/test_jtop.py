"""Logs in the format `jtop`."""

from __future__ import annotations

from tests.meters.logs import (
    check_format,
    stamped,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        "time,uptime,jetson_clocks,nvp model,CPU1,CPU2,GPU,MTS FG,RAM,EMC,SWAP,APE,NVENC,fan,Temp AO,Temp CPU,power cur,power avg",
        stamped("{t}.003209,22:47:52.710000,OFF,MAXN,5,3,0,0,1745160,1745160,0,150,OFF,0.0,44.5,46.0,{m},4899"),
        {"utc_offset_s": 0},
    )
    check_format(tmp_path, "jtop", header, rows, choices)
