"""Self-contained page of a run: table, figure, findings, method and machine, without script or request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.frame.findings import case_findings
from harness.frame.order import order_finding
from harness.frame.rows import rows_of
from harness.report import plots, prefill, tables
from harness.report.cells import kind_of
from harness.report.export import rendered
from harness.report.notes import machine, method
from harness.report.sentences import claims, output_sentences, payback, preface
from harness.report.words import words_of_units
from harness.schema import OBJECTIVES, Finding, Objective, StoredRun
from harness.text import NONE, counted, number

if TYPE_CHECKING:
    import pandas as pd


def render(run: StoredRun, frames: Mapping[str, pd.DataFrame], svg: str, objectives: Sequence[Objective] = OBJECTIVES) -> str:
    """HTML of the page."""
    rows = rows_of(frames["cases"])
    return rendered(
        "page.html.j2",
        header=run.header,
        tables=[
            (table, list(zip(table.rows, table.cells, strict=True)), [heading not in tables.LEFT for heading in table.headings])
            for table in tables.case_tables(rows)
        ],
        caption=tables.caption(rows),
        svg=_inline(svg),
        alt=plots.alt_text(frames["cases"], objectives),
        facts=machine(run.header),
        method=method(run.header, rows, objectives),
        failures=[row for row in rows if row["status"] != "ok"],
        findings=findings(run, rows),
        preface=preface(run.header, rows),
        claims=claims(run.header, rows),
        about_outputs=output_sentences(rows),
        builds=builds(rows_of(frames["builds"])),
        paybacks=paybacks(rows),
        prefill=prefill.prefill_lines(rows),
        about_prefill=prefill.HEADING,
        units_saved=units_saved(rows),
        problems=run.problems,
        source=run.header.suite_source.splitlines(),
    )


def findings(run: StoredRun, rows: Sequence[dict[str, Any]]) -> list[tuple[Finding, str]]:
    """First finding of each code, and the number of repetitions or cases with it; those that invalidate energies first."""
    by_code: dict[str, list[Finding]] = {}
    for finding in (finding for record in run.records for finding in record.warnings):
        by_code.setdefault(finding.code, []).append(finding)
    of_cases: dict[str, list[Finding]] = {}
    for finding in (finding for row in rows for finding in case_findings(row)):
        of_cases.setdefault(finding.code, []).append(finding)
    named = [(own[0], _count(own, noun)) for groups, noun in ((by_code, "repetition"), (of_cases, "case")) for own in groups.values()]
    if order := order_finding(run):
        named.append((order, "the run"))
    return sorted(named, key=lambda pair: (not pair[0].invalid, pair[0].code))


def _count(listed: Sequence[Finding], noun: str) -> str:
    """`3 cases, the first`: the sentence and values are those of one of them."""
    return counted(len(listed), noun) + (", the first" if len(listed) > 1 else "")


def units_saved(rows: Sequence[dict[str, Any]]) -> str:
    """What the paybacks count: inferences, output tokens, or both."""
    return words_of_units(row["unit"] for row in rows if row["build_j"] is not None).many


def paybacks(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(case, energy of its own build steps with its kind, payback) of each case with such steps."""
    return [(row["case_id"], f"{number(row['build_j'])} J, {kind_of(row)}", payback(row)) for row in rows if row["build_j"] is not None]


def builds(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """(name, status, duration, energy with its kind) of each build."""
    return [
        (
            f"{row['model'] or row['build_id']} > {row['lineage'] or ''}".rstrip(" >"),
            (row["status"] if row["status"] == "ok" else f"{row['status']}: {row['reason']}")
            + (", from the cache" if row["cached"] else ""),
            f"{number(row['seconds'])} s" if row["seconds"] is not None else NONE,
            f"{number(row['energy_j'])} J, {kind_of(row)}" if row["energy_j"] is not None else NONE,
        )
        for row in rows
    ]


def _inline(svg: str) -> Any:
    """The figure as a part of the page: without prologue and size."""
    from markupsafe import Markup

    body = svg[svg.index("<svg") :]
    # Safe, since matplotlib escapes all text.
    return Markup(re.sub(r'(<svg[^>]*?) width="[^"]*"| height="[^"]*pt"', lambda m: m.group(1) or "", body, count=2))  # noqa: S704
