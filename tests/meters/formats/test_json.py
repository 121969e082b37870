"""Logs in the format `json`."""

from __future__ import annotations

from tests.meters.logs import (
    check_format,
    check_read,
    stamped,
    table,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (None, stamped('{{"timestamp": {u}, "power_w": {w}}}'), {})
    check_format(tmp_path, "json", header, rows, choices)


def test_logs_are_read_right(tmp_path):
    """Every reading, at its time."""
    check_read(tmp_path, *(table(None, lambda t, w: f'{{"meter": {{"time": {t}, "power_w": {w}}}}}'), {}, 1))
