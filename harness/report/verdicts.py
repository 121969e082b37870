"""Verdicts of the gate -> what a continuous integration reads: JUnit XML, a Markdown summary, lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from xml.etree import ElementTree

from harness.text import markdown, plain


class VerdictRow(Protocol):
    """What is told of one case and one metric: see `decide.gate.Verdict`."""

    @property
    def case_id(self) -> str:
        """The case."""

    @property
    def metric(self) -> str:
        """What was judged."""

    @property
    def outcome(self) -> str:
        """pass, fail or told."""

    @property
    def sentence(self) -> str:
        """What was found."""


def junit(verdicts: Sequence[VerdictRow], caveats: Sequence[str], name: str) -> str:
    """JUnit's XML: a test a row and metric; what could only be told is skipped, with its reason."""
    suite = ElementTree.Element(
        "testsuite",
        name=plain(name),
        tests=str(len(verdicts)),
        failures=str(sum(v.outcome == "fail" for v in verdicts)),
        skipped=str(sum(v.outcome == "told" for v in verdicts)),
        errors="0",
    )
    for verdict in verdicts:
        test = ElementTree.SubElement(suite, "testcase", classname=verdict.metric, name=plain(verdict.case_id))
        if verdict.outcome != "pass":
            told = ElementTree.SubElement(test, "failure" if verdict.outcome == "fail" else "skipped", message=plain(verdict.sentence))
            told.text = plain(verdict.sentence)  # some servers show the message, others the text
    if caveats:
        ElementTree.SubElement(suite, "system-out").text = plain("; ".join(caveats))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def summary(verdicts: Sequence[VerdictRow], caveats: Sequence[str], name: str) -> str:
    """A Markdown page: the failing rows, then what could only be told."""
    from tabulate import tabulate

    lines = [f"## {markdown(headline(verdicts))}", "", markdown(name), *[f"- {markdown(each)}" for each in caveats]]
    for outcome, title in (("fail", "Failed"), ("told", "Not judged")):
        rows = [[markdown(v.case_id), markdown(v.metric), markdown(v.sentence)] for v in verdicts if v.outcome == outcome]
        if rows:
            lines += ["", f"### {title}", "", tabulate(rows, ["case", "metric", "found"], tablefmt="pipe", disable_numparse=True)]
    return "\n".join(lines) + "\n"


def headline(verdicts: Sequence[VerdictRow]) -> str:
    """`gate: failed, 1 of 48 checks; 2 not judged`."""
    failed, told = (sum(v.outcome == outcome for v in verdicts) for outcome in ("fail", "told"))
    return f"gate: {'failed' if failed else 'passed'}, {failed} of {len(verdicts)} checks failed, {told} could not be judged"
