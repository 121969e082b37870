"""An external meter's log (csv, nvidia-smi, MLPerf) -> samples of power on Unix time, with what was guessed on the way."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import MeterError
from harness.meters import delimited, mlperf
from harness.meters.clock import to_unix
from harness.meters.rows import Rows
from harness.schema import Floats, Sample

__all__ = ["FORMATS", "Log", "read_log"]

FORMATS = ("auto", "csv", "mlperf", "nvidia-smi")
TOGETHER = 0.05
"""Of the time between two rounds: rows that are no further apart were read together."""
LEAST_ROUNDS = 12
"""Rows: fewer tell nothing of a rhythm."""
UNREADABLE = 0.1
"""Share of rows that may be unreadable before the file is not believed."""


@dataclass(frozen=True)
class Log:
    """One channel of a meter.

    Attributes:
        sample: Power, W, on Unix time (on the file's own clock where `local`); NaN where the meter told nothing.
        local: True where the zone is not known yet: times are local clock readings, counted as if they were UTC.
        channel: Its name in the file.
        marks: Named times that lie in the log's own folder, on the same clock as the sample.
        told: What was guessed of format, columns, units and zone, as sentences.
        source: Name of the file.
        sha256: Of its content.
    """

    sample: Sample
    local: bool
    channel: str
    marks: dict[str, float]
    told: tuple[str, ...]
    source: str
    sha256: str

    @property
    def period_s(self) -> float:
        """Median time between two rows."""
        return float(np.median(np.diff(self.sample.t_s)))


def read_log(
    path: Path,
    format: str = "auto",
    *,
    timezone: str | None = None,
    utc_offset_s: float | None = None,
    channel: str | None = None,
) -> Log:
    """Read a meter's log.

    Args:
        path: The file; of MLPerf its `spl.txt`, whose neighbours give the marks.
        format: One of `FORMATS`.
        timezone: Name of the zone of local times, such as `Europe/Berlin`: daylight saving is then known.
        utc_offset_s: Local time less UTC, where it is the same for the whole log; not beside `timezone`.
        channel: Which column, card or channel; null: the only one, or the total.

    Raises:
        MeterError: It cannot be read, holds no power, goes back in time, or its local times fall where daylight saving ends.
    """
    if timezone is not None and utc_offset_s is not None:
        raise MeterError("a zone and an offset were given for one log", "give --timezone or --utc-offset")
    data = _content(path)
    rows = _rows(path, _text(data), format)
    name = _channel(rows, channel)
    t_s, watts = rows.channels[name]
    if len(t_s) < 2:
        raise MeterError(f"{path.name} holds {len(t_s)} readings of {name}", "a log needs two at least")
    if not rows.local or timezone is None:  # else its local times may go back where daylight saving ends
        t_s, watts = _forwards(t_s, watts, path.name)
    offset_s = rows.utc_offset_s if utc_offset_s is None and timezone is None else utc_offset_s
    local = rows.local and timezone is None and offset_s is None
    told = rows.told if rows.local and offset_s == rows.utc_offset_s else [s for s in rows.told if s != rows.zone_told]
    marks = rows.marks
    if rows.local and not local:
        t_s = to_unix(t_s, timezone, offset_s)
        marks = dict(zip(marks, to_unix(np.array(list(marks.values())), timezone, offset_s).tolist(), strict=True))
        t_s, watts = _forwards(t_s, watts, path.name, zoned=timezone is not None)
    if not np.isfinite(watts).any():
        raise MeterError(
            f"no reading of {name} in {path.name} is a number", "the meter told nothing: choose another --channel, or log again"
        )
    _check_one_device(t_s, watts, path.name)
    told = [*told, f"powers from {np.nanmin(watts):.4g} to {np.nanmax(watts):.4g} W"]
    return Log(Sample(t_s, t_s, watts), local, name, marks, tuple(told), path.name, hashlib.sha256(data).hexdigest())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MeterError(f"{path} cannot be read: {error.strerror or error}", "give the file that the meter wrote") from None


def _text(data: bytes) -> str:
    """UTF-8, or what its byte order mark says: PowerShell redirects into UTF-16."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")


def _rows(path: Path, text: str, format: str) -> Rows:
    if format not in FORMATS:
        raise MeterError(f"there is no format {format!r}", f"choose one of {', '.join(FORMATS)}")
    if format == "mlperf" or (format == "auto" and mlperf.looks_like(text)):
        rows = mlperf.read(path, text)
    else:
        rows = delimited.read(path.name, text, nvidia_smi=format == "nvidia-smi")
    if rows.unreadable:
        sentence = f"{rows.unreadable} of {rows.count} rows could not be read and are missing, the first is line {rows.first_unreadable}"
        if rows.unreadable > UNREADABLE * rows.count:
            raise MeterError(f"{path.name}: {sentence}", "is this the meter's log? see --format")
        rows.told.append(sentence)
    return rows


def _channel(rows: Rows, wanted: str | None) -> str:
    names = ", ".join(rows.channels)
    if wanted is not None and wanted not in rows.channels:
        raise MeterError(f"the log has no channel {wanted!r}", f"it has {names}")
    chosen = wanted or rows.preferred
    if chosen is None:
        raise MeterError(f"the log has several channels and none is the total: {names}", "name one with --channel")
    if len(rows.channels) > 1:
        rows.told.append(f"channel {chosen!r} of {names}")
    return chosen


def _forwards(t_s: Floats, watts: Floats, name: str, *, zoned: bool = False) -> tuple[Floats, Floats]:
    """In time order: a log whose newest row comes first is turned round, one that goes back on its way is refused."""
    steps = np.diff(t_s)
    if np.all(steps <= 0) and np.any(steps < 0):
        t_s, watts, steps = t_s[::-1], watts[::-1], -steps[::-1]
    back = np.flatnonzero(steps < 0)
    if len(back):
        raise MeterError(
            f"{name} goes back in time by {-steps[back[0]]:.6g} s after its reading number {back[0] + 1}",
            "its clock was set: cut the log there"
            if zoned
            else "its clock was set, or daylight saving ended: cut the log there, or name the zone with --timezone",
        )
    return t_s, watts


def _check_one_device(t_s: Floats, watts: Floats, name: str) -> None:
    """Refuse a column that several devices share, such as nvidia-smi's of two cards without their index: rows come in rounds and differ within one."""
    gaps_s, steps_w = np.diff(t_s), np.abs(np.diff(watts))
    together = (gaps_s <= TOGETHER * np.quantile(gaps_s, 0.95)) & np.isfinite(steps_w)
    if len(t_s) >= LEAST_ROUNDS and np.mean(together) > 0.3 and np.median(steps_w[together]) > 0.01 * np.nanmedian(np.abs(watts)):
        raise MeterError(
            f"{name} holds several readings at nearly the same time that differ: one column of several devices",
            "log each alone, or with a column that tells them apart (nvidia-smi: index)",
        )
