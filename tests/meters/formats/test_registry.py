"""Formats are found in this package and in others."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.formats import registry
from harness.meters.formats.base import MeterFormat
from tests.meters.logs import (
    SAMPLE_WATTS,
    stamped,
    written_rows,
)


def test_every_declared_format_has_a_sample_and_a_line_in_the_documentation():
    """With its tool, how to log with it, and the source of the sample or `unverified`."""
    text = (Path(__file__).parents[3] / "docs" / "meters.md").read_text(encoding="utf-8")
    for name in registry.formats():
        assert (Path(__file__).parent / f"test_{name.replace('-', '_')}.py").is_file()
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        assert all(cell.strip() for cell in line.split(" | "))


def test_a_package_provides_a_format_by_an_entry_point(tmp_path, monkeypatch):
    """One `MeterFormat`; another object is an error if it is named, and does not affect other formats."""
    own = MeterFormat("my-pdu", "my PDU", lambda text: text.startswith("PDU"), power=(("load", "kW"),), time=("at",))
    point = EntryPoint("my-pdu", "tests.meters.formats.test_registry:own", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    monkeypatch.setattr(EntryPoint, "load", lambda self: own)
    registry._loaded.cache_clear()
    try:
        path = written_rows(tmp_path, "PDU 7\nat,load", stamped("{u},{w}"))
        assert read_log(path).sample.value.tolist() == pytest.approx([w * 1000 for w in SAMPLE_WATTS])
        monkeypatch.setattr(EntryPoint, "load", lambda self: 1)
        registry._loaded.cache_clear()
        with pytest.raises(MeterError, match="is not a MeterFormat"):
            read_log(path, "my-pdu")
        assert read_log(written_rows(tmp_path, "timestamp,power_w", stamped("{u},{w}"))).notes[0] == "format csv"
    finally:
        registry._loaded.cache_clear()
