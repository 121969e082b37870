"""Differences between machines as text."""

from __future__ import annotations

import ast
import inspect

from harness.decide import differences as module
from harness.decide.differences import Difference, differences
from harness.report.differences import MAX_LISTED, REASONS, difference_lines
from tests.decide.machines import machine


def lines(*listed: Difference) -> list[str]:
    return [line for line in difference_lines([machine(), machine("box-2")], listed) if line.startswith("  ")]


def test_every_reason_of_the_decision_has_a_text():
    """And every text belongs to a reason."""
    codes = {node.value for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Constant)}
    assert set(REASONS) <= codes
    assert {each.reason for each in differences([machine(), machine("box-2", environment={"governor": "powersave"})])} <= set(REASONS)


def test_what_prevents_a_comparison_has_a_heading_of_its_own():
    """Equal machines are comparable, and that is the last line."""
    setting = Difference("governor", ("performance", "powersave"), "clock_setting", prevents=True)
    text = "\n".join(difference_lines([machine(), machine("box-2")], [setting]))
    assert "not comparable because:\n  governor: performance | powersave (a clock setting" in text
    assert "differences that do not prevent" not in text and "comparable." not in text
    assert list(difference_lines([machine(), machine("box-2")], []))[-1] == "The runs are comparable."


def test_values_are_text_with_units():
    """Booleans are on and off, missing ones unknown, also in the reason."""
    assert lines(Difference("gpu ECC", (True, False), "ecc")) == ["  gpu ECC: on | off (a setting: it costs memory, bandwidth and power)"]
    assert lines(Difference("os", ("Linux", None), "machine")) == [
        "  os: Linux | unknown (a property of the machine; unknown in some runs)"
    ]
    assert lines(Difference("temperature", (41.2, None), "cooling", unit="°C"))[0].startswith("  temperature: 41 °C | unknown (cooling")


def test_many_missing_cases_are_counted():
    """Five are listed."""
    (line,) = lines(Difference("cases", tuple(f"case-{k}" for k in range(MAX_LISTED + 2)), "case_missing", detail="run-a"))
    assert line.count(";") == MAX_LISTED - 1 and line.endswith("case-4 and 2 more (not measured in run-a, so left out)")


def test_cases_with_the_same_difference_are_one_line():
    """With the first of them."""
    (line,) = lines(Difference("energy scope", ("package+dram", "package"), "common_scope", cases=("a", "..."), detail="package"))
    assert line == "  energy scope (a, ...): package+dram | package (compared over the widest common scope: package)"
