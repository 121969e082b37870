"""A log of JSON objects, one a line or all in one array -> a table of cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import MeterError
from harness.meters.table import Table


def json_lines(name: str, text: str, pick: Callable[[str, dict[str, Any]], dict[str, Any] | None]) -> Table:
    """Rows out of lines that hold a JSON object, or of one JSON array of objects.

    Args:
        name: Name of the file, for messages.
        text: Its content.
        pick: Of the text before an object and the object: the row as a flat mapping; None where it is another message.

    Raises:
        MeterError: No row at all.
    """
    rows: list[dict[str, str]] = []
    numbers: list[int] = []
    torn: list[tuple[int, int, str]] = []
    for number, before, value in _objects(text):
        if value is None:
            torn.append((number, len(rows), "no whole JSON object"))
            continue
        row = pick(before, value)
        if row:
            rows.append({key: _text(each) for key, each in row.items()})
            numbers.append(number)
    if not rows:
        raise MeterError(f"{name} holds no reading of power", "see docs/meters.md for how to log with this tool")
    names = list(dict.fromkeys(key for row in rows for key in row))
    cells = pd.DataFrame({i: [row.get(key, "") for row in rows] for i, key in enumerate(names)}, dtype=str)
    return Table(names, cells, np.array(numbers, dtype=int), torn, "")


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested object as one level, `a.b` for b within a; the entries of a list are numbered from 1."""
    found: dict[str, Any] = {}
    for key, each in value.items():
        path = f"{prefix}{key}"
        inner = {str(i): item for i, item in enumerate(each, 1)} if isinstance(each, list) else each
        found.update(flat(inner, f"{path}.") if isinstance(inner, dict) else {path: inner})
    return found


def _objects(text: str) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """(line number, text before it, object) of each JSON object; None for one that is torn."""
    if text.lstrip().startswith("["):
        try:
            for value in json.loads(text):
                yield 1, "", value if isinstance(value, dict) else None
            return
        except ValueError:
            pass
    for number, line in enumerate(text.splitlines(), 1):
        before, brace, rest = line.partition("{")
        if not brace:
            continue
        try:
            value, _ = json.JSONDecoder().raw_decode(brace + rest)
        except ValueError:
            value = None
        yield number, before.strip(), value


def _text(value: object) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
