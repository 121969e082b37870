"""Logs in the format `afterburner`."""

from __future__ import annotations

from tests.meters.logs import (
    check_format,
    stamped,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        "00, 16-06-2025 11:59:59, Hardware monitoring log v1.6 \n01, 16-06-2025 11:59:59, Radeon RX 560 Series\n"
        "02, 16-06-2025 11:59:59, GPU temperature     ,GPU usage           ,Power               ,Fan speed           \n"
        "03, 16-06-2025 11:59:59, 0                   ,°C                  ,0.000               ,100.000             ,10                  ,\n"
        "03, 16-06-2025 11:59:59, 1                   ,%                   ,0.000               ,100.000             ,10                  ,\n"
        "03, 16-06-2025 11:59:59, 2                   ,W                   ,0.000               ,300.000             ,10                  ,\n"
        "03, 16-06-2025 11:59:59, 3                   ,%                   ,0.000               ,100.000             ,10                  ,",
        stamped("80, {t}, 43.000              ,0.000               ,{w}              ,21.000              ", "%d-%m-%Y %H:%M:%S"),
        {"utc_offset_s": 0},
    )
    check_format(tmp_path, "afterburner", header, rows, choices)
