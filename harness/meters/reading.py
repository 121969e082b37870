"""A table in a declared format as channels of power: one per column and device, or their sum."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.cells import cells_of
from harness.meters.channels import Channel, Channels
from harness.meters.devices import Devices, coarse, devices_of, spread
from harness.meters.formats.base import MeterFormat
from harness.meters.options import SUM, Options
from harness.meters.power import PowerColumn, labelled_column, power_columns
from harness.meters.table import Table
from harness.meters.time_column import RowTimes, times_of
from harness.meters.units import factor_of, is_other, words
from harness.schema import Floats

TOTAL = re.compile(r"(?i)total|sum\b|\ball\b|gesamt|wall|main|system|input|aggregate|Σ")
"""Words of a column that may be the sum of all others."""
CONTAINS = re.compile(r"(?i)total|sum\b|\ball\b|gesamt|\bwall|system|aggregate|combined|platform|psys|ptot|Σ")
"""Words of a channel that contains the others."""
PACKAGE, CORES = (
    re.compile(r"(?i)package|pkg|processor"),
    re.compile(r"(?:\b|_)(?:IA|GT|GFX|Cor|Cores?|Uncore|PP[01]|SoC)(?:\b|_|[ W]|Watt)"),
)
"""A processor's package, and the domains that it contains."""
QUANTITIES = words("quantity metric field parameter measurement variable signal unit type kind property")
"""Names of a column whose labels are quantities, not devices."""
UNIT_NAMES = words("unit units uom einheit einheiten unité unités unidad unità eenheid enhet 单位 単位")
"""Words that name a column of units."""
DROPOUT_ROWS, DROPOUT_MOST, DROPOUT_SHARE, MIN_DROPOUT_W = 3, 0.25, 0.05, 1.0
"""Zeros are dropouts up to this number in a row and this share of the readings, if no other reading is below this share of the
highest one, or this power."""
TOTAL_WITHIN = 0.01
"""Relative difference of a total from the sum of all other columns."""


def channels_of(table: Table, form: MeterFormat, options: Options) -> Channels:
    """The channels of a table.

    Args:
        table: The log.
        form: Its format.
        options: Choices of the user.

    Raises:
        MeterError: There is no time or no power, or something can be read in two ways.
    """
    _check_content(table)
    table = join_units(table)
    times = times_of(table, form, options)
    devices = devices_of(table, form, options, times.t_s, times.columns)
    if form.labelled and devices.label is not None:
        columns, notes = labelled_column(table, form, devices.label, options)
    else:
        taken = times.columns | ({devices.column} if devices.column is not None else set())
        columns, notes = power_columns(table, form, options, taken)
    if devices.spread:
        if coarse(times.t_s):
            raise MeterError(
                f"{table.source} contains several readings with each time stamp, and no seconds: their times are not known",
                "log the seconds too",
            )
        times.t_s = spread(times.t_s)
    if devices.stacked > 1 and len(columns) > 1:
        columns = [_one_column(columns, table, form, options)]
    by_name = _by_name(columns, times, devices, form)
    preferred, summed = _preferred(columns, by_name, devices, form)
    power = ", ".join(f"{column.name!r} ({column.unit})" for column in columns)
    undated = [(int(table.lines[i]), int(i), "no time that can be read") for i in np.flatnonzero(~np.isfinite(times.t_s))]
    return Channels(
        by_name,
        times.local,
        preferred,
        len(table.cells) + len(table.torn),
        sorted([*table.torn, *undated]),
        floating=times.floating,
        summed=summed,
        overlapping=not table.headed or _overlapping(list(by_name), devices),
        on_change=form.on_change or table.on_change,
        zone=times.zone,
        zone_note=times.notes[-1] if times.zone is not None else None,
        notes=[f"format {form.name}", f"power from {power}", *times.notes, *devices.notes, *notes, *table.notes],
    )


def _check_content(table: Table) -> None:
    """Refuse codecarbon's report, and a table without readings."""
    if "codecarbon_version" in table.names:
        raise MeterError(
            f"{table.source} is codecarbon's own report: a model, or the last sample of each task, not a meter's readings",
            "give a meter's log",
        )
    if not len(table.cells) and table.torn:
        line, _, why = table.torn[0]
        raise MeterError(
            f"{table.source}: none of the {len(table.torn)} rows below its header could be read, the first is line {line} ({why})",
            "a row needs as many cells as the header has names; a comma inside a number needs quotes",
        )
    if not len(table.cells):
        raise MeterError(f"{table.source} contains a header and no readings", "check that the meter's program logged readings")


def join_units(table: Table) -> Table:
    """The table with each unit of a column of units, as in `quantity,value,unit`, after the number in the column next to it."""
    cells = table.cells.copy()
    for index in range(len(table.names)):
        neighbours = (index - 1, index + 1) if _holds_units(table, index) else ()
        target = next((i for i in neighbours if i in cells and _are_numbers(cells[i])), None)
        if target is not None:
            cells[target] = (cells[target] + " " + cells[index]).where(cells[target] != "", "").str.strip()
    return replace(table, cells=cells)


def _holds_units(table: Table, index: int) -> bool:
    """Whether every cell is a unit, in a column of that name, or without a header: no single letters but W."""
    units = [unit for unit in table.cells[index].unique() if unit]
    if not units or not all(factor_of(unit) is not None or is_other(unit) for unit in units):
        return False
    if table.headed:
        return bool({part.lower() for part in re.findall(r"[^\W\d_]+", table.names[index])} & UNIT_NAMES)
    return all(len(unit) > 1 or factor_of(unit) is not None for unit in units)


def _are_numbers(column: pd.Series) -> bool:
    """Whether most cells are numbers, all of them without a unit."""
    cells = cells_of(column)
    return bool(cells.numeric.mean() > 0.5) and not (cells.unit != "").any()


def _by_name(columns: Sequence[PowerColumn], times: RowTimes, devices: Devices, form: MeterFormat) -> dict[str, Channel]:
    """Channels by column, and by device if there are several."""
    good = np.isfinite(times.t_s)
    channels = {}
    for column in columns:
        present = good & column.present
        if devices.stacked > 1:
            channels[SUM] = _stack(column, times.t_s, present, devices.stacked)
        elif devices.label is None:
            channels[column.name] = _channel(column, times.t_s, present)
        else:
            labels = devices.label.to_numpy()
            several = form.labelled or len(set(labels[good])) > 1
            word = f"{devices.word} " if devices.word else ""
            for label in dict.fromkeys(labels[present]):
                channel = _channel(column, times.t_s, present & (labels == label))
                name = str(label) if form.labelled else f"{column.name} of {word}{label}"
                if np.isfinite(channel.watts).any():
                    channels[name if several else column.name] = channel
    return channels


def _channel(column: PowerColumn, t_s: Floats, mask: np.ndarray) -> Channel:
    """The readings of a column in some rows."""
    row = np.flatnonzero(mask)
    dropped = _dropouts(column.watts[row])
    reasons = {i: why for i, why in column.discarded.items() if mask[i]} | dict.fromkeys(row[dropped].tolist(), "0 W between readings")
    return Channel(t_s[row], np.where(dropped, np.nan, column.watts[row]), row, Counter(reasons.values()))


def _dropouts(watts: Floats) -> np.ndarray:
    """Positions of a few zeros between readings far above zero, where the meter was not read, shape (n,)."""
    positive, zero = watts[watts > 0], np.asarray(watts == 0, dtype=bool)
    none = np.zeros(len(watts), dtype=bool)
    if not zero.any() or zero.sum() > DROPOUT_MOST * len(positive):
        return none
    low_w, high_w = np.quantile(positive, [0.01, 0.99])
    if low_w < max(DROPOUT_SHARE * high_w, MIN_DROPOUT_W):
        return none
    edges = np.flatnonzero(np.diff(np.concatenate([[False], zero, [False]]).astype(int)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start > DROPOUT_ROWS or start == 0 or stop == len(watts):
            zero[start:stop] = False
    return zero


def _stack(column: PowerColumn, t_s: Floats, mask: np.ndarray, count: int) -> Channel:
    """Sum of the rows with each time stamp; NaN where one is missing."""
    row = np.flatnonzero(mask)
    frame = pd.DataFrame({"t": t_s[row], "w": column.watts[row], "row": row})
    sums = frame.groupby("t", sort=False).agg(w=("w", lambda w: w.sum(skipna=False)), n=("w", "size"), row=("row", "first"))
    complete = sums["n"] == count
    discarded = Counter(why for i, why in column.discarded.items() if mask[i])
    discarded["a time stamp without all of its rows"] += int((~complete).sum())
    watts = sums["w"].where(complete).to_numpy(dtype=float)
    return Channel(sums.index.to_numpy(dtype=float), watts, sums["row"].to_numpy(), +discarded)


def _one_column(columns: Sequence[PowerColumn], table: Table, form: MeterFormat, options: Options) -> PowerColumn:
    """The column that is added over rows with equal time stamps; refuses several without a total."""
    total = _total(columns, form)
    if total is None:
        raise MeterError(
            f"{table.source} contains several columns of power, and several rows with each time stamp: {', '.join(repr(c.name) for c in columns)}",
            options.advice(("choose the column that is added", ("--power-column", columns[0].name))),
        )
    return next(column for column in columns if column.name == total)


def _total(columns: Sequence[PowerColumn], form: MeterFormat) -> str | None:
    """Name of the column that the format declares as the total, or that is the sum of all others."""
    names = [column.name for column in columns]
    total = next((name for pattern in form.preferred for name in names if re.fullmatch(pattern, name)), None)
    return _sum_of_others(columns) if total is None and len(names) > 2 else total


def _sum_of_others(columns: Sequence[PowerColumn]) -> str | None:
    """Name of the one column that is named as a total and is the sum of all others in every row."""
    watts = np.array([column.watts for column in columns])
    watts = watts[:, np.all(np.isfinite(watts), axis=0)]
    if watts.shape[1] < 4:
        return None
    everything = watts.sum(axis=0)
    totals = [
        column.name
        for column, each in zip(columns, watts, strict=True)
        if TOTAL.search(column.name)
        and np.mean(np.abs(everything - 2 * each) <= TOTAL_WITHIN * np.abs(each) + 0.05 * len(columns)) >= 0.99
        and np.median(each) > 0
    ]
    return totals[0] if len(totals) == 1 else None


def _preferred(
    columns: Sequence[PowerColumn], by_name: dict[str, Channel], devices: Devices, form: MeterFormat
) -> tuple[str | None, tuple[str, ...]]:
    """(channel to take if the user names none, channels that `sum` adds)."""
    total = _total(columns, form)
    if devices.label is None:
        return (next(iter(by_name)) if len(by_name) == 1 else total), ()
    of_total = tuple(name for name in by_name if total is None or name == total or name.startswith(f"{total} of "))
    return (of_total[0] if len(of_total) == 1 else None), of_total


def _overlapping(names: Sequence[str], devices: Devices) -> bool:
    """Whether a channel may contain others: a total its parts, a package its cores, rows of several quantities."""
    if devices.label is not None:
        return bool({part.lower() for part in re.findall(r"[A-Za-z]+", devices.word)} & QUANTITIES)
    totals = [name for name in names if CONTAINS.search(name)]
    numbered = any(re.search(r"\d", name) and re.sub(r"\d+", "", name) in names for name in names)  # CPU power, CPU1 power
    return numbered or 0 < len(totals) < len(names) or (any(map(PACKAGE.search, names)) and any(map(CORES.search, names)))
