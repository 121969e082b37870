"""What `harness run` prints at its end: table, results in sentences, warnings and widths of the intervals."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness.cli.console import print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.schema import Catalogue, Finding, StoredRun

MAX_SENTENCES = 8
"""Sentences printed below the table; the page has all of them."""


def print_summary(run: StoredRun, cases: pd.DataFrame, catalogue: Catalogue) -> None:
    """Print the results of a run.

    Args:
        run: The stored run.
        cases: Its table `cases`.
        catalogue: The plug-ins, for the duration of the next profile.
    """
    from harness.frame.rows import rows_of
    from harness.report import output_sentences, preface, prefill_lines, sentences, terminal

    print_table(lambda width: terminal(cases, width))
    rows = rows_of(cases)
    compared = [f"-  {line}" for line in shortened(sentences(run.header, rows))]
    about_dense = [f"-  {line}" for line in output_sentences(rows)]
    before = [preface(run.header, rows)] if compared else []
    by_length = [f"-  {line}" for line in shortened(prefill_lines(rows))]
    for line in (*before, *compared, *about_dense, *by_length, *warning_lines(run, cases), interval_widths(run, cases, catalogue)):
        print_line(line)


def shortened(sentences: Sequence[str]) -> list[str]:
    """The first sentences, and how many more there are."""
    rest = len(sentences) - MAX_SENTENCES
    return [*sentences[:MAX_SENTENCES], *([f"... and {rest} more in the report"] if rest > 0 else [])]


def warning_lines(run: StoredRun, cases: pd.DataFrame) -> list[str]:
    """Each warning code with the number of cases, the sentence of the first one and the remedy."""
    from harness.frame.findings import case_findings
    from harness.frame.order import order_finding
    from harness.frame.rows import rows_of

    order = order_finding(run)
    findings: dict[tuple[str, str | None], Finding] = {}
    for record in run.records:
        for finding in record.warnings:
            findings.setdefault((finding.code, record.case_id), finding)
    findings |= {(finding.code, row["case_id"]): finding for row in rows_of(cases) for finding in case_findings(row)}
    if order:
        findings |= {(order.code, name): order for name in cases["case_id"]}
    counts = Counter(code for code, _ in findings)
    first = {code: finding for (code, _), finding in reversed(findings.items())}
    return [
        f"! {code}, {count} of {len(run.header.suite.cases)} cases{', the first' if count > 1 and first[code] != order else ''}: "
        f"{first[code].sentence}; {first[code].remedy}"
        for code, count in counts.items()
    ]


def interval_widths(run: StoredRun, cases: pd.DataFrame, catalogue: Catalogue) -> str:
    """Half-widths of the intervals on energy, and the duration of the next profile."""
    from harness.run.plan import expected_s
    from harness.schema import PROFILES

    profile = run.header.profile
    half = ((cases["energy_high_j"] - cases["energy_low_j"]) / 2 / cases["energy_j"]).dropna()
    launches = cases.loc[half.index, "energy_repetitions"].min()
    if half.empty:
        widths = "no case has an interval on its energy"
    else:
        widths = (
            f"95 % intervals on energy: median half-width {half.median():.1%}, largest {half.max():.1%}, from at least {launches} launches"
        )
    names = list(PROFILES)
    if profile.name == names[-1]:
        return widths
    longer = names[names.index(profile.name) + 1]
    duration_s = expected_s(run.header.suite, PROFILES[longer], catalogue)
    return f"{widths}; for narrower intervals: --profile {longer}, about {minutes(*duration_s)} minutes"


def unmeasured(cases: pd.DataFrame) -> list[str]:
    """The ids of the cases whose energy no sensor measured."""
    from harness.schema import evidence

    return [name for name, kind in zip(cases["case_id"], cases["energy_kind"], strict=True) if evidence(kind) != "measured"]


def failed(run: StoredRun) -> bool:
    """Whether the last attempt of any task is not ok."""
    last = {(r.case_id, None if r.case_id else r.build_id, r.repetition): r.status for r in run.records}
    return any(status != "ok" for status in last.values())


def minutes(*seconds: float) -> str:
    """Durations in whole minutes, rounded up: `3 to 12`."""
    return " to ".join(dict.fromkeys(str(-int(-s // 60)) for s in seconds))
