"""A file of any declared format -> one channel of power on Unix time."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.errors import MeterError
from harness.meters.clock import to_unix
from harness.meters.formats import format_of
from harness.meters.holding import held
from harness.meters.options import SUM, Options
from harness.meters.reading import rows_of
from harness.meters.rows import Channel, Rows
from harness.meters.source import content, text_of
from harness.meters.summing import summed
from harness.meters.table import bare_name
from harness.schema import Floats, Sample

TOGETHER = 0.05
"""Of the time between two rounds: rows that are no further apart were read together."""
MOST_ROUNDS = 16
"""Devices that may take turns in one column."""
LEAST_TURNS = 100
"""Rows: a slow meter beside a run may see high and low in turn for fewer."""
LEAST_ROUNDS = 12
"""Rows: fewer show no rhythm."""
FOOTER_LINES = 50
"""Lines below the last reading that may be a summary."""
UNREADABLE = 0.1
"""Share of rows that may be unreadable before the file is not believed."""


@dataclass(frozen=True)
class Log:
    """One channel of a meter.

    Attributes:
        sample: Power in W on Unix time (on the file's own clock where `local`); NaN where a value is missing.
        local: Whether the zone is not known yet: times are local clock readings, counted as if they were UTC.
        channel: Its name in the file.
        marks: Named times that lie in the log's own folder, on the same clock as the sample.
        told: What was read of format, columns, units and zone, and what was left out, as sentences.
        source: Name of the file.
        sha256: Of its content.
        floating: Whether the times count from a start that is not known: only the load can place them.
        held: Whether each value was kept until the next row, in a log of changes.
        discarded: Rows and values that were left out, by reason.
        discarded_s: About when each of them was written, on the sample's clock, shape (n,).
        rows: Rows in the file.
        command: The command line that read it, for messages.
    """

    sample: Sample
    local: bool
    channel: str
    marks: dict[str, float]
    told: tuple[str, ...]
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
        """Median time between two readings at different times."""
        steps = np.diff(self.sample.finite().t_s)
        steps = steps[steps > 0]
        return float(np.median(steps)) if len(steps) else 0.0


def read_log(
    path: Path,
    format: str = "auto",
    *,
    timezone: str | None = None,
    utc_offset_s: float | None = None,
    channel: str | None = None,
    time_column: str | None = None,
    time_unit: str | None = None,
    date_order: str | None = None,
    power_column: str | None = None,
    unit: str | None = None,
    decimal: str | None = None,
    device_column: str | None = None,
    one_device: bool = False,
    start: str | None = None,
    command: str = Options.command,
) -> Log:
    """Read a meter's log.

    Args:
        path: The file; of MLPerf its `spl.txt`, whose neighbours give the marks.
        format: Name of a declared format, or `auto`.
        timezone: Name of the zone of local times, such as `Europe/Berlin`: daylight saving is then known.
        utc_offset_s: Local time less UTC in seconds, where it is the same for the whole log; not beside `timezone`.
        channel: Which column, card or channel, or `sum`; None: the only one, or the total.
        time_column: The column of times.
        time_unit: Unit of times since a start.
        date_order: Order of day, month and year.
        power_column: The column of power.
        unit: Unit of power columns that name none.
        decimal: Decimal mark.
        device_column: The column that distinguishes devices.
        one_device: Whether rows with equal stamps are successive readings.
        start: The log's second 0, or its date.
        command: The command line so far, for messages.

    Raises:
        MeterError: It cannot be read, does not prove to hold power, can be read in two ways, goes back in time, or its local times
            fall where daylight saving ends.
    """
    options = Options(
        format, timezone, utc_offset_s, channel, time_column, time_unit, date_order, power_column, unit, decimal, device_column, one_device, start, command
    )  # fmt: skip
    options.check()
    data = content(path)
    rows = _rows(path, text_of(data, path.name), options)
    name, chosen = _channel(rows, options, path.name)
    if len(chosen.t_s) < 2:
        raise MeterError(f"{path.name} holds {len(chosen.t_s)} readings of {name}", "a log needs two at least")
    log = _placed(rows, name, chosen, options, path.name)
    watts = log.sample.value
    if not np.isfinite(watts).any():
        raise MeterError(f"no reading of {name} in {path.name} is a number", "choose another --channel, or log again")
    if not options.one_device:
        order = np.argsort(chosen.t_s, kind="stable")  # as logged: values that are held would look like two devices
        _check_one_device(chosen.t_s[order], chosen.watts[order], path.name, options)
    told = [*log.told, *_left_out(rows, chosen), f"powers from {np.nanmin(watts):.4g} to {np.nanmax(watts):.4g} W"]
    return Log(
        log.sample, log.local, name, log.marks, tuple(told), path.name, hashlib.sha256(data).hexdigest(), rows.floating, rows.on_change,
        Counter(why for _, _, why in rows.torn) + chosen.discarded, log.discarded_s, rows.count, command,
    )  # fmt: skip


def _rows(path: Path, text: str, options: Options) -> Rows:
    form = format_of(text, options.format)
    rows = (
        form.read(path, text, options) if form.read is not None else rows_of(form.table(path.name, text, options), form, options, path.name)
    )
    readable = rows.count - len(rows.torn)
    last = max((int(channel.row[-1]) for channel in rows.channels.values() if len(channel.row)), default=-1)
    footer = sum(at > last for _, at, _ in rows.torn)
    torn = len(rows.torn) - (footer if footer <= FOOTER_LINES and footer < readable else 0)
    if torn > UNREADABLE * rows.count:
        line, _, why = rows.torn[0]
        raise MeterError(
            f"{path.name}: {len(rows.torn)} of {rows.count} rows could not be read, the first is line {line} ({why})",
            "is this the meter's log? A comma inside a number needs quotes; see --format"
            if readable
            else "is this the meter's log? see --format",
        )
    return rows


def _left_out(rows: Rows, channel: Channel) -> list[str]:
    """Sentences on rows and values that are missing."""
    sentences = []
    if rows.torn:
        why = ", ".join(f"{count} x {reason}" for reason, count in Counter(why for _, _, why in rows.torn).most_common(3))
        sentences.append(
            f"{len(rows.torn)} of {rows.count} rows could not be read and are missing, the first is line {rows.torn[0][0]}: {why}"
        )
    if channel.discarded:
        marks = ", ".join(f"{count} x {reason}" for reason, count in channel.discarded.most_common(3))
        sentences.append(f"{channel.discarded.total()} of {len(channel.t_s)} values are no reading and are missing: {marks}")
    return sentences


def _channel(rows: Rows, options: Options, source: str) -> tuple[str, Channel]:
    """The channel meant.

    Raises:
        MeterError: There is none of that name, or there are several.
    """
    names = ", ".join(map(repr, rows.channels))
    wanted = options.channel
    if wanted == SUM and SUM not in rows.channels and rows.preferred is not None and len(rows.channels) > 1 and not rows.summed:
        raise MeterError(
            f"{rows.preferred!r} of {source} is the total already: a sum of all channels would count twice", "leave --channel out"
        )
    if wanted == SUM and SUM not in rows.channels:
        parts = rows.summed or tuple(rows.channels)
        rows.notes.append(f"sum of {', '.join(map(repr, parts))}")
        return SUM, summed([rows.channels[name] for name in parts], on_change=rows.on_change)
    chosen = wanted or rows.preferred
    if chosen is None:
        first = next(iter(rows.channels))
        parts = rows.summed or tuple(rows.channels)
        contain = "" if rows.summed else ", if none of them contains another"
        raise MeterError(
            f"{source} has several channels and none is the total: {names}",
            options.advice(("choose one", ("--channel", first)), after="one may contain others: their sum would count twice")
            if rows.overlapping
            else options.advice(("choose one", ("--channel", first)), (f"or add up {len(parts)} of them{contain}", ("--channel", SUM))),
        )
    chosen = (
        chosen
        if chosen in rows.channels
        else next((name for name in rows.channels if name in (bare_name(chosen), re.sub(r" \[[^]]*\](?= #)", "", chosen))), chosen)
    )
    if chosen not in rows.channels:
        raise MeterError(f"the log has no channel {chosen!r}", f"it has {names}")
    if len(rows.channels) > 1:
        rows.notes.append(f"channel {chosen!r} of {names}")
    return chosen, rows.channels[chosen]


def _placed(rows: Rows, name: str, channel: Channel, options: Options, source: str) -> Log:
    """The channel in time order, on Unix time where the zone is known."""
    timezone, offset_s = options.timezone, options.utc_offset_s
    if timezone is None and offset_s is None:
        timezone, offset_s = rows.timezone, rows.utc_offset_s
    notes = rows.notes
    if rows.local and (timezone, offset_s) != (rows.timezone, rows.utc_offset_s):
        notes = [sentence for sentence in notes if sentence != rows.zone_sentence]
    elif not rows.local and (options.timezone is not None or options.utc_offset_s is not None):
        notes = [*notes, "the zone that was given is not used: the times carry their own"]
    zoned = rows.local and not rows.floating and (timezone is not None or offset_s is not None)
    t_s, watts, row, marks = channel.t_s, channel.watts, channel.row, rows.marks
    if not zoned or timezone is None:  # else its local times may go back where daylight saving ends
        t_s, watts, row = _forwards(t_s, watts, row, source)
    if zoned:
        t_s = to_unix(t_s, timezone, offset_s)
        marks = dict(zip(marks, to_unix(np.array(list(marks.values())), timezone, offset_s).tolist(), strict=True))
        t_s, watts, row = _forwards(t_s, watts, row, source, zoned=timezone is not None)
    lost_s = np.concatenate([t_s[~np.isfinite(watts)], _times_of(np.array([at for _, at, _ in rows.torn], dtype=int), row, t_s)])
    if rows.on_change:
        t_s, watts = held(t_s, watts)
        notes = [*notes, "a value is kept until the next row: this log has a row only where the value changes"]
    return Log(Sample(t_s, t_s, watts), rows.local and not zoned, name, marks, tuple(notes), source, "", discarded_s=np.sort(lost_s))


def _times_of(rows: np.ndarray, row: np.ndarray, t_s: Floats) -> Floats:
    """About when rows without a time were written: at the reading above them."""
    order = np.argsort(row, kind="stable")
    at = np.clip(np.searchsorted(row[order], rows, side="left") - 1, 0, len(row) - 1)
    return t_s[order][at]


def _forwards(t_s: Floats, watts: Floats, row: np.ndarray, name: str, *, zoned: bool = False) -> tuple[Floats, Floats, np.ndarray]:
    """In time order: a log whose newest row comes first is turned round, one that goes back on its way is refused."""
    steps = np.diff(t_s)
    if np.all(steps <= 0) and np.any(steps < 0):
        t_s, watts, row, steps = t_s[::-1], watts[::-1], row[::-1], -steps[::-1]
    back = np.flatnonzero(steps < 0)
    if len(back):
        raise MeterError(
            f"{name} goes back in time by {-steps[back[0]]:.6g} s after its reading number {back[0] + 1}",
            "its clock was set, or the logger was started again: cut the log there"
            if zoned
            else "its clock was set, daylight saving ended, or rows of several devices follow each other: cut the log there, name the zone with --timezone, "
            "or the column of devices with --device-column",
        )
    return t_s, watts, row


def _check_one_device(t_s: Floats, watts: Floats, name: str, options: Options) -> None:
    """Refuse a column that several devices share, such as nvidia-smi's of two cards without their index: rows come in rounds and differ within one."""
    if len(t_s) < LEAST_ROUNDS:
        return
    gaps_s, steps_w = np.diff(t_s), np.abs(np.diff(watts))
    together = (gaps_s <= TOGETHER * np.quantile(gaps_s, 0.95)) & np.isfinite(steps_w)
    why = "several readings at nearly the same time that differ" if np.mean(together) > 0.3 and np.mean(steps_w[together] > 0) > 0.2 else ""
    rounds = _rounds(watts)
    why = why or (f"values that come in rounds of {rounds}" if rounds else "")
    if why:
        raise MeterError(
            f"{name} holds {why}: one column of several devices",
            options.advice(
                ("if it is one device", ("--one-device",)),
                after="if a column distinguishes them, give it with --device-column; else log with one (nvidia-smi: uuid or index)",
            ),
        )


def _rounds(watts: Floats) -> int:
    """How many rows make a round after which the values are the same again, where neighbours differ; 0 if there are no rounds."""
    good = watts[np.isfinite(watts)]
    level = float(np.median(np.abs(good))) if len(good) else 0.0
    if len(good) < LEAST_TURNS:
        return 0
    near = float(np.median(np.abs(np.diff(good))))
    for count in range(2, MOST_ROUNDS + 1):
        if len(good) > 4 * count and near > 0.05 * level and float(np.median(np.abs(good[count:] - good[:-count]))) < 0.1 * near:
            return count
    return 0
