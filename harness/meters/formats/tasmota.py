"""Tasmota plugs: console or MQTT lines `.../SENSOR = {"Time":...,"ENERGY":{...,"Power":...}}`, local time without a zone."""

from __future__ import annotations

import re
from typing import Any

from harness.meters.formats.base import MeterFormat, head_matches
from harness.meters.formats.json import flat, json_lines

TOPIC = re.compile(r"(?:tele|stat)/(\S+)/\w+|(?<!\S)(\S+)/(?:tele|stat)/\w+")
"""The plug's own part of a topic."""


def _row(before: str, message: dict[str, Any]) -> dict[str, Any] | None:
    """Time, topic and powers of a SENSOR message; None for other messages."""
    inner = message.get("StatusSNS", message)
    energy = inner.get("ENERGY") if isinstance(inner, dict) else None
    if not isinstance(energy, dict) or "Power" not in energy:
        return None
    topic = TOPIC.search(before)
    return {"Time": inner.get("Time"), "topic": (topic[1] or topic[2]) if topic else "", **flat({"Power": energy["Power"]})}


FORMAT = MeterFormat(
    name="tasmota",
    summary="Tasmota console or MQTT log",
    recognise=head_matches(r'"ENERGY"\s*:\s*\{'),
    table=lambda name, text, options: json_lines(name, text, _row),
    time=("Time",),
    device=("topic",),
    power=((r"Power(?:\.\d+)?", "W"),),
    how="`TelePeriod 10`, then `mosquitto_sub -v -t 'tele/+/SENSOR' > log.txt`; with `Time` local: `--timezone`",
    source="github.com/arendst/Tasmota, issue 2785",
)
