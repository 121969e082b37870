"""Logs in the format `amd-smi`."""

from __future__ import annotations

import pytest

from harness.errors import MeterError
from harness.meters import read_log
from tests.meters.logs import (
    NOON_S,
    SAMPLE_WATTS,
    check_format,
    stamped,
    written_rows,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        "timestamp,gpu,gfx_activity,umc_activity,socket_power,gfx_voltage,throttle_status,power_management",
        stamped("{u},0,37,1,{w},780,UNTHROTTLED,ENABLED"),
        {},
    )
    check_format(tmp_path, "amd-smi", header, rows, choices)


def test_devices_of_a_format_are_channels_and_their_sum(tmp_path):
    """Eight cards in one column: none is chosen silently, the commands for the sum and for one card are in the hint."""
    rows = [f"{int(NOON_S) + k},{card},92,{w / 8},ENABLED" for k, w in enumerate(SAMPLE_WATTS) for card in range(8)]
    path = written_rows(tmp_path, "timestamp,gpu,gfx_activity,socket_power,power_management", rows)
    with pytest.raises(MeterError, match="several channels") as caught:
        read_log(path, command="harness import-meter r log.txt")
    assert "harness import-meter r log.txt --channel sum" in caught.value.hint
    assert read_log(path, channel="sum").sample.value.tolist() == pytest.approx(list(SAMPLE_WATTS))
    assert read_log(path, channel="socket_power of gpu 3").sample.value.tolist() == pytest.approx([w / 8 for w in SAMPLE_WATTS])
