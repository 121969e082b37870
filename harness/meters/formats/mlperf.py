"""MLPerf's power log `spl.txt` in local time; the marks of its session show the zone."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from harness import userfiles
from harness.errors import MeterError
from harness.meters.channels import Channel, Channels
from harness.meters.formats.base import MeterFormat
from harness.meters.options import Options
from harness.meters.timestamps import read_times
from harness.meters.zones import MAX_OFFSET_S, QUARTER_S, Zone, offset_text
from harness.schema import Floats

PHASES = {"ranging": "ranging", "run_1": "testing"}
"""Name in `client.json` of the phase whose log is in such a folder."""
SLACK_S = 300.0
"""Largest time between the first row and the mark before it."""
NO_VALUE = -1.0
"""Value that a meter writes if it has no reading."""
MARK = re.compile(r'"key": "(power_begin|power_end)", "value": "([^"]+)"')
UNCERTAIN = re.compile(r"^(\S+ \S+): WARNING: Uncertainty", re.MULTILINE)


def read(path: Path, text: str, options: Options) -> Channels:
    """Read `spl.txt`; the other files of the session give the marks and the zone.

    A row is `Time,<local>,Watts,<w>,Volts,...,Mark,<name>`; with several channels the keys are repeated, the total first.

    Raises:
        MeterError: No row can be read.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    rows = [(number, time, watts) for number, line in lines for time, watts in [_row(line)] if time and watts]
    if not rows:
        raise MeterError(f"{path.name} contains no row of MLPerf's power log", "choose another format with --format")
    t_s = _local_s([time for _, time, _ in rows])
    names = ["total", *(f"channel {n}" for n in range(1, max(len(watts) for _, _, watts in rows)))]
    watts = np.array([watts + [np.nan] * (len(names) - len(watts)) for _, _, watts in rows])
    row = np.flatnonzero(np.isfinite(t_s))
    numbers = np.array([number for number, _, _ in rows])
    channels = Channels(
        by_name={name: _channel(t_s, watts[:, i], row) for i, name in enumerate(names)},
        local=True,
        preferred="total",
        count=len(lines),
        torn=[
            (number, int(np.searchsorted(numbers, number)), "no row of the power log")
            for number, _ in lines
            if number not in set(numbers[row].tolist())
        ],
        marks=_marks(path),
        notes=["MLPerf power log, power in W"],
    )
    channels.notes += _uncertainty_note(path, channels.marks)
    if len(row):
        _set_zone(channels, path, float(t_s[row[0]]))
    return channels


def _local_s(texts: list[str]) -> Floats:
    """Times as the client writes them on the local clock, counted as if they were UTC."""
    return read_times(texts, order="mdy").t_s


def _row(line: str) -> tuple[str | None, list[float]]:
    """(time as written, watts of each channel) of a row; (None, []) for an incomplete row."""
    fields = line.strip().split(",")
    if len(fields) < 4 or fields[0] != "Time":
        return None, []
    try:
        watts = [float(value) for key, value in itertools.pairwise(fields) if key == "Watts"]
    except ValueError:
        return None, []
    return fields[1], [float("nan") if value == NO_VALUE else value for value in watts]


def _channel(t_s: Floats, watts: Floats, row: np.ndarray) -> Channel:
    missing = int(np.sum(~np.isfinite(watts[row])))
    return Channel(t_s[row], watts[row], row, Counter({"'-1', no value": missing} if missing else {}))


def _session_text(path: Path) -> str | None:
    """Content of a file of the session; None if it is missing or cannot be read."""
    try:
        return userfiles.read_bytes(path, "file of the session", limit_bytes=userfiles.GIB, error=MeterError).decode(errors="replace")
    except MeterError:
        return None


def _marks(path: Path) -> dict[str, float]:
    """`power_begin` and `power_end` on the local clock; empty without the log of the run."""
    marks = dict(MARK.findall(_session_text(path.parent / "mlperf_log_detail.txt") or ""))
    return {name: float(_local_s([text])[0]) for name, text in marks.items()}


def _uncertainty_note(path: Path, marks: dict[str, float]) -> list[str]:
    """A sentence if the meter's own program warned about readings between the marks."""
    stamps = UNCERTAIN.findall(_session_text(path.parent.parent / "power" / "ptd_logs.txt") or "")
    if not stamps or len(marks) < 2:
        return []
    t_s = _local_s(stamps)
    count = int(np.sum((t_s >= marks["power_begin"]) & (t_s <= marks["power_end"])))
    return [f"the meter reported no uncertainty for {count} readings between the marks"] if count else []


def _set_zone(channels: Channels, path: Path, first_s: float) -> None:
    """Take the offset, in whole quarter hours, that puts the log's first row at the mark of the session."""
    session = _session(path)
    if session is None:
        return
    start_s, declared_s = session
    offset_s = round((first_s - start_s) / QUARTER_S) * QUARTER_S
    if abs(first_s - start_s - offset_s) > SLACK_S or abs(offset_s) > MAX_OFFSET_S:
        return
    note = f"local time is {offset_text(offset_s)} by the session's marks"
    if declared_s not in (None, offset_s):
        note += f"; its `timezone` field states {offset_text(declared_s)}, without daylight saving"
    channels.zone, channels.zone_note = Zone(utc_offset_s=offset_s), note
    channels.notes.append(note)


def _session(path: Path) -> tuple[float, float | None] | None:
    """(Unix time when the client started the phase, declared local time minus UTC) of the session of this log; None without it."""
    try:
        client = json.loads(_session_text(path.parent.parent / "power" / "client.json") or "")
        declared = client.get("timezone")
        return float(client["phases"][PHASES.get(path.parent.name)][1][0]), None if declared is None else -float(declared)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None


FORMAT = MeterFormat(
    name="mlperf",
    summary="MLPerf power (spl.txt)",
    recognise=lambda text: re.match(r"\s*Time,[^,\n]*\d[^,\n]*,Watts,", text) is not None,
    read=read,
)
