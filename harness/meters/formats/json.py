"""JSON: one object per line, or one array of objects, with a time and a power that states its unit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from harness.errors import MeterError
from harness.meters.formats.base import MeterFormat
from harness.meters.table import Table, Torn


def json_lines(name: str, text: str, pick: Callable[[str, dict[str, Any]], dict[str, Any] | None]) -> Table:
    """Rows of the lines that hold a JSON object, or of one JSON array of objects.

    Args:
        name: Name of the file, for messages.
        text: Content of the file.
        pick: Returns the row as a flat mapping for the text before an object and the object; None for messages of other kinds.

    Raises:
        MeterError: There is no row.
    """
    rows: list[dict[str, str]] = []
    lines: list[int] = []
    torn: Torn = []
    for number, before, value in _objects(text):
        if value is None:
            torn.append((number, len(rows), "no whole JSON object"))
        elif row := pick(before, value):
            rows.append({key: _text(each) for key, each in row.items()})
            lines.append(number)
    if not rows:
        raise MeterError(f"{name} contains no reading of power", "see docs/meters.md for how to log with this tool")
    return Table.of_rows(name, rows, lines, torn)


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested object as one level, `a.b` for b within a; list items are numbered from 1."""
    items: dict[str, Any] = {}
    for key, each in value.items():
        path = f"{prefix}{key}"
        inner = {str(i): item for i, item in enumerate(each, 1)} if isinstance(each, list) else each
        items.update(flat(inner, f"{path}.") if isinstance(inner, dict) else {path: inner})
    return items


def _objects(text: str) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """(line number, text before it, object) of each JSON object; None for a torn one."""
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
    return "" if value is None else str(value)


FORMAT = MeterFormat(
    name="json",
    summary="JSON lines or an array of objects",
    recognise=lambda text: text.lstrip("\ufeff \t\r\n[").startswith("{"),
    table=lambda name, text, options: json_lines(name, text, lambda _, message: flat(message)),
    rank=1,
)
