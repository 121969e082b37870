"""Logs in the format `home-assistant`."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import MeterError
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
        "entity_id,state,last_changed",
        stamped("sensor.wall_plug_power,{w},{t}.000Z", "%Y-%m-%dT%H:%M:%S"),
        {"unit": "W"},
    )
    check_format(tmp_path, "home-assistant", header, rows, choices)


def test_a_log_of_changes_holds_each_value_until_the_next(tmp_path):
    """100 W for a minute, then 200 W: no ramp between the two rows, and no gap."""
    rows = [f"sensor.plug_power,{w},2025-06-16T12:0{m}:00.000Z" for m, w in ((0, 100), (1, 200), (2, 200.5))]
    log = read_log(written_rows(tmp_path, "entity_id,state,last_changed", rows), unit="W")
    before = log.sample.t_s < NOON_S + 60
    assert set(log.sample.value[before]) == {100.0}
    assert float(np.interp(NOON_S + 59.9, log.sample.t_s, log.sample.value)) == 100.0
    assert float((log.sample.t_s[1:] - log.sample.t_s[:-1]).max()) <= 1.001


def test_entities_of_other_quantities_are_left_out(tmp_path):
    """Energy, voltage and a switch; without a unit the entities are listed, with the command."""
    rows = [
        f"{entity},{state},2025-06-16T12:00:0{k}.000Z"
        for k in range(3)
        for entity, state in (
            ("sensor.plug_energy", 1.5),
            ("sensor.plug_power", 100 + k),
            ("sensor.plug_voltage", 230),
            ("switch.plug", "on"),
        )
    ]
    path = written_rows(tmp_path, "entity_id,state,last_changed", rows)
    assert read_log(path, unit="W").channel == "sensor.plug_power"
    with pytest.raises(MeterError, match=r"names no unit of power: 'sensor\.plug_power'") as caught:
        read_log(path)
    assert "--unit W" in caught.value.hint
