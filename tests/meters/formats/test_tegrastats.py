"""Logs in the format `tegrastats`."""

from __future__ import annotations

import pytest

from harness.meters import read_log
from tests.meters.logs import (
    NOON_S,
    check_format,
    stamped,
    written_rows,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        None,
        stamped(
            "{t} RAM 6982/7620MB (lfb 5x1MB) SWAP 2640/16384MB (cached 202MB) CPU [97%@1984,95%@1984] EMC_FREQ 18%@3199 GR3D_FREQ 84%@[713] NVENC 1%@115 "
            "APE 174 cpu@65.562C gpu@63.5C VDD_IN {m}mW/15710mW VDD_CPU_GPU_CV 8896mW/7585mW VDD_SOC 3923mW/3515mW",
            "%m-%d-%Y %H:%M:%S",
        ),
        {"utc_offset_s": 0},
    )
    check_format(tmp_path, "tegrastats", header, rows, choices)


def test_readings_at_100_ms_with_stamps_of_a_second_are_within_it(tmp_path):
    """Tegrastats --interval 100 writes ten lines with one stamp: one device, ten readings."""
    rows = [f"06-16-2025 12:00:0{s} RAM 6982/7620MB (lfb 5x1MB) VDD_IN {1000 * s + 10 * k}mW/1mW" for s in range(3) for k in range(10)]
    log = read_log(written_rows(tmp_path, None, rows), utc_offset_s=0)
    assert log.sample.t_s.tolist() == pytest.approx([NOON_S + k / 10 for k in range(30)], abs=1e-4)
