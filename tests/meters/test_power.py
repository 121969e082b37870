"""A column must prove that it holds power, its unit and its decimal mark."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import MeterError
from harness.meters import read_log
from tests.meters.logs import (
    COMMAND,
    LOCAL,
    NOON_S,
    check_read,
    check_refused,
    comma,
    iso,
    table,
    written,
)

READ = {
    "three digits with --decimal": (table("timestamp,power_w", lambda t, w: f'{t},"{comma(w, 3)}"'), {"decimal": ","}, 1),
    "three digits and a decimal comma elsewhere": (
        table("timestamp,U [V],P [W]", lambda t, w: f'{t},"230,1","{comma(w / 2, 3)}"'),
        {},
        0.5,
    ),
    "semicolons and three digits": (table("timestamp;P [W]", lambda t, w: f"{t};{comma(w / 2, 3)}"), {}, 0.5),
    "kilowatts in some cells": (table("timestamp,load", lambda t, w: f"{t},{w / 1000:.5f} kW" if w > 200 else f"{t},{w} W"), {}, 1),
    "a unit given for the column without one": (
        table("timestamp,power [mW],load_power", lambda t, w: f"{t},{w * 1000:.0f},7"),
        {"unit": "W", "channel": "power"},
        1,
    ),
    "milliwatts": (table("timestamp,power [mW]", lambda t, w: f"{t},{w * 1000:.0f}"), {}, 1),
    "a limit next to the power": (table("timestamp,Power (W),Power limit (W)", lambda t, w: f"{t},{w},300"), {}, 1),
    "maximum, minimum and mean": (table("timestamp,Max power (W),Average power (W)", lambda t, w: f"{t},{w + 9},{w}"), {}, 1),
    "energy, VA, percent and power": (
        table("timestamp,E (Wh),S (VA),P (W),Power (%) [% TDP]", lambda t, w: f"{t},3,{w + 9},{w},{w / 20}"),
        {},
        1,
    ),
    "columns without numbers": (
        table("timestamp, power.draw [W], power.management, hw_power_brake_slowdown", lambda t, w: f"{t}, {w}, Enabled, Not Active"),
        {},
        1,
    ),
    "a column by its number": (table("epoch,value", lambda t, w: f"{t},{w}"), {"power_column": "2", "unit": "W"}, 1),
    "no header, a unit given": (table(None, lambda t, w: f"{iso(t)}, {w}"), {**LOCAL, "unit": "W"}, 1),
    "Watts up: energy in watt hours, extremes": (
        table(
            "Time,Watts,Volts,Amps,Watt Hours,Max Watts,Min Watts,Power Factor", lambda t, w: f"{iso(t)},{w},230,1,{t % 100},1300,90,0.9"
        ),
        LOCAL,
    ),
    "the mean next to extremes": (table("timestamp,Pmin (W),Pavg (W),Pmax (W)", lambda t, w: f"{t},{w / 2},{w},{w * 2}"), {}),
    "ipmitool in a loop, without a header": (table(None, lambda t, w: f"{t},Pwr Consumption,{w},Watts,ok"), {}),
}


@pytest.mark.parametrize("name", READ)
def test_logs_are_read_right(tmp_path, name):
    """Every reading, at its time, and none lost."""
    check_read(tmp_path, *READ[name])


REFUSED = {
    "three digits after a comma": (table("timestamp,power_w", lambda t, w: f'{t},"{comma(w / 2, 3)}"'), {}, "--decimal ,"),
    "the same next to a point": (table("timestamp,U,power_w", lambda t, w: f'{t},230.1,"{comma(w / 2, 3)}"'), {}, "--decimal ,"),
    "a point that may group thousands": (table("timestamp;P [W]", lambda t, w: f"{t};{w / 100:.3f}"), {}, "--decimal ."),
    "points and whole numbers": (table("timestamp,P [W]", lambda t, w: f"{t},{'1.180' if w > 200 else '100'}"), {}, "--decimal ."),
    "percent": (table("Date,Power Consumption (%) [% TDP]", lambda t, w: f"{iso(t)},{w / 20}"), LOCAL, "columns found"),
    "percent that is asked for": (
        table("Date,Power [% TDP]", lambda t, w: f"{iso(t)},{w / 20}"),
        {**LOCAL, "power_column": "2", "unit": "W"},
        "the columns are",
    ),
    "percent in the cells": (table("time,power", lambda t, w: f"{t},{w / 20} %"), {}, "columns found"),
    "energy": (table("time,energy_wh", lambda t, w: f"{t},{w}"), {}, "columns found"),
    "no unit": (table("time,power", lambda t, w: f"{t},{w}"), {}, "log.csv --unit W"),
    "a unit that contradicts the header": (table("time,P [kW]", lambda t, w: f"{t},{w}"), {"unit": "W"}, "remove --unit"),
    "MW": (table("time,POWER (MW)", lambda t, w: f"{t},{w}"), {}, "--unit mW"),
    "an unknown column": (table("time,power_w", lambda t, w: f"{t},{w}"), {"power_column": "foo"}, "its columns are"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_logs_are_refused_with_the_next_step(tmp_path, name):
    """The command or the columns are in the message."""
    check_refused(tmp_path, *REFUSED[name])


@pytest.mark.parametrize(
    "mark", ["-OL-", "OVER", "---", "****", "nan", "9.9E37", "99999.9", "INF", "[N/A]", "unavailable", "", "65535", "0"]
)
def test_marks_are_counted_with_their_reason(tmp_path, mark):
    """Missing, never 0 and never a number."""
    text = table("timestamp,power_w", lambda t, w: f"{t},{mark if t == NOON_S + 4 else w}")
    log = read_log(written(tmp_path, text))
    assert np.flatnonzero(np.isnan(log.sample.value)).tolist() == [4]
    assert sum(log.discarded.values()) == len(log.discarded_s) == 1
    assert any("1 of 20 values are not readings" in sentence for sentence in log.notes)


def test_a_column_that_is_rarely_filled_in_has_no_lost_readings(tmp_path):
    """The rows follow the rate of another sensor."""
    log = read_log(written(tmp_path, table("timestamp,temp,power_w", lambda t, w: f"{t},20,{w if t % 4 == 0 else ''}")))
    assert (len(log.sample.value), sum(log.discarded.values())) == (5, 0)


NO_POWER = {
    "watt hours": table("timestamp,Watt Hours", lambda t, w: f"{t},{t % 100}"),
    "kilowatt hours of another spelling": table("timestamp,total_kw_h", lambda t, w: f"{t},{t % 100}"),
    "a current in microamperes": table("timestamp,Current(uA),D0-D7", lambda t, w: f"{t},{w},00000000"),
    "current and voltage": table("timestamp,Main(mA),Main Voltage(V)", lambda t, w: f"{t},{w},4.{t % 10}"),
    "joules of perf stat": table(None, lambda t, w: f"{t},{w},Joules,power/energy-pkg/,500258012,100.00,,"),
    "apparent and reactive power, power factor": table(
        "timestamp;Scheinleistung;Puissance réactive;Leistungsfaktor", lambda t, w: f"{t};{w};{w};0.9{t % 10}"
    ),
}


@pytest.mark.parametrize("name", NO_POWER)
def test_a_log_without_power_proposes_no_command(tmp_path, name):
    """A pasted `--unit W` would turn amperes and joules into watts; such a column is refused also with `--power-column`."""
    path = written(tmp_path, NO_POWER[name])
    with pytest.raises(MeterError, match="contains no power") as caught:
        read_log(path, command=COMMAND)
    assert "harness" not in caught.value.hint
    with pytest.raises(MeterError, match="is not a power"):
        read_log(path, command=COMMAND, power_column="2", unit="W")
