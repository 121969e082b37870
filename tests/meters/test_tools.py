"""Logs of common tools that no format declares: read right, or refused without a command that would give a wrong number."""

from __future__ import annotations

import re
import shlex

import pytest

from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.options import Options
from harness.meters.units import parse_name
from tests.meters.test_traps import LOCAL, NOON_S, WATTS, comma, iso, table, written

COMMAND = "harness import-meter r log.csv"


def lakh(milliwatts: float) -> str:
    """1,80,500 of 180500."""
    head, tail = divmod(round(milliwatts), 1000)
    return ",".join([*re.findall(r"^\d(?=(?:\d\d)*$)|\d\d", str(head)), f"{tail:03d}"])


READ = {
    "Intel Power Gadget: a cycle counter in the range of Unix time, milliseconds after a colon, a footer": (
        table(
            "System Time,RDTSC,Elapsed Time (sec),Processor Power_0(Watt),Cumulative Processor Energy_0(Joules),Package PL1_0(Watt)",
            lambda t, w: f"{iso(t, '%H:%M:%S')}:000,{1750000000000000 + t % 100},{t - NOON_S}.0,{w},{t % 100},125.0",
        )
        + "\nTotal Elapsed Time (sec) = 20\nMeasured RDTSC Frequency (GHz) = 3.0\nAverage Processor Power_0 (Watt) = 600\n",
        {**LOCAL, "start": "2025-06-16"},
    ),
    "Watts up: energy in watt hours, extremes": (
        table(
            "Time,Watts,Volts,Amps,Watt Hours,Max Watts,Min Watts,Power Factor", lambda t, w: f"{iso(t)},{w},230,1,{t % 100},1300,90,0.9"
        ),
        LOCAL,
    ),
    "Fritz!Box: a column of units": (
        "sep=;\n" + table("Datum/Uhrzeit;Verbrauchswert;Einheit", lambda t, w: f"{iso(t, '%d.%m.%Y %H:%M:%S')};{comma(w)};W"),
        LOCAL,
    ),
    "rows of several quantities with their units": (
        table("timestamp,quantity,value,unit", lambda t, w: f"{t},P,{w},W\n{t},U,230.{t % 10},V\n{t},E,{t % 100},Wh"),
        {},
    ),
    "ipmitool in a loop, without a header": (table(None, lambda t, w: f"{t},Pwr Consumption,{w},Watts,ok"), {}),
    "lakhs": (table("timestamp,Power (mW)", lambda t, w: f'{t},"{lakh(w * 1000)}"'), {}),
    "MEZ is not UTC": (table("time,P [W]", lambda t, w: f"{iso(t + 3600)}.000000 MEZ,{w}"), {"utc_offset_s": 3600}),
    "a German month": (table("Zeit;P [W]", lambda t, w: f"{iso(t, '%d. Jun. %Y %H:%M:%S')};{comma(w)}"), LOCAL),
    "minutes and seconds of a spreadsheet": (
        table("Time,P [W]", lambda t, w: f"{iso(t - NOON_S, '%M:%S')}.0,{w}"),
        {"start": "2025-06-16T12:00:00+00:00"},
    ),
    "the mean beside extremes": (table("timestamp,Pmin (W),Pavg (W),Pmax (W)", lambda t, w: f"{t},{w / 2},{w},{w * 2}"), {}),
    "a package beside its cores": (
        table("Time_Of_Day_Seconds\tPkgWatt\tCorWatt", lambda t, w: f"{t}.0\t{w}\t{w / 2}"),
        {"channel": "PkgWatt"},
    ),
    "plugs by their topics": (
        table(
            None,
            lambda t, w: "\n".join(
                f'tele/{plug}/SENSOR {{"Time":"{iso(t, "%Y-%m-%dT%H:%M:%S")}","ENERGY":{{"Power":{w * factor}}}}}'
                for plug, factor in (("a", 1), ("b", 3))
            ),
        ),
        {**LOCAL, "channel": "Power of topic a"},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_logs_of_common_tools_are_read_right(tmp_path, name):
    """Every reading, at its time, and none lost but the footer."""
    text, how = READ[name]
    log = read_log(written(tmp_path, text), **how)
    assert log.sample.value.tolist() == pytest.approx(WATTS, rel=1e-3)
    assert log.sample.t_s[[0, -1]].tolist() == pytest.approx([NOON_S, NOON_S + 19])


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
    """A pasted `--unit W` would make watts of amperes and joules; a column of such a quantity is refused where it is asked for."""
    path = written(tmp_path, NO_POWER[name])
    with pytest.raises(MeterError, match="holds no power") as caught:
        read_log(path, command=COMMAND)
    assert "harness" not in caught.value.hint
    with pytest.raises(MeterError, match="is no power"):
        read_log(path, command=COMMAND, power_column="2", unit="W")


OVERLAPPING = {
    "a package and its cores": ("PkgWatt,CorWatt", "PkgWatt"),
    "a total that is not the sum of the others": ("P1 (W),Total (W)", "P1"),
    "a processor and its cores by number": ("CPU power (W),CPU1 power (W)", "CPU power"),
}


@pytest.mark.parametrize("name", OVERLAPPING)
def test_a_sum_that_would_count_twice_is_not_proposed(tmp_path, name):
    """One channel is; where the channels are apart, both are."""
    names, first = OVERLAPPING[name]
    with pytest.raises(MeterError, match="several channels") as caught:
        read_log(written(tmp_path, table(f"timestamp,{names}", lambda t, w: f"{t},{w},{w / 3}")), command=COMMAND)
    assert f"--channel {shlex.quote(first)}" in caught.value.hint
    assert "--channel sum" not in caught.value.hint
    with pytest.raises(MeterError, match="several channels") as caught:
        read_log(written(tmp_path, table("timestamp,CPU Package (W),GPU (W)", lambda t, w: f"{t},{w},{w / 3}")), command=COMMAND)
    assert "--channel sum" in caught.value.hint


UNDECIDED = {
    "start and end of each row": (table("start_time,end_time,power_w", lambda t, w: f"{t - 1},{t},{w}"), {}, "--time-column end_time"),
    "two columns of power in rows with one stamp": (
        table("timestamp,A (W),B (W)", lambda t, w: f"{t},{w},{w / 2}\n{t},{w / 3},{w}"),
        {"channel": "sum"},
        "--power-column A",
    ),
    "readings with stamps of whole minutes": (
        table("time,power_w", lambda t, w: f"{iso(t + 12 * (t - NOON_S), '%Y-%m-%d %H:%M')},{w}"),
        {**LOCAL, "one_device": True},
        "log the seconds",
    ),
    "columns that change, and their number": (
        table("time,power_w", lambda t, w: f"{t},{w}") + table("time,volts,power_w", lambda t, w: f"{t + 60},230,{w}"),
        {},
        "cut the log there",
    ),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_is_undecided_is_refused(tmp_path, name):
    """With the next step."""
    text, how, step = UNDECIDED[name]
    with pytest.raises(MeterError) as caught:
        read_log(written(tmp_path, text), command=COMMAND, **how)
    assert step in caught.value.hint


def test_a_log_of_changes_at_a_steady_rhythm_is_one_device(tmp_path):
    """Each value is held until the next row, which looked like two devices that take turns."""
    rows = [f"sensor.plug_power,{100 + k % 7},{iso(NOON_S + k, '%Y-%m-%dT%H:%M:%S')}.000Z" for k in range(60)]
    log = read_log(written(tmp_path, "\n".join(["entity_id,state,last_changed", *rows]) + "\n"), unit="W")
    assert log.held
    assert log.channel == "sensor.plug_power"


def test_zeros_that_a_rail_shows_are_readings(tmp_path):
    """A graphics rail that sleeps between small loads; a machine that is off for long."""
    for watts in ([0.0, 0.02, 0.0, 3.0] * 10, [0.0] * 15 + [100.0] * 15, [100.0] * 10 + [0.0] * 20):
        log = read_log(written(tmp_path, table("timestamp,P [W]", lambda t, w: f"{t},{w}", watts=watts)), one_device=True)
        assert log.sample.value.tolist() == watts


def test_a_column_of_dates_and_times_names_no_zone(tmp_path):
    """`Date/Time` looks like `Europe/Berlin`."""
    log = read_log(written(tmp_path, table("Date/Time,P [W]", lambda t, w: f"{iso(t)},{w}")))
    assert log.local
    assert not read_log(written(tmp_path, table("Time (America/New_York),P [W]", lambda t, w: f"{iso(t)},{w}"))).local


@pytest.mark.parametrize(
    "text",
    [
        "2025-06-16 14:00:{s}.250000 GMT+0200",
        "2025-06-16 14:00:{s}.25 UTC+2",
        "2025-06-16 14:00:{s}.2500000+02:00[Europe/Berlin]",
        "2025-06-16T12:00:{s}.250000z",
        "2025-06-16 14:00:{s}.250000 +0200 CEST",
        "Mon Jun 16 2025 14:00:{s}.25 GMT+0200 (Central European Summer Time)",
    ],
)
def test_times_carry_their_zone(tmp_path, text):
    """As JavaScript, Go, Java, .NET and spreadsheets write it."""
    rows = [f"{text.format(s=f'{k:02d}')};{w}" for k, w in enumerate(WATTS)]
    log = read_log(written(tmp_path, "\n".join(["time;P [W]", *rows]) + "\n"))
    assert not log.local
    assert log.sample.t_s.tolist() == pytest.approx([NOON_S + 0.25 + k for k in range(len(WATTS))])


@pytest.mark.parametrize("form", ["%d/%m/%Y %H.%M.%S", "%Y-%m-%d_%H-%M-%S", "%d-%b-%y %I:%M:%S %p"])
def test_local_times_with_other_marks(tmp_path, form):
    """Points or dashes in the time of day, two digits of the year."""
    log = read_log(written(tmp_path, table("time;P [W]", lambda t, w: f"{iso(t, form)};{w}")), **LOCAL)
    assert log.sample.t_s.tolist() == pytest.approx([NOON_S + k for k in range(len(WATTS))])


def test_both_readings_of_a_date_are_proposed(tmp_path):
    """With the dates that they give."""
    text = table("time,P [W]", lambda t, w: f"{iso(t - 5 * 86400, '%y/%m/%d %H:%M:%S')},{w}")
    with pytest.raises(MeterError, match="25/06/11 is 2011-06-25 or 2025-06-11") as caught:
        read_log(written(tmp_path, text), command=COMMAND, **LOCAL)
    assert [line.split()[-1] for line in caught.value.hint.split("\n") if "harness" in line] == ["dmy", "ymd"]
    assert read_log(written(tmp_path, text), date_order="ymd", **LOCAL).sample.t_s[0] == NOON_S - 5 * 86400


def test_a_rate_is_no_time(tmp_path):
    """MangoHud's core clock stays the same; its elapsed time runs on."""
    text = table("fps,gpu_core_clock,gpu_power,elapsed", lambda t, w: f"60,1500,{w},{(t - NOON_S) * 1_000_000_000}")
    log = read_log(written(tmp_path, text), unit="W", time_unit="ns", start=str(NOON_S))
    assert log.sample.t_s[[0, -1]].tolist() == [NOON_S, NOON_S + 19]


def test_a_footer_is_counted_and_does_not_condemn_the_log(tmp_path):
    """More lines than a tenth of the readings."""
    text = table("timestamp,P [W]", lambda t, w: f"{t},{w}") + "\n" + "".join(f"Average {k} = 12\n" for k in range(10))
    log = read_log(written(tmp_path, text))
    assert (len(log.sample.value), sum(log.discarded.values())) == (20, 10)


def test_each_command_has_a_line_and_each_option_stands_once():
    """A line can be pasted; an option that was given is replaced."""
    options = Options(command="harness import-meter r log.csv --channel 'GPU 0' --timezone UTC")
    lines = options.advice(("choose one", ("--channel", "GPU 1")), ("or all", ("--channel", "sum")), after="columns found: ...").split("\n")
    assert lines == [
        "choose one:",
        "  harness import-meter r log.csv --timezone UTC --channel 'GPU 1'",
        "or all:",
        "  harness import-meter r log.csv --timezone UTC --channel sum",
        "columns found: ...",
    ]


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("Watts", 1.0),
        ("P/W", 1.0),
        ("Leistung / W", 1.0),
        ("Power/kW", 1e3),
        ("WattHrs", None),
        ("kW·h", None),
        ("Watt seconds", None),
        ("Power W x10", None),
        ("fps per W", None),
        ("Perf/Watt", None),
        ("GFLOPS/W", None),
        ("perf_per_watt", None),
        ("Voltage W", None),
        ("current_uA", None),
    ],
)
def test_energies_and_ratios_are_no_watts(name, factor):
    """However they are spelled."""
    assert parse_name(name).factor == factor
