"""Checks of the gate as text: lines for the terminal, JUnit XML and a Markdown summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from harness.decide.gate import Caveat, Check
from harness.report.words import WORDS
from harness.text import markdown, number, plain

SENTENCES = {
    "nothing_compared": "no case could be compared in any metric",
    "new": "not in the base run",
    "missing": "missing, but in the base run",
    "base_not_ok": "{status} in the base run, so there is nothing to compare with",
    "not_ok": "{status}: {cause}",
    "not_measured_before": "{metric} was not measured in the base run",
    "not_measured_now": "{metric} was measured in the base run and is not measured now",
    "base_invalid": "the energy of the base run is invalid, so there is nothing to compare with",
    "invalid": "the energy is invalid: {codes}",
    "other_energy": "not comparable: energy is {now}, was {before}",
    "other_source": "not comparable: {metric} is from {now}, was from {before}",
    "other_metric": "not comparable: the quality metric is {now}, was {before}",
    "few_launches": "{metric} {increase:+.1%}: too few launches to separate it from noise",
    "tested": "{metric} {increase:+.1%} (p = {p:.2g}, significant below {alpha:.2g}; up to {threshold:.0%} allowed)",
    "quality_paired": "quality {now:.4g}, was {before:.4g} (paired on the same samples; a loss of up to {threshold:.3g} allowed)",
    "quality_intervals": "quality {now:.4g}, was {before:.4g} (from the intervals, since samples were not kept in both; "
    "a loss of up to {threshold:.3g} allowed)",
    "quality_unknown": "quality {now:.4g}, was {before:.4g}: samples were not kept and it has no interval",
}
"""Sentence of each reason of a check."""
CAVEATS = {
    "suites": "the suites differ: cases are paired by their ids",
    "machines": "the machines or their software differ, which may explain a change",
    "profiles": "the profiles differ: {now}, was {before}",
    "cards": "the cards differ ({now}, was {before}): cards of one model differ by some percent",
    "modelled": "energy is modelled in some cases, not measured",
    "simulated": "energy is simulated in some cases, not measured",
}
LARGE = 10
"""Relative increase above which no number is given, since two noisy launches do not support one."""


def sentence(check: Check) -> str:
    """What a check found: `energy +8.0% (p = 0.001, significant below 0.002; up to 2% allowed)`."""
    return SENTENCES[check.reason].format(metric=_words(check.metric, check.unit), p=check.p, **check.values)


def caveat_texts(caveats: Sequence[Caveat]) -> list[str]:
    """Sentence of each caveat."""
    return [CAVEATS[caveat.code].format(before=caveat.before, now=caveat.now) for caveat in caveats]


def undetected_text(shares: Mapping[str, float]) -> list[str]:
    """The smallest increases that the gate detects, as at most one sentence."""
    parts = [
        f"{number(100 * share, 2)} % in {_words(metric)}" if share < LARGE else f"over 1,000 % in {_words(metric)}"
        for metric, share in shares.items()
    ]
    return [f"smallest increase that is detected in the median case: {', '.join(parts)}"] if parts else []


def headline(checks: Sequence[Check]) -> str:
    """`gate: failed, 1 of 48 checks failed, 2 inconclusive`."""
    failed, inconclusive = (sum(c.outcome == outcome for c in checks) for outcome in ("failed", "inconclusive"))
    return f"gate: {'failed' if failed else 'passed'}, {failed} of {len(checks)} checks failed, {inconclusive} inconclusive"


def junit(checks: Sequence[Check], remarks: Sequence[str], name: str) -> str:
    """JUnit XML with a test per check; inconclusive ones are skipped, with their reason."""
    suite = ElementTree.Element(
        "testsuite",
        name=plain(name),
        tests=str(len(checks)),
        failures=str(sum(c.outcome == "failed" for c in checks)),
        skipped=str(sum(c.outcome == "inconclusive" for c in checks)),
        errors="0",
    )
    for check in checks:
        test = ElementTree.SubElement(suite, "testcase", classname=check.metric, name=plain(check.case_id))
        if check.outcome != "passed":
            text = plain(sentence(check))
            # Some servers show the message, others the text.
            ElementTree.SubElement(test, "failure" if check.outcome == "failed" else "skipped", message=text).text = text
    if remarks:
        ElementTree.SubElement(suite, "system-out").text = plain("; ".join(remarks))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def summary(checks: Sequence[Check], remarks: Sequence[str], name: str) -> str:
    """Markdown summary: the failed checks, then the inconclusive ones."""
    from tabulate import tabulate

    lines = [f"## {markdown(headline(checks))}", "", markdown(name), *[f"- {markdown(each)}" for each in remarks]]
    for outcome in ("failed", "inconclusive"):
        rows = [list(map(markdown, (c.case_id, c.metric, sentence(c)))) for c in checks if c.outcome == outcome]
        if rows:
            table = tabulate(rows, ["case", "metric", "result"], tablefmt="pipe", disable_numparse=True)
            lines += ["", f"### {outcome.capitalize()}", "", table]
    return "\n".join(lines) + "\n"


def _words(metric: str, unit: str = "inference") -> str:
    """`device memory` of `device_memory`; of generated text `energy per output token` and `TPOT`."""
    words = WORDS[unit]
    return {"energy": words.energy, "latency": words.latency}.get(metric, metric.replace("_", " "))
