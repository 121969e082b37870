"""Logs in the format `nvidia-smi`."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy.ticks import ticks
from harness.errors import MeterError
from harness.meters import read_log
from tests.meters.logs import (
    DATA,
    NOON_S,
    check_format,
    here,
    stamped,
    written,
)


def test_a_log_of_the_tool_is_recognised_and_gives_watts(tmp_path):
    """By itself and by name, with the dates of the tool and other columns."""
    header, rows, choices = (
        "timestamp, utilization.gpu [%], pstate, temperature.gpu, clocks.current.sm [MHz], power.draw [W], power.draw.instant [W]",
        stamped("{t}.000, 0, P0, 53, 1410, 78.66, {w}", "%Y/%m/%d %H:%M:%S"),
        {"utc_offset_s": 0},
    )
    check_format(tmp_path, "nvidia-smi", header, rows, choices)


SMI = "timestamp, index, power.draw [W], power.draw.instant [W], power.limit [W]\n"


def test_nvidia_smi_has_its_units_in_the_header_or_in_the_cells(tmp_path):
    """The present reading is preferred, another column read on request; the limit is not a power."""
    path = written(
        tmp_path, SMI + "2025/06/16 14:00:00.000, 0, 78.66 W, 80.5 W, 400 W\n2025/06/16 14:00:00.100, 0, 78.7 W, 81.5 W, 400 W\n"
    )
    log = read_log(path, "nvidia-smi", timezone="Europe/Berlin")
    assert (log.channel, log.sample.value.tolist()) == ("power.draw.instant", [80.5, 81.5])
    assert log.sample.t_s.tolist() == pytest.approx([NOON_S, NOON_S + 0.1], abs=1e-4)
    assert read_log(path, channel="power.draw", utc_offset_s=7200).sample.value.tolist() == [78.66, 78.7]
    with pytest.raises(MeterError, match="no channel"):
        read_log(path, channel="power.limit", utc_offset_s=7200)


def test_the_cards_of_one_file_are_channels(tmp_path):
    """Rows of two cards are never one series."""
    rows = [f"2025/06/16 14:00:0{k}.000, {card}, {10 + card}, {100 * (card + 1)}, 400" for k in range(3) for card in range(2)]
    path = written(tmp_path, SMI + "\n".join(rows))
    with pytest.raises(MeterError, match="several channels"):
        read_log(path, utc_offset_s=0)
    assert read_log(path, utc_offset_s=0, channel="power.draw.instant of index 1").sample.value.tolist() == [200, 200, 200]
    with pytest.raises(MeterError, match=r"no column contains times|small numbers"):
        read_log(written(tmp_path, "time,power_w\n1,1\n"), "nvidia-smi")
    with pytest.raises(MeterError, match="no format"):
        read_log(path, "xml")


@here
def test_the_update_period_of_an_a100():
    """0.10 s, from the ticks of a reading polled at 12 ms."""
    log = read_log(DATA / "nvidia_smi_A100_update_period.csv", utc_offset_s=0)
    assert float(np.median(np.diff(ticks(log.sample).t_s))) == pytest.approx(0.10, abs=0.005)
