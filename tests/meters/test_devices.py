"""Rows are assigned to devices, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.devices import check_one_device, coarse, spread
from harness.meters.options import Options
from tests.meters.logs import (
    LOCAL,
    NOON_S,
    check_read,
    check_refused,
    iso,
    table,
    written,
)

READ = {
    "a load that a column of its name shows": (table("time,gpu,power_w", lambda t, w: f"{t},{99 if w > 200 else 0},{w}"), {}, 1),
    "labels of the phases of work": (
        table("time,label,power_w", lambda t, w: f"{t},{'idle' if t < NOON_S + 12 else 'infer'},{w}"),
        {},
        1,
    ),
    "rows of two devices, one chosen": (
        table("time,plug,power_w", lambda t, w: f"{t},A,{w}\n{t + 0.5},B,33"),
        {"channel": "power_w of plug A"},
        1,
    ),
    "one device after the other": (
        table("time,device,power_w", lambda t, w: f"{t},A,{w}") + table(None, lambda t, w: f"{t},B,33"),
        {"channel": "power_w of device A"},
        1,
    ),
    "devices without a label, summed": (table("timestamp,power_w", lambda t, w: f"{t},{w - 7}\n{t},7"), {"channel": "sum"}, 1),
}


@pytest.mark.parametrize("name", READ)
def test_logs_are_read_right(tmp_path, name):
    """Every reading, at its time, and none lost."""
    check_read(tmp_path, *READ[name])


REFUSED = {
    "eight cards": (
        table("timestamp,gpu,power_w", lambda t, w: "\n".join(f"{t},{g},{w / 8}" for g in range(8))),
        {},
        "--channel sum",
    ),
    "rows with one stamp": (table("timestamp,power_w", lambda t, w: f"{t},{w}\n{t},33\n{t},{w / 3}"), {}, "--one-device"),
    "every row twice": (table("timestamp,power_w", lambda t, w: f"{t},{w}\n{t},{w}"), {}, "copies"),
    "turns without a label": (table("timestamp,power_w", lambda t, w: f"{t},{w}\n{t + 0.5},33", watts=[180.0] * 80), {}, "--one-device"),
    "readings with stamps of whole minutes": (
        table("time,power_w", lambda t, w: f"{iso(t + 12 * (t - NOON_S), '%Y-%m-%d %H:%M')},{w}"),
        {**LOCAL, "one_device": True},
        "log the seconds",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_logs_are_refused_with_the_next_step(tmp_path, name):
    """The command or the columns are in the message."""
    check_refused(tmp_path, *REFUSED[name])


def test_a_log_of_changes_at_a_steady_rhythm_is_one_device(tmp_path):
    """Each value is held until the next row, which looked like two devices that take turns."""
    rows = [f"sensor.plug_power,{100 + k % 7},{iso(NOON_S + k, '%Y-%m-%dT%H:%M:%S')}.000Z" for k in range(60)]
    log = read_log(written(tmp_path, "\n".join(["entity_id,state,last_changed", *rows]) + "\n"), unit="W")
    assert log.held
    assert log.channel == "sensor.plug_power"


def test_readings_with_one_stamp_are_spread_until_the_next():
    """Evenly, the last ones for as long as usual."""
    assert spread(np.array([0.0, 0.0, 1.0, np.nan, 1.0])).tolist()[:3] == [0.0, 0.5, 1.0]
    assert spread(np.array([0.0, 1.0, 2.0])).tolist() == [0.0, 1.0, 2.0]


def test_stamps_of_whole_minutes_are_coarse():
    """Several readings each, far apart."""
    assert coarse(np.repeat([0.0, 60.0, 120.0], 5))
    assert not coarse(np.repeat([0.0, 1.0, 2.0], 5))
    assert not coarse(np.arange(0.0, 600.0, 60.0))


def test_two_cards_in_one_channel_are_refused():
    """Readings that take turns; one card whose load changes is read."""
    t_s = np.arange(200.0)
    with pytest.raises(MeterError, match="rounds of 2"):
        check_one_device(t_s, np.where(t_s % 2, 300.0, 50.0), "log.csv", Options())
    check_one_device(t_s, np.where(t_s < 100, 300.0, 50.0), "log.csv", Options())
