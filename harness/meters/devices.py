"""Rows of several devices in one column -> one channel a device: by a column that distinguishes them, or by equal time stamps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.columns import listed
from harness.meters.formats.base import MeterFormat
from harness.meters.names import understood, words
from harness.meters.numbers import cells_of, has_unit
from harness.meters.options import SUM, Options
from harness.meters.table import Table
from harness.schema import Floats

WORDS = words(
    "gpu card device devices dev index idx id uuid bus serial entity sensor socket outlet plug node host hostname server machine meter channel ch port line "
    "phase rail domain topic room location label name mac address package chip module slot circuit"
)
"""Words that name a column of device labels."""
PARTS_OF_TIMES = words(
    "usec us nsec ns microseconds millisecond milliseconds millis msec ms second seconds sec minute minutes hour subsecond fraction"
)
"""Words of a column that belongs to the time."""
MOST_DEVICES = 256
SHARED = 0.3
"""Share of rows with an equal time stamp from which a column is that of several devices, or of stamps that are too coarse."""
REGULAR = 0.9
COARSE_S = 10.0
"""Equal stamps that are further apart do not tell when their rows were read."""
MIXED = 0.1
"""Share of rows that bring another label where rows of devices are mixed."""
MEASURED = r"[+-]?[\d.,' ]*\d[\d.,]*(?:[eE][+-]?\d+)?\s*[^\d\s:-]{0,4}"
"""A cell with a number, perhaps with a unit."""


@dataclass
class Devices:
    """How the rows of a log belong to devices.

    Attributes:
        label: Label of each row, shape (n,); empty if there is one device.
        column: Index of the column of labels; None if there is none.
        word: Name of that column.
        stacked: Rows a time stamp, where no column distinguishes them: only their sum is known.
        spread: Whether rows with equal stamps are successive readings of one device.
        notes: What was found.
    """

    label: pd.Series | None = None
    column: int | None = None
    word: str = ""
    stacked: int = 1
    spread: bool = False
    notes: list[str] = field(default_factory=list)


def devices_of(table: Table, form: MeterFormat, options: Options, t_s: Floats, taken: set[int], source: str) -> Devices:
    """Assign the rows of a log to devices.

    Args:
        table: The log.
        form: Its format.
        options: The user's choices.
        t_s: Times of the rows, shape (n,).
        taken: Columns of time and power.
        source: Name of the file, for messages.

    Raises:
        MeterError: Equal time stamps, and nothing shows whether they are devices.
    """
    if options.one_device or (form.one_device and options.device_column is None):
        return Devices(spread=True)
    good = np.isfinite(t_s)
    column = _asked(table, options, source)
    if column is None:
        column = _declared(table, form, good)
    if column is None and not form.device:
        column = _named(table, t_s, good, taken)
    if column is not None:
        label = table.cells[column]
        count = label[good].nunique()
        if count > 1 or form.labelled:
            return Devices(label, column, table.names[column], notes=[f"{count} devices by {table.names[column]!r}"] if count > 1 else [])
    stacked = _stacked(t_s[good])
    if stacked == 1:
        return Devices()
    if options.channel == SUM:
        return Devices(stacked=stacked, notes=[f"{stacked} rows with one time stamp are {stacked} devices, as asked"])
    copies = int(table.cells.duplicated().sum()) >= REGULAR * len(table.cells) * (stacked - 1) / stacked
    choices: list[tuple[str, tuple[str, ...]]] = [] if copies else [(f"if they are {stacked} devices", ("--channel", SUM))]
    if not coarse(t_s):
        choices.append(("if one device is read faster than its stamps show", ("--one-device",)))
    raise MeterError(
        f"{source} holds {stacked} rows with each time stamp{', copies of each other,' if copies else ''} and no column distinguishes them",
        options.advice(
            *choices,
            after=f"{'if the log was written twice: take the copies out; ' if copies else ''}"
            f"if a column names the device, give it with --device-column; columns found: {listed(table)}",
        ),
    )


def coarse(t_s: Floats) -> bool:
    """Whether several readings share stamps that are far apart, such as whole minutes: their moments are not known.

    Args:
        t_s: Times of the rows, shape (n,).
    """
    stamps, counts = np.unique(t_s[np.isfinite(t_s)], return_counts=True)
    return len(stamps) > 1 and float(np.median(counts)) > 1 and float(np.median(np.diff(stamps))) > COARSE_S


def _asked(table: Table, options: Options, source: str) -> int | None:
    if options.device_column is None:
        return None
    column = table.column(options.device_column)
    if column is None:
        raise MeterError(f"{source} has no column {options.device_column!r}", f"its columns are {listed(table)}")
    return column


def _declared(table: Table, form: MeterFormat, good: np.ndarray) -> int | None:
    """The first declared column that holds more than one label, or the first at all."""
    found = [i for pattern in form.device for i, name in enumerate(table.names) if re.fullmatch(pattern, name)]
    return next((i for i in found if table.cells[i][good].nunique() > 1), found[0] if found else None)


def _named(table: Table, t_s: Floats, good: np.ndarray, taken: set[int]) -> int | None:
    """A column whose labels come in rounds, belong to equal time stamps, or whose times run on by label alone."""
    order = sorted((i for i in range(len(table.names)) if i not in taken), key=lambda i: not _words(table.names[i]) & WORDS)
    for index in order:
        name, label = understood(table.names[index]), table.cells[index][good]
        named = bool(_words(table.names[index]) & WORDS)
        count = label.nunique()
        if (
            name.usable
            or name.other
            or name.setting
            or _words(table.names[index]) & PARTS_OF_TIMES
            or not 2 <= count <= min(MOST_DEVICES, len(label) // 2)
        ):
            continue
        if has_unit(cells_of(label)):
            continue  # powers, with their unit in each cell
        textual = not label[label != ""].str.fullmatch(MEASURED).any()
        if not textual and not label.str.fullmatch(r"\d{1,6}").all():
            continue  # numbers with decimals or units are measured, and name nothing
        if _apart(label, t_s[good], count) or ((textual or _are_indices(label)) and _in_rounds(label, count)):
            return index
        mixed = textual and label.value_counts().min() > 0.02 * len(label) and _changes(label) >= MIXED
        if named and (mixed or _by_label(label, t_s[good])):
            return index
    return None


def _words(name: str) -> set[str]:
    return {part.lower() for part in re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))}


def _apart(label: pd.Series, t_s: Floats, count: int) -> bool:
    """Whether rows with an equal time stamp have different labels, about `count` of them."""
    pairs = pd.DataFrame({"t": t_s, "label": label.to_numpy()})
    sizes = pairs.groupby("t")["label"].agg(["size", "nunique"])
    return float(sizes["size"].mean()) > 0.7 * count and bool((sizes["size"] == sizes["nunique"]).mean() >= REGULAR)


def _changes(label: pd.Series) -> float:
    """Share of rows whose label differs from that of the row above: a load, or a phase of work, stays for many rows."""
    codes = pd.factorize(label)[0]
    return float(np.mean(codes[1:] != codes[:-1]))


def _are_indices(label: pd.Series) -> bool:
    """Whether labels are whole numbers without a gap, as indices are and utilizations are not."""
    values = sorted(int(each) for each in label.unique() if each.isdecimal())
    return bool(values) and values == list(range(values[0], values[0] + len(values)))


def _in_rounds(label: pd.Series, count: int) -> bool:
    """Whether the labels repeat every `count` rows, each once."""
    codes = pd.factorize(label)[0]
    if len(codes) < 2 * count:
        return False
    changes = float(np.mean(codes[1:] != codes[:-1]))  # a load that comes and goes stays the same for many rows
    return (
        min(changes, float(np.mean(codes[count:] == codes[:-count]))) >= REGULAR
        and pd.Series(codes).value_counts(normalize=True).min() > 0.5 / count
    )


def _by_label(label: pd.Series, t_s: Floats) -> bool:
    """Whether the times go back in the file but not within a label."""
    if np.all(np.diff(t_s) >= 0):
        return False
    return all(np.all(np.diff(t_s[(label == each).to_numpy()]) >= 0) for each in label.unique())


def _stacked(t_s: Floats) -> int:
    """Rows a time stamp; 1 where equal stamps are the exception."""
    if len(t_s) < 2:
        return 1
    _, counts = np.unique(t_s, return_counts=True)
    if float(np.mean(counts > 1)) < SHARED:
        return 1
    return int(np.median(counts)) if np.median(counts) > 1 else int(np.max(counts))


def spread(t_s: Floats) -> Floats:
    """Successive readings with equal stamps, evenly between their stamp and the next one.

    Args:
        t_s: Stamps in the order of the file, shape (n,).
    """
    starts = np.flatnonzero(np.diff(t_s, prepend=np.nan) != 0)
    counts = np.diff(np.append(starts, len(t_s)))
    if not np.any(counts > 1):
        return t_s
    stamps = t_s[starts]
    ahead = np.append(np.diff(stamps), np.median(np.abs(np.diff(stamps))) if len(stamps) > 1 else 1.0)
    ahead = np.where(ahead > 0, np.minimum(ahead, np.median(np.abs(ahead))), 0.0)
    within = np.arange(len(t_s)) - np.repeat(starts, counts)
    return t_s + np.repeat(ahead / counts, counts) * within
