"""A table in a declared format -> channels of power: one a column and device, or their sum."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.columns import PowerColumn, labelled_column, power_columns, reasons
from harness.meters.devices import Devices, coarse, devices_of, spread
from harness.meters.formats.base import MeterFormat
from harness.meters.names import understood, words
from harness.meters.options import SUM, UNITS_W, Options
from harness.meters.rows import Channel, Rows
from harness.meters.table import Table
from harness.meters.times import Clock, clock_of
from harness.meters.unit_column import with_units
from harness.schema import Floats

OTHER_LABELS = words("voltage current temperature humidity battery frequency cost price signal rssi linkquality uptime")
"""Words of a device's label that name another quantity."""
TOTAL = re.compile(r"(?i)total|sum\b|\ball\b|gesamt|wall|main|system|input|aggregate|Σ")
WHOLE = re.compile(r"(?i)total|sum\b|\ball\b|gesamt|\bwall|system|aggregate|combined|platform|psys|ptot|Σ")
"""Words of a channel that contains the others."""
PACKAGE, PARTS = (
    re.compile(r"(?i)package|pkg|processor"),
    re.compile(r"(?:\b|_)(?:IA|GT|GFX|Cor|Cores?|Uncore|PP[01]|SoC)(?:\b|_|[ W]|Watt)"),
)
"""A processor's package, and its domains that the package contains."""
QUANTITIES = words("quantity metric field parameter measurement variable signal unit type kind property")
"""Names of a column of labels that are quantities, not devices."""
DROPOUT_ROWS, DROPOUT_MOST, DROPOUT_SHARE, LEAST_DROPOUT_W = 3, 0.25, 0.05, 1.0
"""Zeros are a meter that was not read: so many in a row at most, such a share of the readings, and none of those is below this share of the highest, or this power."""
TOTAL_WITHIN = 0.01
"""How closely a column must be the sum of all others to be their total."""


def rows_of(table: Table, form: MeterFormat, options: Options, source: str) -> Rows:
    """The channels of a table.

    Args:
        table: The log.
        form: Its format.
        options: The user's choices.
        source: Name of the file, for messages.

    Raises:
        MeterError: No time, no power, or something that can be read in two ways.
    """
    if any(name == "codecarbon_version" for name in table.names):
        raise MeterError(
            f"{source} is codecarbon's own report: a model, or the last sample of each task, not a meter's readings", "give a meter's log"
        )
    if not len(table.cells) and table.torn:
        line, _, why = table.torn[0]
        raise MeterError(
            f"{source}: none of the {len(table.torn)} rows below its header could be read, the first is line {line} ({why})",
            "a row needs as many cells as the header has names; a comma inside a number needs quotes",
        )
    if not len(table.cells):
        raise MeterError(f"{source} holds a header and no readings", "did the meter's program log anything?")
    table = with_units(table)
    clock = clock_of(table, form, options, source)
    devices = devices_of(table, form, options, clock.t_s, clock.columns, source)
    taken = clock.columns | ({devices.column} if devices.column is not None else set())
    if form.labelled and devices.label is not None:
        columns, notes = _labelled(table, form, devices, options, source)
    else:
        columns, notes = power_columns(table, form, options, taken, source)
    if devices.spread:
        if coarse(clock.t_s):
            raise MeterError(
                f"{source} holds several readings with each time stamp, and no seconds: their moments are not known", "log the seconds too"
            )
        clock.t_s = _spread(clock.t_s)
    if devices.stacked > 1 and len(columns) > 1:
        columns = [_one_column(columns, form, options, source)]
    channels = _channels(columns, clock, devices, form)
    preferred, total = _preferred(columns, channels, devices, form)
    rows = Rows(
        channels,
        clock.local,
        preferred,
        len(table.cells) + len(table.torn),
        _torn(table, clock),
        floating=clock.floating,
        summed=total,
        overlapping=not table.headed or _overlapping(list(channels), devices),
        on_change=form.on_change or table.on_change,
        utc_offset_s=clock.utc_offset_s,
        timezone=clock.timezone,
    )
    rows.zone_sentence = clock.notes[-1] if clock.utc_offset_s is not None or clock.timezone is not None else None
    power = ", ".join(f"{column.name!r} ({column.unit})" for column in columns)
    rows.notes = [f"format {form.name}", f"power from {power}", *clock.notes, *devices.notes, *notes, *table.notes]
    return rows


def _one_column(columns: list[PowerColumn], form: MeterFormat, options: Options, source: str) -> PowerColumn:
    """The column that is added up over rows with equal time stamps.

    Raises:
        MeterError: There are several, and none is the total.
    """
    total = _total(columns, form)
    if total is None:
        raise MeterError(
            f"{source} holds several columns of power, and several rows with each time stamp: {', '.join(repr(c.name) for c in columns)}",
            options.advice(("choose the column that is added up", ("--power-column", columns[0].name))),
        )
    return next(column for column in columns if column.name == total)


def _total(columns: list[PowerColumn], form: MeterFormat) -> str | None:
    """The column that a format declares as the total, or that is the sum of all others."""
    names = [column.name for column in columns]
    total = next((name for pattern in form.preferred for name in names if re.fullmatch(pattern, name)), None)
    return _sum_of_others(columns) if total is None and len(names) > 2 else total


def _spread(t_s: Floats) -> Floats:
    good = np.isfinite(t_s)
    found = t_s.copy()
    found[good] = spread(t_s[good])
    return found


def _torn(table: Table, clock: Clock) -> list[tuple[int, int, str]]:
    """Rows that could not be split, and rows without a time, in the order of the file."""
    undated = [(int(table.lines[i]), int(i), "no time that can be read") for i in np.flatnonzero(~np.isfinite(clock.t_s))]
    return sorted([*table.torn, *undated])


def _channels(columns: list[PowerColumn], clock: Clock, devices: Devices, form: MeterFormat) -> dict[str, Channel]:
    """By column, and by device where there are several."""
    good = np.isfinite(clock.t_s)
    channels = {}
    for column in columns:
        present = good & column.present
        if devices.stacked > 1:
            channels[SUM] = _stack(column, clock.t_s, present, devices.stacked)
        elif devices.label is None:
            channels[column.name] = _channel(column, clock.t_s, present)
        else:
            labels = devices.label.to_numpy()
            for label in dict.fromkeys(labels[present]):
                name = str(label) if form.labelled else f"{column.name} of {_device_word(devices)}{label}"
                several = form.labelled or len(set(labels[good])) > 1
                here = _channel(column, clock.t_s, present & (labels == label))
                if np.isfinite(here.watts).any():
                    channels[name if several else column.name] = here
    return channels


def _device_word(devices: Devices) -> str:
    return f"{devices.word} " if devices.word else ""


def _channel(column: PowerColumn, t_s: Floats, mask: np.ndarray) -> Channel:
    row = np.flatnonzero(mask)
    lost = {i: why for i, why in column.discarded.items() if mask[i]}
    dropped = _dropouts(column.watts[row])
    lost |= {int(i): "0 W between readings" for i in row[dropped]}
    return Channel(t_s[row], np.where(dropped, np.nan, column.watts[row]), row, reasons(lost))


def _dropouts(watts: Floats) -> np.ndarray:
    """Where a few zeros stand between readings that are all far above: the meter was not read there, shape (n,)."""
    drawn, zero = watts[watts > 0], np.asarray(watts == 0, dtype=bool)
    if not zero.any() or zero.sum() > DROPOUT_MOST * len(drawn):
        return np.zeros(len(watts), dtype=bool)
    low_w, high_w = np.quantile(drawn, [0.01, 0.99])
    if low_w < max(DROPOUT_SHARE * high_w, LEAST_DROPOUT_W):
        return np.zeros(len(watts), dtype=bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], zero, [False]]).astype(int)))
    found = zero.copy()
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start > DROPOUT_ROWS or start == 0 or stop == len(watts):
            found[start:stop] = False
    return found


def _stack(column: PowerColumn, t_s: Floats, mask: np.ndarray, count: int) -> Channel:
    """The sum of the rows with each time stamp; NaN where one is missing."""
    row = np.flatnonzero(mask)
    frame = pd.DataFrame({"t": t_s[row], "w": column.watts[row], "row": row})
    sums = frame.groupby("t", sort=False).agg(w=("w", lambda w: w.sum(skipna=False)), n=("w", "size"), row=("row", "first"))
    whole = sums["n"] == count
    lost = reasons({i: why for i, why in column.discarded.items() if mask[i]}) + Counter(
        {"a time stamp without all of its rows": int((~whole).sum())}
    )
    return Channel(sums.index.to_numpy(dtype=float), sums["w"].where(whole).to_numpy(dtype=float), sums["row"].to_numpy(), +lost)


def _preferred(
    columns: list[PowerColumn], channels: dict[str, Channel], devices: Devices, form: MeterFormat
) -> tuple[str | None, tuple[str, ...]]:
    """(the channel meant where none is named, the channels that `sum` adds)."""
    total = _total(columns, form)
    if devices.label is None:
        return (next(iter(channels)) if len(channels) == 1 else total), ()
    of_total = tuple(name for name in channels if total is None or name == total or name.startswith(f"{total} of "))
    return (of_total[0] if len(of_total) == 1 else None), of_total


def _overlapping(names: list[str], devices: Devices) -> bool:
    """Whether one channel may contain others: a total beside its parts, a package beside its cores, rows of several quantities."""
    if devices.label is not None:
        return bool({part.lower() for part in re.findall(r"[A-Za-z]+", devices.word)} & QUANTITIES)
    wholes = [name for name in names if WHOLE.search(name)]
    numbered = any(re.search(r"\d", name) and re.sub(r"\d+", "", name) in names for name in names)  # CPU power beside CPU1 power
    return numbered or 0 < len(wholes) < len(names) or (any(map(PACKAGE.search, names)) and any(map(PARTS.search, names)))


def _sum_of_others(columns: list[PowerColumn]) -> str | None:
    """The one column that is named as the total and is the sum of all others in every row."""
    watts = np.array([column.watts for column in columns])
    watts = watts[:, np.all(np.isfinite(watts), axis=0)]
    if watts.shape[1] < 4:
        return None
    whole = watts.sum(axis=0)
    found = [
        column.name
        for column, each in zip(columns, watts, strict=True)
        if TOTAL.search(column.name)
        and np.mean(np.abs(whole - 2 * each) <= TOTAL_WITHIN * np.abs(each) + 0.05 * len(columns)) >= 0.99
        and np.median(each) > 0
    ]
    return found[0] if len(found) == 1 else None


def _labelled(table: Table, form: MeterFormat, devices: Devices, options: Options, source: str) -> tuple[list[PowerColumn], list[str]]:
    """The column of values of a log whose labels name quantity and unit: rows of other quantities are left out.

    Raises:
        MeterError: No label names a unit of power, and none is given.
    """
    assert devices.label is not None
    labels = [str(label) for label in devices.label.unique()]
    units: dict[str, float] = {}
    silent: list[str] = []
    for label in labels:
        name = understood(re.sub(r"[^\w\[\]()%/ -]", " ", label))
        words = set(re.findall(r"[a-z]+", label.lower()))
        if name.other or name.setting or words & OTHER_LABELS:
            continue
        if options.unit is not None:
            units[label] = UNITS_W[options.unit]
        elif name.factor is not None:
            units[label] = name.factor
        else:
            silent.append(label)
    chosen = [options.channel] if options.channel in labels else None
    if chosen and chosen[0] not in units and options.unit is not None:
        units[chosen[0]] = UNITS_W[options.unit]
    return labelled_column(table, form, devices.label, units, silent, options, source)
