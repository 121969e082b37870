"""Text of the probe of a card."""

from __future__ import annotations

from harness.report.card_probe import probe_lines
from tests.probed import VirtualCard, probed


def test_a_part_time_counter_is_named_with_its_consequence():
    """Tables of readings, calls, levels and periodic loads."""
    text = "\n".join(probe_lines(probed(VirtualCard(seen_s=0.025), scale=0.2)))
    assert "the energy counter misses part of a periodic load" in text and "later runs shift the phase of the load" in text
    for part in ("energy counter", "instantaneous", "1000 ms", "20 ms", "Load levels", "60%", "after load"):
        assert part in text
    assert "Not available" not in text


def test_what_is_not_available_has_a_next_step():
    """Unknown figures are dashes, never 0."""
    text = "\n".join(
        probe_lines(probed(VirtualCard(), why="no engine here can load the card\ninstall PyTorch with `make torch`", scale=0.2))
    )
    assert "load: no engine here can load the card" in text and "-> install PyTorch with `make torch`" in text
    assert "unknown" in text and "Load levels" not in text
