"""Read a power-meter log of any declared format as one channel of power on Unix time."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from harness import userfiles
from harness.errors import MeterError
from harness.meters.channels import Channel, Channels, hold, sum_of
from harness.meters.devices import check_one_device
from harness.meters.formats.registry import format_of
from harness.meters.options import SUM, Options
from harness.meters.reading import channels_of
from harness.meters.table import bare_name
from harness.meters.zones import to_unix
from harness.schema import Floats, Sample

FOOTER_LINES = 50
"""Lines below the last reading that may be a summary."""
UNREADABLE = 0.1
"""Share of rows that may be unreadable; with more the file is refused."""
MAX_BYTES = userfiles.GIB
"""Maximum size of a log; a larger file is not a power log of a benchmark."""
ARCHIVES = {
    b"PK\x03\x04": "a spreadsheet or a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"SQLite format 3": "a database",
    b"PAR1": "a Parquet file",
}
"""First bytes of files that are not text."""


@dataclass(frozen=True)
class Log:
    """One channel of a meter.

    Attributes:
        sample: Power in W on Unix time (if `local`, on the file's own clock); NaN where a value is missing.
        local: Whether the zone is not known: the times are local clock readings, counted as if they were UTC.
        channel: Name of the channel in the file.
        marks: Named times on the same clock as the sample.
        notes: What was read of format, columns, units and zone, and what was left out, as sentences.
        source: Name of the file.
        sha256: SHA-256 of its content.
        floating: Whether the times count from an unknown start: only the load of a run can place them.
        held: Whether each value was held until the next row, in a log of changes.
        discarded: Number of rows and values that were left out, by reason.
        discarded_s: Approximate time of each of them, on the sample's clock, shape (n,).
        rows: Rows in the file.
        command: Command line that read it, for messages.
    """

    sample: Sample
    local: bool
    channel: str
    marks: dict[str, float]
    notes: tuple[str, ...]
    source: str
    sha256: str
    floating: bool = False
    held: bool = False
    discarded: Counter[str] = field(default_factory=Counter)
    discarded_s: Floats = field(default_factory=lambda: np.zeros(0))
    rows: int = 0
    command: str = Options.command

    @property
    def period_s(self) -> float:
        """Median time between two readings at different times, in seconds; 0 if there are none."""
        steps = np.diff(self.sample.finite().t_s)
        steps = steps[steps > 0]
        return float(np.median(steps)) if len(steps) else 0.0


def read_log(path: Path, format: str = "auto", **choices: str | float | bool | None) -> Log:
    """Read a meter's log.

    Args:
        path: The file; for MLPerf its `spl.txt` among the other files of the session, which give the marks.
        format: Name of a declared format, or `auto`.
        choices: The other fields of `Options`.

    Raises:
        MeterError: It cannot be read, has no column known to contain power, is ambiguous, goes back in time, or its local times
            fall where daylight saving ends.
    """
    options = Options(format, **choices)  # type: ignore[arg-type]
    options.check()
    data = _content(path)
    channels = _channels(path, _decoded(data, path.name), options)
    name, channel = _chosen(channels, options, path.name)
    if len(channel.t_s) < 2:
        raise MeterError(f"{path.name} contains {len(channel.t_s)} readings of {name}", "a log needs at least two")
    log = _on_unix_time(channels, name, channel, options, path.name)
    watts = log.sample.value
    if not np.isfinite(watts).any():
        raise MeterError(f"no reading of {name} in {path.name} is a number", "choose another --channel, or log again")
    if not options.one_device:  # values as logged: repeated values of a log of changes would look like two devices
        order = np.argsort(channel.t_s, kind="stable")
        check_one_device(channel.t_s[order], channel.watts[order], path.name, options)
    notes = (*log.notes, *_discard_notes(channels, channel), f"powers from {np.nanmin(watts):.4g} to {np.nanmax(watts):.4g} W")
    return replace(log, notes=notes, sha256=hashlib.sha256(data).hexdigest())


def _content(path: Path) -> bytes:
    """The bytes of a log; refuses empty, binary and very large files."""
    data = userfiles.read_bytes(path, "meter log", limit_bytes=MAX_BYTES, error=MeterError)
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise MeterError(f"{path} is empty", "check that the meter's program logged readings")
    for magic, kind in ARCHIVES.items():
        if data.startswith(magic):
            raise MeterError(f"{path} is {kind}, not text", "export the log as CSV, or unpack it")
    return data


def _decoded(data: bytes, source: str) -> str:
    """Text of a log by its byte order mark, as UTF-16 if every other byte is zero, as UTF-8, else as Windows-1252."""
    for prefix, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(prefix):
            return data.decode(encoding, errors="replace")
    head = data[:4096]
    if head.count(0) > 0.3 * len(head):
        return data.decode("utf-16-le" if head[1:2] == b"\x00" else "utf-16-be", errors="replace")
    if head.count(0):
        data = data.rstrip(b"\x00")  # a logger that was cut off leaves blocks of zeros after its last line
        if b"\x00" in data:
            raise MeterError(f"{source} contains binary data", "export the log as text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _channels(path: Path, text: str, options: Options) -> Channels:
    """All channels of a log; refuses one in which too many rows cannot be read."""
    form = format_of(text, options.format)
    channels = form.read(path, text, options) if form.read is not None else channels_of(form.table(path.name, text, options), form, options)
    readable = channels.count - len(channels.torn)
    last = max((int(channel.row[-1]) for channel in channels.by_name.values() if len(channel.row)), default=-1)
    footer = sum(at > last for _, at, _ in channels.torn)
    torn = len(channels.torn) - (footer if footer <= FOOTER_LINES and footer < readable else 0)
    if torn > UNREADABLE * channels.count:
        line, _, why = channels.torn[0]
        raise MeterError(
            f"{path.name}: {len(channels.torn)} of {channels.count} rows could not be read, the first is line {line} ({why})",
            f"check that this is the meter's log; {'A comma inside a number needs quotes; ' if readable else ''}see --format",
        )
    return channels


def _discard_notes(channels: Channels, channel: Channel) -> list[str]:
    """Sentences on rows and values that are missing."""
    notes = []
    if channels.torn:
        reasons = _counts_text(Counter(why for _, _, why in channels.torn))
        notes.append(
            f"{len(channels.torn)} of {channels.count} rows could not be read and are missing, the first is line {channels.torn[0][0]}: {reasons}"
        )
    if channel.discarded:
        reasons = _counts_text(channel.discarded)
        notes.append(f"{channel.discarded.total()} of {len(channel.t_s)} values are not readings and count as missing: {reasons}")
    return notes


def _counts_text(counts: Counter[str]) -> str:
    """The three most common reasons with their counts."""
    return ", ".join(f"{count} x {reason}" for reason, count in counts.most_common(3))


def _chosen(channels: Channels, options: Options, source: str) -> tuple[str, Channel]:
    """The channel to take, with its name; refuses several without a total."""
    by_name, asked = channels.by_name, options.channel
    names = ", ".join(map(repr, by_name))
    if asked == SUM and SUM not in by_name:
        if channels.preferred is not None and len(by_name) > 1 and not channels.summed:
            raise MeterError(
                f"{channels.preferred!r} of {source} is already the total: a sum of all channels would count it twice", "remove --channel"
            )
        parts = channels.summed or tuple(by_name)
        channels.notes.append(f"sum of {', '.join(map(repr, parts))}")
        return SUM, sum_of([by_name[name] for name in parts], on_change=channels.on_change)
    name = asked or channels.preferred
    if name is None:
        raise MeterError(f"{source} has several channels and none is the total: {names}", _channel_advice(channels, options))
    shorter = (bare_name(name), re.sub(r" \[[^]]*\](?= #)", "", name))
    name = name if name in by_name else next((each for each in by_name if each in shorter), name)
    if name not in by_name:
        raise MeterError(f"the log has no channel {name!r}", f"it has {names}")
    if len(by_name) > 1:
        channels.notes.append(f"channel {name!r} of {names}")
    return name, by_name[name]


def _channel_advice(channels: Channels, options: Options) -> str:
    """How to choose one of several channels; a sum is proposed only where none may contain another."""
    choice = ("choose one", ("--channel", next(iter(channels.by_name))))
    if channels.overlapping:
        return options.advice(choice, after="one may contain others: their sum would count twice")
    contain = "" if channels.summed else ", if none of them contains another"
    count = len(channels.summed or channels.by_name)
    return options.advice(choice, (f"or add {count} of them{contain}", ("--channel", SUM)))


def _on_unix_time(channels: Channels, name: str, channel: Channel, options: Options, source: str) -> Log:
    """The channel in time order, on Unix time if the zone is known."""
    given, notes, marks = options.zone, channels.notes, channels.marks
    if channels.local and given not in (None, channels.zone):
        notes = [note for note in notes if note != channels.zone_note]
    elif not channels.local and given:
        notes = [*notes, "the given zone is not used, since the times include one"]
    zone = (given or channels.zone) if channels.local and not channels.floating else None
    if zone is None or zone.name is None:  # else its local times may go back where daylight saving ends
        channel = _forwards(channel, source)
    if zone:
        channel = _forwards(replace(channel, t_s=to_unix(channel.t_s, zone)), source, zoned=zone.name is not None)
        marks = dict(zip(marks, to_unix(np.array(list(marks.values())), zone).tolist(), strict=True))
    t_s, watts = channel.t_s, channel.watts
    torn_s = _times_of_rows(np.array([at for _, at, _ in channels.torn], dtype=int), channel)
    discarded_s = np.sort(np.concatenate([t_s[~np.isfinite(watts)], torn_s]))
    if channels.on_change:
        t_s, watts = hold(t_s, watts)
        notes = [*notes, "each value is held until the next row: this log has a row only where the value changes"]
    return Log(
        Sample(t_s, t_s, watts), channels.local and zone is None, name, marks, tuple(notes), source, "", channels.floating, channels.on_change,
        Counter(why for _, _, why in channels.torn) + channel.discarded, discarded_s, channels.count, options.command,
    )  # fmt: skip


def _times_of_rows(rows: np.ndarray, channel: Channel) -> Floats:
    """Approximate times of rows without a time: those of the reading above them."""
    order = np.argsort(channel.row, kind="stable")
    at = np.clip(np.searchsorted(channel.row[order], rows, side="left") - 1, 0, len(channel.row) - 1)
    return channel.t_s[order][at]


def _forwards(channel: Channel, source: str, *, zoned: bool = False) -> Channel:
    """The channel in time order, reversed if its newest row comes first; refuses one that goes back in time."""
    channel = channel.ascending()
    steps = np.diff(channel.t_s)
    back = np.flatnonzero(steps < 0)
    if len(back):
        raise MeterError(
            f"{source} goes back in time by {-steps[back[0]]:.6g} s after its reading number {back[0] + 1}",
            "its clock was set, or the logger was restarted: cut the log there"
            if zoned
            else "its clock was set, daylight saving ended, or rows of several devices follow each other: cut the log there, name the zone with --timezone, "
            "or the column of devices with --device-column",
        )
    return channel
