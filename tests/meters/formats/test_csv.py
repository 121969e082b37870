"""Logs in the format `csv`."""

from __future__ import annotations

from tests.meters.logs import (
    check_format,
    stamped,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = ("timestamp,power_w", stamped("{u},{w}"), {})
    check_format(tmp_path, "csv", header, rows, choices)
