"""Table of the cached artifacts."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.report.cache import cached, size
from harness.schema import CacheEntry
from tests.factories import MODELLED, build_record


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (97_800, "97.8 kB"), (2_000_000_000_000, "2000 GB")])
def test_a_size_has_a_decimal_prefix(count, text):
    """Up to gigabytes."""
    assert size(count) == text


def test_an_artifact_is_a_row():
    """Size, time of use and energy of its build; an entry in use is marked."""
    entry = CacheEntry(record=build_record(joules=200.0, found=MODELLED), bytes=97_800, used_unix_s=0.0, in_use=True)
    console = Console(file=io.StringIO(), width=120)
    console.print(cached([entry]))
    text = console.file.getvalue()
    assert "97.8 kB" in text and "1970-01-01 00:00, in use" in text and "400 J, modelled" in text
