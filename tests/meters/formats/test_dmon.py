"""Logs in the format `dmon`."""

from __future__ import annotations

import pytest

from harness.errors import MeterError
from harness.meters import read_log
from tests.meters.logs import (
    check_format,
    stamped,
    written_rows,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        "#Date       Time        gpu   pwr  temp    sm   mem   enc   dec  mclk  pclk\n#YYYYMMDD   HH:MM:SS    Idx     W     C     %     %     %     %   MHz   MHz",
        stamped(" {t}      0   {w}    83    25     7     0     0  4513  1683", "%Y%m%d   %H:%M:%S"),
        {"utc_offset_s": 0},
    )
    check_format(tmp_path, "dmon", header, rows, choices)


def test_dmon_without_times_is_refused_with_the_way_to_log(tmp_path):
    """The tool writes them only with an option."""
    with pytest.raises(MeterError, match="contains no times") as caught:
        read_log(written_rows(tmp_path, "# gpu   pwr  temp\n# Idx     W     C", ["    0   111    83"] * 5))
    assert "-o DT" in caught.value.hint
