"""Numbers as people read them, and strangers' text made safe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import text
from harness.text import NONE, Scale, counted, number, with_interval


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (21.345, 20.9, 21.79, "21.34 ± 0.45"),
        (350.2, 335.0, 365.0, "350 ± 15"),
        (0.5530, 0.5461, 0.5599, "0.5530 ± 0.0069"),
        (6962.0, 6889.0, 7035.0, "6962 ± 73"),
        (362382.0, 353861.0, 370903.0, "362400 ± 8500"),
        (12.3456, None, None, "12.3"),
        (2.0, 2.0, 2.0, "2.000 ± 0"),
        (1.6, 0.57, 4.5, "1.60 [0.57 4.5]"),
        (None, None, None, NONE),
    ],
)
def test_the_interval_decides_where_a_number_ends(value, low, high, shown):
    """Two digits of the half-width; null is a dash, never 0."""
    assert with_interval(value, low, high) == shown


def test_a_column_has_one_unit():
    """The prefix suits the typical value, so that numbers in a column can be compared by eye; nulls do not count."""
    scale = Scale([25e-6, 350e-6, None], "s")
    assert scale.unit == "µs"
    assert [scale.text(v) for v in (25e-6, 350e-6, None)] == ["25.0", "350", NONE]
    assert Scale([], "J").unit == "J"


@given(st.floats(1e-9, 1e9))
def test_a_number_keeps_its_digits(value):
    """Three significant digits are within half a percent of the value."""
    assert float(number(value)) == pytest.approx(value, rel=0.0051)


@given(st.text())
def test_no_control_character_is_left(value):
    """A terminal obeys escape sequences, bidirectional marks turn a line round, XML has no place for some."""
    import unicodedata

    for escape in (text.plain, text.markdown, text.latex, text.csv):
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in escape(value))
        escape(value).encode()


def test_markdown_is_text_in_its_cell():
    """Neither a new cell, nor HTML, nor code, nor a link, nor a quotation; an arrow stays readable."""
    assert text.markdown("a|b <i> `c` [x](y)\n# z") == r"a\|b &lt;i> \`c\` \[x\](y) \# z"
    assert (text.markdown(" > 1.22 -> 1.23"), text.markdown("-> 1.23")) == (" &gt; 1.22 -> 1.23", "-> 1.23")


def test_latex_is_text():
    """All ten special characters."""
    assert text.latex(r"\ & % $ # _ { } ~ ^") == (r"\textbackslash{} \& \% \$ \# \_ \{ \} \textasciitilde{} \textasciicircum{}")


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", " =1", "\n@x", "\u200b=1"])
def test_csv_is_no_formula(formula):
    """What a spreadsheet would compute is shown instead."""
    assert text.csv(formula).startswith("'")
    assert text.csv("prune(final_sparsity=0.9)+int8") == "prune(final_sparsity=0.9)+int8"


def test_a_noun_follows_its_number():
    """Only one is singular."""
    assert [counted(count, "case") for count in (0, 1, 2000)] == ["0 cases", "1 case", "2,000 cases"]
