"""Shelly plugs and meters: messages of `NotifyStatus` or `Switch.GetStatus` as JSON lines, or CSV with a column `apower`."""

from __future__ import annotations

import re
from typing import Any

from harness.meters.formats.base import MeterFormat, head_matches
from harness.meters.formats.json import flat, json_lines
from harness.meters.options import Options
from harness.meters.table import Table, delimited
from harness.meters.timestamps import is_moment

TIMES = ("params.ts", "ts", "timestamp", "time", "unixtime", "sys.unixtime", "result.sys.unixtime")
"""Keys of a message's time, the best first."""
POWER = r"(?:.*\.)?(?:apower|[abc]_act_power|act_power|total_act_power)"


def table(name: str, text: str, options: Options) -> Table:
    """Rows of its JSON messages, or of CSV."""
    if not re.search(r"^\W*[^,;]*\{", text.lstrip("\ufeff \r\n"), re.MULTILINE):
        return delimited(name, text, options)
    log = json_lines(name, text, _row)
    log.on_change = '"NotifyStatus"' in text
    return log


def _row(before: str, message: dict[str, Any]) -> dict[str, Any] | None:
    """Time, source and powers of a message; None if it contains no power."""
    values = flat(message)
    power = {key.removeprefix("params.").removeprefix("result."): value for key, value in values.items() if re.fullmatch(POWER, key)}
    if not power:
        return None
    time = next((values[key] for key in TIMES if key in values), None)
    topic = next((word for word in before.split() if "/" in word and not is_moment(word)), "")
    return {"time": _time_before(before) if time is None else time, "src": values.get("src") or topic, **power}


def _time_before(before: str) -> str:
    """The time in front of a message, as `mosquitto_sub -F '%I %t %p'` writes it."""
    words = before.split()
    return next((text for n in (2, 1) for text in [" ".join(words[:n])] if is_moment(text)), words[0] if words else "")


FORMAT = MeterFormat(
    name="shelly",
    summary="Shelly Gen2 status messages or CSV with apower",
    recognise=head_matches(r'"apower"|"(?:a_|total_)?act_power"|(?:^|[,;\t ])\W*apower\b'),
    table=table,
    device=("src",),
    power=((POWER, "W"),),
    preferred=(r"(?:.*\.)?total_act_power",),
)
