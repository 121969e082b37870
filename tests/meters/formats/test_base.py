"""What a declaration of a format holds."""

from __future__ import annotations

from harness.meters.formats.base import HEAD_LINES, MeterFormat, head_matches


def test_a_format_is_recognised_by_one_of_the_first_lines():
    """Lines further down are not searched."""
    recognise = head_matches(r"^PDU \d+")
    assert recognise("a preamble\nPDU 7\n")
    assert not recognise("model: PDU 7\n")
    assert not recognise("\n" * HEAD_LINES + "PDU 7\n")


def test_a_minimal_format_is_a_table_with_delimiters():
    """Only name, summary and recognition are required."""
    form = MeterFormat("pdu", "my PDU", head_matches("PDU"))
    assert (form.read, form.time, form.power, form.device, form.rank) == (None, (), (), (), 0)
    assert form.offset(None) is None
