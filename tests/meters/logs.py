"""Logs made for the tests: twenty readings, one per second from noon, and what must be read from them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.errors import MeterError
from harness.meters import read_log

DATA = Path(os.environ.get("HARNESS_DATA") or Path(__file__).parents[3] / "shared" / "data")
here = pytest.mark.skipif(not DATA.is_dir(), reason="published measurements are not here: HARNESS_DATA names their folder")
NOON_S = 1_750_075_200
"""2025-06-16 12:00 UTC."""
WATTS = [100.25, 1180.5] * 10
LOCAL = {"utc_offset_s": 0}
COMMAND = "harness import-meter r log.csv"
SAMPLE_WATTS = (100.25, 100.5, 180.0, 181.5)


def written(folder: Path, text: str, name: str = "log.csv", encoding: str = "utf-8") -> Path:
    """A file with this text."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def written_rows(folder: Path, header: str | None, rows: Sequence[str]) -> Path:
    """A file with a header, if any, and rows."""
    return written(folder, "\n".join([*([header] if header else []), *rows]) + "\n", "log.txt")


def table(header: str | None, row: Callable[[int, float], str], *, watts: Sequence[float] = WATTS) -> str:
    """One reading per second; `row` gives a line for its Unix time and power."""
    return "\n".join([*([header] if header else []), *(row(NOON_S + k, w) for k, w in enumerate(watts))]) + "\n"


def stamped(row: str, form: str = "%Y-%m-%d %H:%M:%S", offset_s: int = 0) -> list[str]:
    """Four readings from a template with the time as text `t` and Unix time `u`, the power in W `w` and in mW `m`."""
    return [row.format(t=iso(NOON_S + offset_s + k, form), u=NOON_S + k, w=w, m=round(w * 1000)) for k, w in enumerate(SAMPLE_WATTS)]


def iso(t: float, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A Unix time as text in UTC."""
    return datetime.fromtimestamp(t, UTC).strftime(form)


def comma(w: float, digits: int = 2) -> str:
    """A number with a decimal comma."""
    return f"{w:.{digits}f}".replace(".", ",")


def grouped(w: float, group: str, decimal: str) -> str:
    """A number with these marks for thousands and decimals."""
    return f"{w:,.2f}".replace(",", "G").replace(".", decimal).replace("G", group)


def lakh(milliwatts: float) -> str:
    """1,80,500 for 180500."""
    head, tail = divmod(round(milliwatts), 1000)
    return ",".join([*re.findall(r"^\d(?=(?:\d\d)*$)|\d\d", str(head)), f"{tail:03d}"])


def check_read(
    folder: Path, text: str, choices: dict[str, Any], factor: float = 1.0, watts: Sequence[float] = WATTS, lost: int = 0
) -> None:
    """Each reading must be read at its time, with so many rows and values lost."""
    log = read_log(written(folder, text), **choices)
    assert log.sample.value.tolist() == pytest.approx([w * factor for w in watts], rel=1e-3)
    assert log.sample.t_s[[0, -1]].tolist() == [NOON_S, NOON_S + 19]
    assert not log.local
    assert sum(log.discarded.values()) == lost


def check_refused(folder: Path, text: str, choices: dict[str, Any], step: str) -> None:
    """The log must be refused with this next step in the message."""
    with pytest.raises(MeterError) as caught:
        read_log(written(folder, text), command=COMMAND, **choices)
    assert step in str(caught.value)


def check_format(folder: Path, name: str, header: str | None, rows: Sequence[str], choices: dict[str, Any]) -> None:
    """Four readings made by `stamped` must be read, by the format's name and without it."""
    path = written_rows(folder, header, rows)
    for form in ("auto", name):
        log = read_log(path, form, **choices)
        assert f"format {name}" in log.notes
        at = [float(log.sample.value[log.sample.t_s >= NOON_S + k][0]) for k in range(len(SAMPLE_WATTS))]
        assert at == pytest.approx(list(SAMPLE_WATTS))
        assert not log.local
        assert log.sample.t_s[0] == pytest.approx(NOON_S, abs=0.01)
