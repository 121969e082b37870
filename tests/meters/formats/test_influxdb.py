"""Logs in the format `influxdb`."""

from __future__ import annotations

from tests.meters.logs import (
    check_format,
    stamped,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        "#group,false,false,true,true,false,false,true,true,true\n"
        "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string\n#default,mean,,,,,,,,\n"
        ",result,table,_start,_stop,_time,_value,_field,_measurement,host",
        stamped(",,0,2022-12-31T05:41:24Z,2026-01-31T05:41:24Z,{t}Z,{w},power_w,plug,A", "%Y-%m-%dT%H:%M:%S"),
        {},
    )
    check_format(tmp_path, "influxdb", header, rows, choices)
