"""Logs in the format `pdh`."""

from __future__ import annotations

from tests.meters.logs import (
    LOCAL,
    check_format,
    check_refused,
    iso,
    stamped,
    table,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        '"(PDH-CSV 4.0) (Central Daylight Time)(300)","\\\\BOX\\Power Meter(_Total)\\Power","\\\\BOX\\Processor(_Total)\\% Processor Time"',
        stamped('"{t}.000","{m}.000000","12.5"', "%m/%d/%Y %H:%M:%S", -18000),
        {},
    )
    check_format(tmp_path, "pdh", header, rows, choices)


def test_an_ambiguous_log_is_refused_with_the_next_step(tmp_path):
    """With the command that decides."""
    check_refused(
        tmp_path,
        *(
            table('"(PDH-CSV 4.0)","\\\\B\\Power Meter(_Total)\\Power"', lambda t, w: f'"{iso(t, "%m/%d/%Y %H:%M:%S")}","{w / 10}"'),
            LOCAL,
            "--unit W",
        ),
    )
