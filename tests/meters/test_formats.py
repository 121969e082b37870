"""Each declared format of a power log is recognised by a header of its tool, and gives watts; the headers' sources stand in docs/meters.md."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.formats import registry
from harness.meters.formats.base import MeterFormat

NOON_S = 1_750_075_200.0
"""2025-06-16 12:00 UTC."""
WATTS = (100.25, 100.5, 180.0, 181.5)


def stamped(row, form="%Y-%m-%d %H:%M:%S", offset_s=0):
    """One row a second, by a template with `t` and the power in W (`w`) and mW (`m`)."""
    moments = [datetime.fromtimestamp(NOON_S + offset_s + k, UTC).strftime(form) for k in range(len(WATTS))]
    return [
        row.format(t=moment, u=int(NOON_S) + k, w=w, m=round(w * 1000)) for k, (moment, w) in enumerate(zip(moments, WATTS, strict=True))
    ]


SAMPLES = {
    "nvidia-smi": (
        "timestamp, utilization.gpu [%], pstate, temperature.gpu, clocks.current.sm [MHz], power.draw [W], power.draw.instant [W]",
        stamped("{t}.000, 0, P0, 53, 1410, 78.66, {w}", "%Y/%m/%d %H:%M:%S"),
        {"utc_offset_s": 0},
    ),
    "dmon": (
        "#Date       Time        gpu   pwr  temp    sm   mem   enc   dec  mclk  pclk\n#YYYYMMDD   HH:MM:SS    Idx     W     C     %     %     %     %   MHz   MHz",
        stamped(" {t}      0   {w}    83    25     7     0     0  4513  1683", "%Y%m%d   %H:%M:%S"),
        {"utc_offset_s": 0},
    ),
    "tegrastats": (
        None,
        stamped(
            "{t} RAM 6982/7620MB (lfb 5x1MB) SWAP 2640/16384MB (cached 202MB) CPU [97%@1984,95%@1984] EMC_FREQ 18%@3199 GR3D_FREQ 84%@[713] NVENC 1%@115 "
            "APE 174 cpu@65.562C gpu@63.5C VDD_IN {m}mW/15710mW VDD_CPU_GPU_CV 8896mW/7585mW VDD_SOC 3923mW/3515mW",
            "%m-%d-%Y %H:%M:%S",
        ),
        {"utc_offset_s": 0},
    ),
    "jtop": (
        "time,uptime,jetson_clocks,nvp model,CPU1,CPU2,GPU,MTS FG,RAM,EMC,SWAP,APE,NVENC,fan,Temp AO,Temp CPU,power cur,power avg",
        stamped("{t}.003209,22:47:52.710000,OFF,MAXN,5,3,0,0,1745160,1745160,0,150,OFF,0.0,44.5,46.0,{m},4899"),
        {"utc_offset_s": 0},
    ),
    "hwinfo": (
        'Date,Time,"Virtual Memory Committed [MB]","CPU Package [°C]","CPU Package Power [W]"',
        stamped("{t},9000,45,{w},", "%d.%m.%Y,%H:%M:%S.000"),
        {"utc_offset_s": 0},
    ),
    "gpu-z": (
        "        Date        , GPU Clock [MHz] , GPU Temperature [°C] , Board Power Draw [W] , GPU Chip Power Draw [W] , 8-Pin #1 Power [W] , Power Consumption (%) [% TDP] ,",
        stamped("{t} ,        1785.0   ,        48.7   ,       {w}   ,         28.2   ,        41.1   ,        33.6   ,"),
        {"utc_offset_s": 0},
    ),
    "pdh": (
        '"(PDH-CSV 4.0) (Central Daylight Time)(300)","\\\\BOX\\Power Meter(_Total)\\Power","\\\\BOX\\Processor(_Total)\\% Processor Time"',
        stamped('"{t}.000","{m}.000000","12.5"', "%m/%d/%Y %H:%M:%S", -18000),
        {},
    ),
    "home-assistant": (
        "entity_id,state,last_changed",
        stamped("sensor.wall_plug_power,{w},{t}.000Z", "%Y-%m-%dT%H:%M:%S"),
        {"unit": "W"},
    ),
    "influxdb": (
        "#group,false,false,true,true,false,false,true,true,true\n"
        "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string\n#default,mean,,,,,,,,\n"
        ",result,table,_start,_stop,_time,_value,_field,_measurement,host",
        stamped(",,0,2022-12-31T05:41:24Z,2026-01-31T05:41:24Z,{t}Z,{w},power_w,plug,A", "%Y-%m-%dT%H:%M:%S"),
        {},
    ),
    "shelly": (
        None,
        stamped(
            '{{"ble":{{}},"switch:0":{{"id":0,"source":"WS_in","output":true,"apower":{w},"voltage":226.2,"aenergy":{{"total":0.0,"minute_ts":1769947860}}}},'
            '"sys":{{"unixtime":{u}}}}}'
        ),
        {},
    ),
    "tasmota": (
        None,
        stamped(
            '02:13:59 RSL: tele/DVES_EA9716/SENSOR = {{"Time":"{t}","ENERGY":{{"Total":0.052,"Yesterday":0.000,"Today":0.052,"Period":0,"Power":{w},'
            '"Factor":0.00,"Voltage":206,"Current":0.000}}}}',
            "%Y-%m-%dT%H:%M:%S",
        ),
        {"utc_offset_s": 0},
    ),
    "yokogawa": ("Store No.,Date,Time,U-1,I-1,P-1,S-1", stamped("1,{t},230.1,1.0,{w},1000", "%Y/%m/%d,%H:%M:%S"), {"utc_offset_s": 0}),
    "amd-smi": (
        "timestamp,gpu,gfx_activity,umc_activity,socket_power,gfx_voltage,throttle_status,power_management",
        stamped("{u},0,37,1,{w},780,UNTHROTTLED,ENABLED"),
        {},
    ),
    "powerjoular": ("Date,CPU Utilization,Total Power,CPU Power,GPU Power", stamped("{t},0.12,{w},{w},0.0"), {"utc_offset_s": 0}),
    "libre-hardware-monitor": (
        ",/amdcpu/0/load/0,/amdcpu/0/power/0\nTime,CPU Total,Package",
        stamped('"{t}","5.1","{w}"', "%m/%d/%Y %H:%M:%S"),
        {"utc_offset_s": 0},
    ),
    "afterburner": (
        "00, 16-06-2025 11:59:59, Hardware monitoring log v1.6 \n01, 16-06-2025 11:59:59, Radeon RX 560 Series\n"
        "02, 16-06-2025 11:59:59, GPU temperature     ,GPU usage           ,Power               ,Fan speed           \n"
        "03, 16-06-2025 11:59:59, 0                   ,°C                  ,0.000               ,100.000             ,10                  ,\n"
        "03, 16-06-2025 11:59:59, 1                   ,%                   ,0.000               ,100.000             ,10                  ,\n"
        "03, 16-06-2025 11:59:59, 2                   ,W                   ,0.000               ,300.000             ,10                  ,\n"
        "03, 16-06-2025 11:59:59, 3                   ,%                   ,0.000               ,100.000             ,10                  ,",
        stamped("80, {t}, 43.000              ,0.000               ,{w}              ,21.000              ", "%d-%m-%Y %H:%M:%S"),
        {"utc_offset_s": 0},
    ),
    "json": (None, stamped('{{"timestamp": {u}, "power_w": {w}}}'), {}),
    "csv": ("timestamp,power_w", stamped("{u},{w}"), {}),
}  # fmt: skip


def written(folder, header, rows):
    path = folder / "log.txt"
    path.write_text("\n".join([*([header] if header else []), *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", SAMPLES)
def test_a_declared_format_is_recognised_and_gives_watts(tmp_path, name):
    """By itself, and where it is named; in milliwatts, with other columns beside it, with its tool's dates."""
    header, rows, how = SAMPLES[name]
    path = written(tmp_path, header, rows)
    for form in ("auto", name):
        log = read_log(path, form, **how)
        assert f"format {name}" in log.notes
        at = [float(log.sample.value[(log.sample.t_s >= NOON_S + k)][0]) for k in range(len(WATTS))]
        assert at == pytest.approx(list(WATTS))
        assert not log.local
        assert log.sample.t_s[0] == pytest.approx(NOON_S, abs=0.01)


def test_every_declared_format_has_a_sample_and_a_line_in_the_documentation():
    """With its source, or marked as unverified."""
    text = (Path(__file__).parents[2] / "docs" / "meters.md").read_text(encoding="utf-8")
    for name, form in registry.formats().items():
        assert name in SAMPLES or name == "mlperf"
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        assert form.source in line if form.source else "unverified" in line
        assert form.how


def test_a_package_brings_a_format_by_an_entry_point(tmp_path, monkeypatch):
    """One object of `MeterFormat`; what is none is a sentence where it is named, and disturbs no other."""
    own = MeterFormat("my-pdu", "my PDU", lambda text: text.startswith("PDU"), power=(("load", "kW"),), time=("at",))
    point = EntryPoint("my-pdu", "tests.meters.test_formats:own", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    monkeypatch.setattr(EntryPoint, "load", lambda self: own)
    registry._loaded.cache_clear()
    try:
        path = written(tmp_path, "PDU 7\nat,load", stamped("{u},{w}"))
        assert read_log(path).sample.value.tolist() == pytest.approx([w * 1000 for w in WATTS])
        monkeypatch.setattr(EntryPoint, "load", lambda self: 1)
        registry._loaded.cache_clear()
        with pytest.raises(MeterError, match="is no MeterFormat"):
            read_log(path, "my-pdu")
        assert read_log(written(tmp_path, *SAMPLES["csv"][:2])).notes[0] == "format csv"
    finally:
        registry._loaded.cache_clear()


def test_devices_of_a_format_are_channels_and_their_sum(tmp_path):
    """Eight cards in one column: none is chosen silently, the sum and one card are offered with the command."""
    rows = [f"{int(NOON_S) + k},{card},92,{w / 8},ENABLED" for k, w in enumerate(WATTS) for card in range(8)]
    path = written(tmp_path, "timestamp,gpu,gfx_activity,socket_power,power_management", rows)
    with pytest.raises(MeterError, match="several channels") as caught:
        read_log(path, command="harness import-meter r log.txt")
    assert "harness import-meter r log.txt --channel sum" in caught.value.hint
    assert read_log(path, channel="sum").sample.value.tolist() == pytest.approx(list(WATTS))
    assert read_log(path, channel="socket_power of gpu 3").sample.value.tolist() == pytest.approx([w / 8 for w in WATTS])


def test_readings_at_100_ms_with_stamps_of_a_second_lie_within_it(tmp_path):
    """Tegrastats --interval 100 writes ten lines with one stamp: one device, ten readings."""
    rows = [f"06-16-2025 12:00:0{s} RAM 6982/7620MB (lfb 5x1MB) VDD_IN {1000 * s + 10 * k}mW/1mW" for s in range(3) for k in range(10)]
    log = read_log(written(tmp_path, None, rows), utc_offset_s=0)
    assert log.sample.t_s.tolist() == pytest.approx([NOON_S + k / 10 for k in range(30)], abs=1e-4)


def test_a_log_of_changes_keeps_each_value_until_the_next(tmp_path):
    """100 W for a minute, then 200 W: no ramp between the two rows, and no gap."""
    rows = [f"sensor.plug_power,{w},2025-06-16T12:0{m}:00.000Z" for m, w in ((0, 100), (1, 200), (2, 200.5))]
    log = read_log(written(tmp_path, "entity_id,state,last_changed", rows), unit="W")
    before = log.sample.t_s < NOON_S + 60
    assert set(log.sample.value[before]) == {100.0}
    assert float(np.interp(NOON_S + 59.9, log.sample.t_s, log.sample.value)) == 100.0
    assert float((log.sample.t_s[1:] - log.sample.t_s[:-1]).max()) <= 1.001


def test_entities_of_other_quantities_are_left_out(tmp_path):
    """Energy, voltage and a switch beside the power; without a unit the entities are named with the command."""
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
    path = written(tmp_path, "entity_id,state,last_changed", rows)
    assert read_log(path, unit="W").channel == "sensor.plug_power"
    with pytest.raises(MeterError, match=r"names no unit of power: 'sensor\.plug_power'") as caught:
        read_log(path)
    assert "--unit W" in caught.value.hint


def test_dmon_without_times_says_how_to_log(tmp_path):
    """It writes them only when asked."""
    with pytest.raises(MeterError, match="holds no times") as caught:
        read_log(written(tmp_path, "# gpu   pwr  temp\n# Idx     W     C", ["    0   111    83"] * 5))
    assert "-o DT" in caught.value.hint
