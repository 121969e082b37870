"""Which device each row of a log belongs to: by a column that names it, or by equal time stamps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.cells import cells_of
from harness.meters.formats.base import MeterFormat
from harness.meters.options import SUM, Options
from harness.meters.table import Table
from harness.meters.units import lower_words, parse_name, words
from harness.schema import Floats

WORDS = words(
    "gpu card device devices dev index idx id uuid bus serial entity sensor socket outlet plug node host hostname server machine meter channel ch port line "
    "phase rail domain topic room location label name mac address package chip module slot circuit"
)
"""Words that name a column of device labels."""
PARTS_OF_TIMES = words(
    "usec us nsec ns microseconds millisecond milliseconds millis msec ms second seconds sec minute minutes hour subsecond fraction"
)
"""Words that name a part of the time."""
MAX_DEVICES = 256
SHARED = 0.3
"""From this share of rows with equal time stamps on, they are several devices or coarse stamps."""
REGULAR = 0.9
"""Share of rows that must follow a pattern."""
COARSE_S = 10.0
"""Readings with equal stamps that are further apart have no known time."""
MIXED = 0.1
"""Share of rows with a new label if rows of devices are mixed."""
MEASURED = r"[+-]?[\d.,' ]*\d[\d.,]*(?:[eE][+-]?\d+)?\s*[^\d\s:-]{0,4}"
"""A cell with a number, perhaps with a unit."""
TOGETHER = 0.05
"""Rows closer than this share of the time between two rounds were read together."""
MAX_ROUNDS = 16
"""Devices that may take turns in one column."""
MIN_TURNS = 100
"""Rows that show turns: a slow meter may see a high and a low power in turn for fewer."""
MIN_ROUNDS = 12
"""Rows that show a rhythm."""


@dataclass
class Devices:
    """How the rows of a log belong to devices.

    Attributes:
        label: Label of each row, shape (n,); None if there is one device.
        column: Index of the column of labels; None if there is none.
        word: Name of that column.
        stacked: Rows per time stamp if no column distinguishes them: only their sum is known.
        spread: Whether rows with equal stamps are successive readings of one device.
        notes: What was recognised, as sentences.
    """

    label: pd.Series | None = None
    column: int | None = None
    word: str = ""
    stacked: int = 1
    spread: bool = False
    notes: list[str] = field(default_factory=list)


def devices_of(table: Table, form: MeterFormat, options: Options, t_s: Floats, taken: set[int]) -> Devices:
    """Assign the rows of a log to devices.

    Args:
        table: The log.
        form: Its format.
        options: Choices of the user.
        t_s: Times of the rows, shape (n,).
        taken: Columns of times and power.

    Raises:
        MeterError: Time stamps are equal, and nothing shows whether the rows are devices.
    """
    if options.one_device or (form.one_device and options.device_column is None):
        return Devices(spread=True)
    good = np.isfinite(t_s)
    column = _label_column(table, form, options, t_s, taken)
    if column is not None:
        label = table.cells[column]
        count = label[good].nunique()
        if count > 1 or form.labelled:
            return Devices(label, column, table.names[column], notes=[f"{count} devices by {table.names[column]!r}"] if count > 1 else [])
    stacked = _stacked(t_s[good])
    if stacked == 1:
        return Devices()
    if options.channel == SUM:
        return Devices(stacked=stacked, notes=[f"{stacked} rows with one time stamp are taken as {stacked} devices"])
    copies = int(table.cells.duplicated().sum()) >= REGULAR * len(table.cells) * (stacked - 1) / stacked
    choices: list[tuple[str, tuple[str, ...]]] = [] if copies else [(f"if they are {stacked} devices", ("--channel", SUM))]
    if not coarse(t_s):
        choices.append(("if one device is read faster than its stamps show", ("--one-device",)))
    raise MeterError(
        f"{table.source} contains {stacked} rows with each time stamp{', copies of each other,' if copies else ''} and no column distinguishes them",
        options.advice(
            *choices,
            after=f"{'if the log was written twice, remove the copies; ' if copies else ''}"
            f"if a column names the device, give it with --device-column; columns found: {table.listed()}",
        ),
    )


def _label_column(table: Table, form: MeterFormat, options: Options, t_s: Floats, taken: set[int]) -> int | None:
    """The column of labels that the user names, the format declares, or the labels show; None if there is none."""
    if options.device_column is not None:
        return table.asked(options.device_column)
    good = np.isfinite(t_s)
    if form.device:
        declared = table.matching(form.device)
        return next((i for i in declared if table.cells[i][good].nunique() > 1), declared[0] if declared else None)
    others = sorted((i for i in range(len(table.names)) if i not in taken), key=lambda i: not lower_words(table.names[i]) & WORDS)
    return next((i for i in others if _are_labels(table.names[i], table.cells[i][good], t_s[good])), None)


def _are_labels(name: str, label: pd.Series, t_s: Floats) -> bool:
    """Whether the labels of a column come in rounds, differ at equal time stamps, or explain why the times go back."""
    own, column, count = lower_words(name), parse_name(name), label.nunique()
    if column.may_be_power or column.other or column.setting or own & PARTS_OF_TIMES:
        return False
    if not 2 <= count <= min(MAX_DEVICES, len(label) // 2) or cells_of(label).in_watts:
        return False
    textual = not label[label != ""].str.fullmatch(MEASURED).any()
    if not textual and not label.str.fullmatch(r"\d{1,6}").all():
        return False  # numbers with decimals or units are measured values
    if _differ_at_once(label, t_s, count) or ((textual or _are_indices(label)) and _in_rounds(label, count)):
        return True
    mixed = textual and label.value_counts().min() > 0.02 * len(label) and _change_rate(label) >= MIXED
    return bool(own & WORDS) and bool(mixed or _explain_order(label, t_s))


def _differ_at_once(label: pd.Series, t_s: Floats, count: int) -> bool:
    """Whether rows with an equal time stamp have different labels, about `count` of them."""
    sizes = pd.DataFrame({"t": t_s, "label": label.to_numpy()}).groupby("t")["label"].agg(["size", "nunique"])
    return float(sizes["size"].mean()) > 0.7 * count and bool((sizes["size"] == sizes["nunique"]).mean() >= REGULAR)


def _change_rate(label: pd.Series) -> float:
    """Share of rows whose label differs from that of the row above: a load or a phase of work lasts for many rows."""
    codes = pd.factorize(label)[0]
    return float(np.mean(codes[1:] != codes[:-1]))


def _are_indices(label: pd.Series) -> bool:
    """Whether labels are whole numbers without a gap, as indices are and utilizations are not."""
    values = sorted(int(each) for each in label.unique() if each.isdecimal())
    return bool(values) and values == list(range(values[0], values[0] + len(values)))


def _in_rounds(label: pd.Series, count: int) -> bool:
    """Whether the labels repeat every `count` rows, each once."""
    codes = pd.factorize(label)[0]
    if len(codes) < 2 * count or _change_rate(label) < REGULAR or np.mean(codes[count:] == codes[:-count]) < REGULAR:
        return False
    return bool(pd.Series(codes).value_counts(normalize=True).min() > 0.5 / count)


def _explain_order(label: pd.Series, t_s: Floats) -> bool:
    """Whether the times go back in the file but not within a label."""
    if np.all(np.diff(t_s) >= 0):
        return False
    return all(np.all(np.diff(t_s[(label == each).to_numpy()]) >= 0) for each in label.unique())


def _stacked(t_s: Floats) -> int:
    """Rows per time stamp; 1 if equal stamps are the exception."""
    counts = np.unique(t_s, return_counts=True)[1]
    if len(t_s) < 2 or float(np.mean(counts > 1)) < SHARED:
        return 1
    return int(np.median(counts)) if np.median(counts) > 1 else int(np.max(counts))


def coarse(t_s: Floats) -> bool:
    """Whether several readings share stamps that are far apart, such as whole minutes, so that their times are not known."""
    stamps, counts = np.unique(t_s[np.isfinite(t_s)], return_counts=True)
    return len(stamps) > 1 and float(np.median(counts)) > 1 and float(np.median(np.diff(stamps))) > COARSE_S


def spread(t_s: Floats) -> Floats:
    """Times of successive readings with equal stamps, shape (n,), evenly between their stamp and the next one; NaN stays."""
    good = np.isfinite(t_s)
    if not good.all():
        times = t_s.copy()
        times[good] = spread(t_s[good])
        return times
    starts = np.flatnonzero(np.diff(t_s, prepend=np.nan) != 0)
    counts = np.diff(np.append(starts, len(t_s)))
    if not np.any(counts > 1):
        return t_s
    steps = np.diff(t_s[starts])
    ahead = np.append(steps, np.median(np.abs(steps)) if len(steps) else 1.0)
    ahead = np.where(ahead > 0, np.minimum(ahead, np.median(np.abs(ahead))), 0.0)
    within = np.arange(len(t_s)) - np.repeat(starts, counts)
    return t_s + np.repeat(ahead / counts, counts) * within


def check_one_device(t_s: Floats, watts: Floats, source: str, options: Options) -> None:
    """Refuse a channel that several devices share, such as nvidia-smi's of two cards without their index.

    Args:
        t_s: Times of the readings in the order of the log, shape (n,).
        watts: Power in W, shape (n,).
        source: Name of the file, for messages.
        options: Choices of the user.
    """
    if len(t_s) < MIN_ROUNDS:
        return
    gaps_s, steps_w = np.diff(t_s), np.abs(np.diff(watts))
    together = (gaps_s <= TOGETHER * np.quantile(gaps_s, 0.95)) & np.isfinite(steps_w)
    if np.mean(together) > 0.3 and np.mean(steps_w[together] > 0) > 0.2:
        why = "several readings at nearly the same time that differ"
    elif rounds := _rounds(watts):
        why = f"values that come in rounds of {rounds}"
    else:
        return
    raise MeterError(
        f"{source} contains {why}: one column of several devices",
        options.advice(
            ("if it is one device", ("--one-device",)),
            after="if a column distinguishes them, give it with --device-column; else log with one (nvidia-smi: uuid or index)",
        ),
    )


def _rounds(watts: Floats) -> int:
    """Rows after which the values repeat although neighbours differ; 0 if they do not."""
    good = watts[np.isfinite(watts)]
    if len(good) < MIN_TURNS:
        return 0
    level, near = float(np.median(np.abs(good))), float(np.median(np.abs(np.diff(good))))
    if near <= 0.05 * level:
        return 0
    repeats = (count for count in range(2, MAX_ROUNDS + 1) if float(np.median(np.abs(good[count:] - good[:-count]))) < 0.1 * near)
    return next(repeats, 0)
