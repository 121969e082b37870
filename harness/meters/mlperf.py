"""MLPerf power logs: `spl.txt` with the session's own marks, which alone tell the zone of its local times."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from harness import userfiles
from harness.errors import MeterError
from harness.meters.clock import QUARTER_S, offset_text, parse_times
from harness.meters.rows import Channel, Rows
from harness.schema import Floats

PHASES = {"ranging": "ranging", "run_1": "testing"}
"""What the client calls the phase whose log lies in this folder."""
SLACK_S = 300.0
"""How far the first row may be from the mark that it follows."""
NOTHING = -1.0
"""What a meter writes where it has no value."""
MARK = re.compile(r'"key": "(power_begin|power_end)", "value": "([^"]+)"')
UNCERTAIN = re.compile(r"^(\S+ \S+): WARNING: Uncertainty", re.MULTILINE)


def looks_like(text: str) -> bool:
    """Whether a file is a `spl.txt`."""
    return re.match(r"\s*Time,[^,\n]*\d[^,\n]*,Watts,", text) is not None


def read(path: Path, text: str) -> Rows:
    """Read `spl.txt`.

    A row is `Time,<local>,Watts,<w>,Volts,...,Mark,<name>`; of several channels the keys come again, the total first.

    Args:
        path: Where it lies: `mlperf_log_detail.txt` beside it and `power/client.json` above it give the marks.
        text: Its content.

    Raises:
        MeterError: No row can be read.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    found = [(number, time, watts) for number, line in lines for time, watts in [_row(line)] if time and watts]
    if not found:
        raise MeterError(f"{path.name} holds no row of MLPerf's power log", "see --format")
    t_s, _, _ = parse_times([time for _, time, _ in found], month_first=True)
    names = ["total", *(f"channel {n}" for n in range(1, max(len(watts) for _, _, watts in found)))]
    power = np.array([watts + [np.nan] * (len(names) - len(watts)) for _, _, watts in found])
    bad = {number for number, _ in lines} - {number for (number, _, _), t in zip(found, t_s, strict=True) if np.isfinite(t)}
    good = np.isfinite(t_s)
    found_lines = np.array([number for number, _, _ in found])
    row = np.flatnonzero(good)
    rows = Rows(
        channels={name: _channel(t_s, power[:, i], row) for i, name in enumerate(names)},
        local=True,
        preferred="total",
        count=len(lines),
        torn=[(number, int(np.searchsorted(found_lines, number)), "no row of the power log") for number in sorted(bad)],
        marks=_marks(path.parent / "mlperf_log_detail.txt"),
        notes=["MLPerf power log, power in W"],
    )
    rows.notes += _uncertainty(path, rows.marks)
    return _with_zone(rows, path) if good.any() else rows


def uncertain_rows(ptd_log: str, begin_local_s: float, end_local_s: float) -> int:
    """How many readings the meter could not give an uncertainty for, between two marks alone: it settles before the first.

    Args:
        ptd_log: Content of `ptd_logs.txt`.
        begin_local_s: First mark, on the log's local clock counted as UTC.
        end_local_s: Last mark.
    """
    found = UNCERTAIN.findall(ptd_log)
    if not found:
        return 0
    t_s, _, _ = parse_times(found, month_first=True)
    return int(np.sum((t_s >= begin_local_s) & (t_s <= end_local_s)))


def _channel(t_s: Floats, watts: Floats, row: np.ndarray) -> Channel:
    """One channel; -1 is what a meter writes where it has no value, and missing."""
    lost = int(np.sum(~np.isfinite(watts[row])))
    return Channel(t_s[row], watts[row], row, Counter({"'-1', no value": lost} if lost else {}))


def _row(line: str) -> tuple[str | None, list[float]]:
    """(time as written, watts of each channel) of a row; nothing where it is torn."""
    fields = line.strip().split(",")
    if len(fields) < 4 or fields[0] != "Time":
        return None, []
    try:
        watts = [float(value) for key, value in itertools.pairwise(fields) if key == "Watts"]
    except ValueError:
        return None, []
    return fields[1], [float("nan") if value == NOTHING else value for value in watts]


def _beside(path: Path) -> bytes:
    """A file that lies beside the log."""
    return userfiles.read_bytes(path, "file beside the log", limit_bytes=userfiles.GIB, error=MeterError)


def _marks(detail: Path) -> dict[str, float]:
    """`power_begin` and `power_end` on the local clock, where the run's log lies beside the meter's."""
    try:
        found = dict(MARK.findall(_beside(detail).decode(errors="replace")))
    except MeterError:
        return {}
    t_s = [parse_times([text], month_first=True)[0][0] for text in found.values()]
    return {name: float(t) for name, t in zip(found, t_s, strict=True)}


def _uncertainty(path: Path, marks: dict[str, float]) -> list[str]:
    """A sentence where the meter's own program doubted readings of the marked window."""
    try:
        log = _beside(path.parent.parent / "power" / "ptd_logs.txt").decode(errors="replace")
    except MeterError:
        return []
    if set(marks) != {"power_begin", "power_end"}:
        return []
    doubted = uncertain_rows(log, marks["power_begin"], marks["power_end"])
    return [f"the meter could not tell its uncertainty for {doubted} readings between the marks"] if doubted else []


def _with_zone(rows: Rows, path: Path) -> Rows:
    """The offset that puts the log's first row at the session's mark, in whole quarter hours."""
    session = _session(path)
    if session is None:
        return rows
    start_s, declared_s = session
    first_s = float(rows.channels["total"].t_s[0])
    offset_s = round((first_s - start_s) / QUARTER_S) * QUARTER_S
    if abs(first_s - start_s - offset_s) > SLACK_S or abs(offset_s) > 14 * 3600:
        return rows
    rows.utc_offset_s = offset_s
    rows.zone_sentence = f"local time is {offset_text(offset_s)} by the session's marks" + (
        f"; its `timezone` field says {offset_text(declared_s)}, without daylight saving"
        if declared_s is not None and declared_s != offset_s
        else ""
    )
    rows.notes.append(rows.zone_sentence)
    return rows


def _session(path: Path) -> tuple[float, float | None] | None:
    """(Unix time when the client started the phase, declared local time less UTC) of the session whose log this is."""
    client = path.parent.parent / "power" / "client.json"
    phase = PHASES.get(path.parent.name)
    try:
        said = json.loads(_beside(client))
        declared = said.get("timezone")
        return float(said["phases"][phase][1][0]), None if declared is None else -float(declared)
    except (MeterError, ValueError, KeyError, IndexError, TypeError):
        return None
