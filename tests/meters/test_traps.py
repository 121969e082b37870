"""Logs that can be misread: each is read right, or refused with the command that decides it."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.cells import cells_of
from harness.meters.units import parse_name

NOON_S = 1_750_075_200
"""2025-06-16 12:00 UTC."""
WATTS = [100.25, 1180.5] * 10
LOCAL = {"utc_offset_s": 0}


def table(header, row, *, watts=None):
    """One reading a second; `row` gives a line of its Unix time and power."""
    lines = [row(NOON_S + k, w) for k, w in enumerate(watts or WATTS)]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


def iso(t, form="%Y-%m-%d %H:%M:%S"):
    return datetime.fromtimestamp(t, UTC).strftime(form)


def comma(w, digits=2):
    return f"{w:.{digits}f}".replace(".", ",")


def grouped(w, group, decimal):
    return f"{w:,.2f}".replace(",", "G").replace(".", decimal).replace("G", group)


def written(folder, text, encoding="utf-8"):
    path = folder / "log.csv"
    path.write_bytes(text.encode(encoding))
    return path


READ = {
    "decimal comma in quotes": (table("timestamp,power_w", lambda t, w: f'{t},"{comma(w)}"'), {}, 1),
    "three digits with --decimal": (table("timestamp,power_w", lambda t, w: f'{t},"{comma(w, 3)}"'), {"decimal": ","}, 1),
    "three digits beside a decimal comma": (table("timestamp,U [V],P [W]", lambda t, w: f'{t},"230,1","{comma(w / 2, 3)}"'), {}, 0.5),
    "semicolons and three digits": (table("timestamp;P [W]", lambda t, w: f"{t};{comma(w / 2, 3)}"), {}, 0.5),
    "thousands with a comma and a point": (table("timestamp,power_w", lambda t, w: f'{t},"{w:,.2f}"'), {}, 1),
    "thousands with a point and a comma": (table("Zeit;Leistung [W]", lambda t, w: f"{iso(t)};{grouped(w, '.', ',')}"), LOCAL, 1),
    "thousands with a no-break space": (table("timestamp;P [W]", lambda t, w: f"{t};{grouped(w, chr(0xA0), ',')}"), {}, 1),
    "thousands with a narrow no-break space": (table("timestamp,P [W]", lambda t, w: f"{t},{grouped(w, chr(0x202F), '.')}"), {}, 1),
    "thousands with an apostrophe": (table("timestamp,P [W]", lambda t, w: f"{t},{grouped(w, chr(0x27), '.')}"), {}, 1),
    "three decimals after a point": (table("timestamp,P [W]", lambda t, w: f"{t},{w / 1000:.3f}", watts=[100, 1180] * 10), {}, 0.001),
    "exponents with a comma": (table("timestamp;P [W]", lambda t, w: f"{t};{comma(w / 100, 4)}E+02"), {}, 1),
    "kilowatts in some cells": (table("timestamp,load", lambda t, w: f"{t},{w / 1000:.5f} kW" if w > 200 else f"{t},{w} W"), {}, 1),
    "a unit given for the column without one": (
        table("timestamp,power [mW],load_power", lambda t, w: f"{t},{w * 1000:.0f},7"),
        {"unit": "W", "channel": "power"},
        1,
    ),
    "milliwatts": (table("timestamp,power [mW]", lambda t, w: f"{t},{w * 1000:.0f}"), {}, 1),
    "a limit beside the power": (table("timestamp,Power (W),Power limit (W)", lambda t, w: f"{t},{w},300"), {}, 1),
    "maximum and minimum beside the mean": (table("timestamp,Max power (W),Average power (W)", lambda t, w: f"{t},{w + 9},{w}"), {}, 1),
    "energy, VA and percent beside the power": (
        table("timestamp,E (Wh),S (VA),P (W),Power (%) [% TDP]", lambda t, w: f"{t},3,{w + 9},{w},{w / 20}"),
        {},
        1,
    ),
    "columns without numbers": (
        table("timestamp, power.draw [W], power.management, hw_power_brake_slowdown", lambda t, w: f"{t}, {w}, Enabled, Not Active"),
        {},
        1,
    ),
    "units below the header": (table("Time,Power,U\n[s],[mW],[V]", lambda t, w: f"{t},{w * 1000},230"), {}, 1),
    "a preamble": (
        "Model,WT-1\nPower range,1200 W\nPower logger, v2\n\n" + table("Time,Power (W)", lambda t, w: f"{iso(t)},{w}"),
        LOCAL,
        1,
    ),
    "sep= of a spreadsheet": ("sep=;\n" + table("Time;Power (W)", lambda t, w: f"{iso(t)};{comma(w)}"), LOCAL, 1),
    "comments, a footer and a header again": (
        "# logger 1.2\n"
        + table("timestamp,power_w", lambda t, w: f"{t},{w}").replace(f"\n{NOON_S + 9}", f"\n# mark\ntimestamp,power_w\n{NOON_S + 9}"),
        {},
        1,
    ),
    "trailing separators": (table("timestamp,power_w,", lambda t, w: f"{t},{w},"), {}, 1),
    "everything quoted": (table('"timestamp","power_w"', lambda t, w: f'"{t}","{w}"'), {}, 1),
    "pipes": (table("timestamp|power_w", lambda t, w: f"{t}|{w}"), {}, 1),
    "blanks": (table("timestamp   power_w  volts", lambda t, w: f"{t}   {w:8.2f}  230.1"), {}, 1),
    "AM and PM": (table("Time,Power (W)", lambda t, w: f"{iso(t, '%m/%d/%Y %I:%M:%S %p')},{w}"), LOCAL, 1),
    "a month by its name": (table("Time,Power (W)", lambda t, w: f"{iso(t, '%d-%b-%Y %H:%M:%S')},{w}"), LOCAL, 1),
    "a year of two digits": (table("Time,Power (W)", lambda t, w: f"{iso(t, '%d/%m/%y %H:%M:%S')},{w}"), {**LOCAL, "date_order": "dmy"}, 1),
    "UTC+2 in the header": (table("Time (UTC+2),Power (W)", lambda t, w: f"{iso(t + 7200)},{w}"), {}, 1),
    "a zone in the header": (table("Time Bucket (Europe/Berlin),Mains (kWatts)", lambda t, w: f"{iso(t + 7200)},{w / 1000:.5f}"), {}, 1),
    "seconds since a start": (table("time_s,power_w", lambda t, w: f"{t - NOON_S},{w}"), {"start": "2025-06-16T14:00:00+02:00"}, 1),
    "milliseconds since a local start": (
        table("Timestamp(ms),power_w", lambda t, w: f"{(t - NOON_S) * 1000:.0f},{w}"),
        {"start": "2025-06-16T14:00:00", "timezone": "Europe/Berlin"},
        1,
    ),
    "nanoseconds since a boot": (
        table("monotonic_ns,power_w", lambda t, w: f"{(t - NOON_S + 5000) * 10**9},{w}"),
        {"start": str(NOON_S - 5000)},
        1,
    ),
    "a time of day with its date": (
        table("Time,Power (W)", lambda t, w: f"{iso(t, '%H:%M:%S')}.000,{w}"),
        {"start": "2025-06-16", **LOCAL},
        1,
    ),
    "a load that a column of its name shows": (table("time,gpu,power_w", lambda t, w: f"{t},{99 if w > 200 else 0},{w}"), {}, 1),
    "labels of the phases of work": (
        table("time,label,power_w", lambda t, w: f"{t},{'idle' if t < NOON_S + 12 else 'infer'},{w}"),
        {},
        1,
    ),
    "a column by its number": (table("epoch,value", lambda t, w: f"{t},{w}"), {"power_column": "2", "unit": "W"}, 1),
    "no header, a unit given": (table(None, lambda t, w: f"{iso(t)}, {w}"), {**LOCAL, "unit": "W"}, 1),
    "three phases and their total": (
        table("timestamp,L1 [W],L2 [W],L3 [W],Total [W]", lambda t, w: f"{t},{w / 2},{w / 4},{w / 4},{w}"),
        {},
        1,
    ),
    "three phases, summed": (table("timestamp,L1 [W],L2 [W]", lambda t, w: f"{t},{w / 4},{w * 3 / 4}"), {"channel": "sum"}, 1),
    "two equal names": (table("timestamp,P [W],P [W]", lambda t, w: f"{t},1,{w}"), {"channel": "P #2"}, 1),
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
    "lines of JSON": (table(None, lambda t, w: f'{{"meter": {{"time": {t}, "power_w": {w}}}}}'), {}, 1),
}


@pytest.mark.parametrize("name", READ)
def test_what_can_be_read_is_read_right(tmp_path, name):
    """To the number, in every usual way of writing it."""
    text, how, factor = READ[name]
    log = read_log(written(tmp_path, text), **how)
    watts = [100, 1180] * 10 if name == "three decimals after a point" else WATTS
    assert log.sample.value.tolist() == pytest.approx([w * factor for w in watts], rel=2e-3)
    assert log.sample.t_s[[0, -1]].tolist() == [NOON_S, NOON_S + 19]
    assert not log.local and not log.discarded


REFUSED = {
    "three digits after a comma": (table("timestamp,power_w", lambda t, w: f'{t},"{comma(w / 2, 3)}"'), {}, "--decimal ,"),
    "the same beside a point": (table("timestamp,U,power_w", lambda t, w: f'{t},230.1,"{comma(w / 2, 3)}"'), {}, "--decimal ,"),
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
    "a unit that contradicts the header": (table("time,P [kW]", lambda t, w: f"{t},{w}"), {"unit": "W"}, "leave --unit out"),
    "Windows counters that are no milliwatts": (
        table('"(PDH-CSV 4.0)","\\\\B\\Power Meter(_Total)\\Power"', lambda t, w: f'"{iso(t, "%m/%d/%Y %H:%M:%S")}","{w / 10}"'),
        LOCAL,
        "--unit W",
    ),
    "MW": (table("time,POWER (MW)", lambda t, w: f"{t},{w}"), {}, "--unit mW"),
    "two powers": (table("Date,GPU Power [W],GPU Power (Total) [W]", lambda t, w: f"{iso(t)},{w / 2},{w}"), LOCAL, "--channel 'GPU Power'"),
    "two equal names": (table("timestamp,P [W],P [W]", lambda t, w: f"{t},{w / 2},{w}"), {}, "--channel sum"),
    "eight cards": (
        table("timestamp,gpu,power_w", lambda t, w: "\n".join(f"{t},{g},{w / 8}" for g in range(8))),
        {},
        "--channel sum",
    ),
    "rows with one stamp": (table("timestamp,power_w", lambda t, w: f"{t},{w}\n{t},33\n{t},{w / 3}"), {}, "--one-device"),
    "every row twice": (table("timestamp,power_w", lambda t, w: f"{t},{w}\n{t},{w}"), {}, "copies"),
    "turns without a label": (table("timestamp,power_w", lambda t, w: f"{t},{w}\n{t + 0.5},33", watts=[180.0] * 80), {}, "--one-device"),
    "a day or a month": (table("Time,P [W]", lambda t, w: f"{iso(t - 8 * 86400, '%d/%m/%Y %H:%M:%S')},{w}"), LOCAL, "--date-order"),
    "seconds of no unit": (table("time,power_w", lambda t, w: f"{t - NOON_S},{w}"), {}, "--time-unit s"),
    "a spreadsheet's days": (table("Time,P [W]", lambda t, w: f"{25569 + t / 86400:.8f},{w}"), {}, "export again"),
    "milliseconds that look like seconds": (table("time_ms,power_w", lambda t, w: f"{t},{w}"), {}, "--time-unit s"),
    "two clocks": (table("start,end,power_w", lambda t, w: f"{t},{t + 5},{w}"), {}, "--time-column"),
    "a comma inside an unquoted number": (table("time,power_w,note", lambda t, w: f"{t},{'1,180.5' if w > 200 else w},"), {}, "quotes"),
    "rows with a cell more than names": (table("time,power_w", lambda t, w: f"7,{t},{w}"), {}, "as many cells"),
    "columns that change": (
        table("time,power_w,volts", lambda t, w: f"{t},{w},230") + table("time,volts,power_w", lambda t, w: f"{t + 60},230,{w}"),
        {},
        "cut the log there",
    ),
    "rows out of order": (table("time,power_w", lambda t, w: f"{NOON_S + (t * 7) % 20},{w}"), {}, "cut the log there"),
    "an unknown column": (table("time,power_w", lambda t, w: f"{t},{w}"), {"power_column": "foo"}, "its columns are"),
    "a day as the start of seconds": (table("time_s,power_w", lambda t, w: f"{t - NOON_S},{w}"), {"start": "2025-06-16"}, "T12:00:00"),
    "nothing": ("", {}, "log anything"),
    "a header alone": ("time,power_w\n", {}, "log anything"),
    "prose": ("hello world\nthis is no log\n", {}, "CSV"),
    "an archive": ("PK\x03\x04 ...", {}, "export"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused_with_the_next_step(tmp_path, name):
    """Never a number that may be wrong; the command, or the columns, are in the message."""
    text, how, step = REFUSED[name]
    with pytest.raises(MeterError) as caught:
        read_log(written(tmp_path, text), command="harness import-meter r log.csv", **how)
    assert step in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_encodings_of_loggers(tmp_path, encoding):
    """With and without a byte order mark; Windows' own."""
    path = written(tmp_path, table("Zeit;T [°C];Leistung [W]", lambda t, w: f"{iso(t)};20,5;{comma(w)}"), encoding)
    assert read_log(path, **LOCAL).sample.value.tolist() == WATTS


@pytest.mark.parametrize(
    "mark", ["-OL-", "OVER", "---", "****", "nan", "9.9E37", "99999.9", "INF", "[N/A]", "unavailable", "", "65535", "0"]
)
def test_marks_are_counted_with_their_reason(tmp_path, mark):
    """Missing, never 0 and never a number."""
    text = table("timestamp,power_w", lambda t, w: f"{t},{mark if t == NOON_S + 4 else w}")
    log = read_log(written(tmp_path, text))
    assert np.flatnonzero(np.isnan(log.sample.value)).tolist() == [4]
    assert sum(log.discarded.values()) == len(log.discarded_s) == 1
    assert any("1 of 20 values are no reading" in sentence for sentence in log.notes)


def test_rows_that_cannot_be_read_are_counted_where_they_stand(tmp_path):
    """A torn row, a footer and a cut last line, each with its reason, and about when it was written."""
    text = table("timestamp,power_w", lambda t, w: f"{t},{w}", watts=WATTS * 3)
    text = text.replace(f"\n{NOON_S + 9},", f'\nnoise "\n{NOON_S + 9},') + f"Average,500\n{NOON_S + 60},1180."
    log = read_log(written(tmp_path, text))
    assert len(log.sample.value) == 60
    assert log.discarded_s.tolist() == [NOON_S + 8, NOON_S + 59, NOON_S + 59]
    assert set(log.discarded) == {"an open quote", "no time that can be read", "the last line was cut"}


def test_a_column_that_is_filled_in_seldom_has_no_lost_readings(tmp_path):
    """Another sensor gives the rhythm of the rows."""
    log = read_log(written(tmp_path, table("timestamp,temp,power_w", lambda t, w: f"{t},20,{w if t % 4 == 0 else ''}")))
    assert (len(log.sample.value), sum(log.discarded.values())) == (5, 0)


def test_what_is_no_regular_file_is_refused(tmp_path):
    """A pipe would hang, a device never ends."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path.__class__("/dev/zero")):
        with pytest.raises(MeterError, match="not a regular file"):
            read_log(path)


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("GPU Power (Total) [W]", 1.0),
        ("power_mw", 1e-3),
        ("power mW", 1e-3),
        ("powermW", 1e-3),
        ("kW", 1e3),
        ("Mains (kWatts)", 1e3),
        ("PkgWatt", 1.0),
        ("RAMWatt", 1.0),
        ("powerMilliwatts", 1e-3),
        ("P_total / W", 1.0),
        ("POWER_MW", None),
        ("kWhs", None),
        ("Power (dBm)", None),
        ("Watts/m2", None),
        ("apparent_power_w", None),
        ("power_pct", None),
    ],
)
def test_the_unit_of_a_name(name, factor):
    """Of the whole word: the W of mW is no watt."""
    assert parse_name(name).factor == factor


def test_numbers_keep_every_digit():
    """Signs, exponents, units behind them."""
    column = cells_of(pd.Series(["+1.25", "\u22123.5 W", "1.180E+03", "1e31", "-OL-", ".5"], dtype=str))
    assert column.numbers(".").tolist() == pytest.approx([1.25, -3.5, 1180, np.nan, np.nan, 0.5], nan_ok=True)
