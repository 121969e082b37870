"""Logs in the format `tasmota`."""

from __future__ import annotations

from tests.meters.logs import (
    LOCAL,
    check_format,
    check_read,
    iso,
    stamped,
    table,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        None,
        stamped(
            '02:13:59 RSL: tele/DVES_EA9716/SENSOR = {{"Time":"{t}","ENERGY":{{"Total":0.052,"Yesterday":0.000,"Today":0.052,"Period":0,"Power":{w},'
            '"Factor":0.00,"Voltage":206,"Current":0.000}}}}',
            "%Y-%m-%dT%H:%M:%S",
        ),
        {"utc_offset_s": 0},
    )
    check_format(tmp_path, "tasmota", header, rows, choices)


def test_logs_are_read_right(tmp_path):
    """Every reading, at its time."""
    check_read(
        tmp_path,
        *(
            table(
                None,
                lambda t, w: "\n".join(
                    f'tele/{plug}/SENSOR {{"Time":"{iso(t, "%Y-%m-%dT%H:%M:%S")}","ENERGY":{{"Power":{w * factor}}}}}'
                    for plug, factor in (("a", 1), ("b", 3))
                ),
            ),
            {**LOCAL, "channel": "Power of topic a"},
        ),
    )
