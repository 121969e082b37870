"""Delimited text with a column of times and columns of power, nvidia-smi's too: the header tells names and units."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import MeterError
from harness.meters.clock import parse_times
from harness.meters.rows import Rows
from harness.schema import Floats

HEADER_LINES = 50
"""A header is looked for so far down; what stands above it is a preamble."""
TIMES = (("timestamp", "datetime", "unix", "epoch", "ts"), ("time", "utc", "t"), ("date",))
"""Words that name a column of times, the best first."""
POWERS = {"power", "watt", "watts", "w", "kw", "mw"}
NOT_POWERS = {"factor", "limit", "cap", "apparent", "reactive", "va", "var", "energy", "kwh", "wh", "state", "max", "min"}
NOT_TIMES = {"uptime", "elapsed", "duration", "delta"}
FACTORS = {"kw": 1e3, "mw": 1e-3}
CARDS = ("index", "uuid", "gpu_uuid", "pci.bus_id", "gpu_bus_id")
VALUE = re.compile(r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(kW|mW|W)?")


@dataclass(frozen=True)
class _Header:
    line: int
    delimiter: str
    names: list[str]


def read(name: str, text: str, *, nvidia_smi: bool = False) -> Rows:
    """Read delimited text.

    Args:
        name: Of the file, for messages.
        text: Its content.
        nvidia_smi: Whether only `nvidia-smi --query-gpu ... --format=csv` will do.

    Raises:
        MeterError: No column of times, or none of power; or it is no meter's log.
    """
    lines = text.splitlines()
    header = _header(lines)
    if header is None:
        raise MeterError(f"{name} has no header that names a time and a power", "give its columns names such as time and power_w")
    if any(each.strip() == "codecarbon_version" for each in header.names):
        raise MeterError(
            f"{name} is codecarbon's own report: a model, or the last sample of each task, not a meter's readings", "give a meter's log"
        )
    smi = any(each.strip().startswith("power.draw") for each in header.names)
    if nvidia_smi and not smi:
        raise MeterError(f"{name} has no power.draw column of nvidia-smi", "query it with power.draw, or leave --format out")
    numbered = list(_cells(lines, header))
    columns = [i for i, each in enumerate(header.names) if _is_power(each)]
    t_s, local, told = _times(numbered, header)
    watts = {i: _watts([cells[i] for _, cells in numbered], header.names[i], decimal_comma=header.delimiter != ",") for i in columns}
    bad = [number for (number, _), t in zip(numbered, t_s, strict=True) if not np.isfinite(t)]
    channels = _channels(numbered, header, t_s, watts, smi=smi)
    rows = Rows(channels, local, _preferred(list(channels)), len(numbered), len(bad), min(bad, default=None))
    rows.told += [f"power from {', '.join(repr(header.names[i].strip()) for i in columns)}", *told]
    rows.told += [
        f"{header.names[i].strip()!r} names no unit: taken as W" for i in columns if not _words(header.names[i]) & (POWERS - {"power"})
    ]
    return rows


def _header(lines: Sequence[str]) -> _Header | None:
    """The first line that names a time and a power; a line of nothing but a time and a number needs no names."""
    for number, line in enumerate(lines[:HEADER_LINES]):
        for delimiter in (",", ";", "\t"):
            names = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
            names = [each.lstrip("#").strip() for each in names]
            if _time_columns(names) and any(_is_power(each) for each in names):
                return _Header(number, delimiter, names)
    for delimiter in (",", ";", "\t"):
        first = next(csv.reader(lines[:1], delimiter=delimiter), [])
        if len(first) == 2 and VALUE.fullmatch(first[1].strip().replace(",", ".")) and first[0][:1].isdigit():
            return _Header(-1, delimiter, ["time", "watts"])
    return None


def _words(name: str) -> set[str]:
    return set(re.findall("[a-z]+", name.lower()))


def _is_power(name: str) -> bool:
    words = _words(name)
    return bool(words & POWERS) and not words & NOT_POWERS


def _time_columns(names: Sequence[str]) -> list[int]:
    """The column of times, best guess first; empty where there is none."""
    found = []
    for words in TIMES:
        found += [
            i for i, name in enumerate(names) if _words(name) & set(words) and not _words(name) & (NOT_TIMES | POWERS) and i not in found
        ]
    return found


def _cells(lines: Sequence[str], header: _Header) -> Iterator[tuple[int, list[str]]]:
    """(line number, as many cells as the header has) of each row; a header that comes again is left out.

    A row with more cells than names says nothing: where commas stand between cells and in numbers too, 10,5 W would be read as 10.
    """
    for number, line in enumerate(lines[header.line + 1 :], header.line + 2):
        if line.strip():
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=header.delimiter, skipinitialspace=True))]
            if [cell.lstrip("#").strip() for cell in cells] != header.names:
                said = [] if any(cells[len(header.names) :]) else cells
                yield number, (said + [""] * len(header.names))[: len(header.names)]


def _times(numbered: Sequence[tuple[int, list[str]]], header: _Header) -> tuple[Floats, bool, list[str]]:
    """(seconds, whether local, sentences)."""
    columns = _time_columns(header.names)
    if not numbered:
        return np.zeros(0), False, []
    day = next((i for i in columns if _words(header.names[i]) == {"date"}), None)
    clock = columns[0]
    texts = [cells[clock] for _, cells in numbered]
    if day is not None and day != clock and re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?", texts[0]):
        texts = [f"{cells[day]} {cells[clock]}" for _, cells in numbered]
    if header.delimiter != ",":
        texts = [re.sub(r"^(\d+),(\d+)$", r"\1.\2", text) for text in texts]
    t_s, kind, told = parse_times(texts)
    if kind == "local" and "utc" in _words(header.names[clock]):
        return t_s, False, [f"{header.names[clock]!r} is UTC by its name"]
    return t_s, kind == "local", [f"{header.names[clock]!r}: {told}"]


def _watts(texts: Sequence[str], name: str, *, decimal_comma: bool) -> Floats:
    """Power in W; what is blank or no number is missing, not 0."""
    factor = next((FACTORS[word] for word in FACTORS if word in _words(name)), 1.0)
    units = {"W": 1.0, "kW": 1e3, "mW": 1e-3}

    def number(text: str) -> float:
        plain = text.replace(".", "").replace(",", ".") if decimal_comma and "," in text else text.replace(",", "")
        match = VALUE.fullmatch(plain.strip())
        try:
            return float(match[1]) * (units[match[2]] if match[2] else factor) if match else float("nan")
        except ValueError:
            return float("nan")

    return np.array([number(text) for text in texts])


def _channels(
    numbered: Sequence[tuple[int, list[str]]], header: _Header, t_s: Floats, watts: dict[int, Floats], *, smi: bool
) -> dict[str, tuple[Floats, Floats]]:
    """By column; of nvidia-smi with several cards by column and card."""
    good = np.isfinite(t_s)
    names = {i: re.sub(r"\s*[\[(].*", "", header.names[i]).strip() for i in watts}
    by = next((header.names.index(each) for each in CARDS if each in header.names), None) if smi else None
    cards = np.array([cells[by] if by is not None else "" for _, cells in numbered])
    several = len(set(cards[good])) > 1
    return {
        f"{names[i]} of {header.names[by]} {card}" if several and by is not None else names[i]: (
            t_s[good & (cards == card)],
            power[good & (cards == card)],
        )
        for i, power in watts.items()
        for card in dict.fromkeys(cards[good])
    }


def _preferred(names: Sequence[str]) -> str | None:
    """The only one; else one named as the total, or nvidia-smi's explicit reading of now."""
    if len(names) == 1:
        return names[0]
    for words in ({"instant"}, {"total", "wall", "active"}):
        found = [name for name in names if _words(name) & words]
        if len(found) == 1:
            return found[0]
    return None
