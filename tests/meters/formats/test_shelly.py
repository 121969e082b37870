"""Logs in the format `shelly`."""

from __future__ import annotations

from tests.meters.logs import (
    check_format,
    stamped,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        None,
        stamped(
            '{{"ble":{{}},"switch:0":{{"id":0,"source":"WS_in","output":true,"apower":{w},"voltage":226.2,"aenergy":{{"total":0.0,"minute_ts":1769947860}}}},'
            '"sys":{{"unixtime":{u}}}}}'
        ),
        {},
    )
    check_format(tmp_path, "shelly", header, rows, choices)
