"""Hostile names through every command that prints or writes them: each stays text."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.schema import Finding
from harness.store import Store
from tests.factories import COUNTERS, case, record, stored

HOSTILE = (
    "=cmd|'/C calc'!A0 | `id` $x_2$ \\input{/etc/passwd} <script>alert(1)</script> ]]> &amp; [a](javascript:x)"
    ' \x1b[31m\x1b]0;t\x07 \u202e\u2066 "--%#{}~^\n# x\r\n| y |\u2028\u0085\x00\U000e0001 名\\'
)
CASES = [
    case(variant).model_copy(
        update={
            "model": HOSTILE,
            "engine": HOSTILE,
            "scenario": HOSTILE,
            "case_id": variant + HOSTILE,
            "baseline_case_id": "dense" + HOSTILE,
        }
    )
    for variant in ("dense", HOSTILE)
]
LOST = case("lost").model_copy(update={"case_id": "lost" + HOSTILE})
DOMAIN = COUNTERS[0].model_copy(update={"sensor": HOSTILE})
FINDING = Finding(code="odd", sentence=HOSTILE, remedy=HOSTILE, invalid=False)


def keep(results: Path, run_id: str, factor: float) -> None:
    """Store a run with hostile text in every field of text, and `factor` times the energy."""
    records = [
        record(c, {"package": 1e-3 * factor * (1 + 0.01 * k)}, 25e-6 * (1 + 0.01 * k), 0.97, k, (DOMAIN,), warnings=(FINDING,))
        for c in CASES
        for k in range(3)
    ]
    records = [r.model_copy(update={"quality": r.quality.model_copy(update={"metric": HOSTILE})}) for r in records if r.quality]
    records.append(record(LOST, {}, status="failed", reason=HOSTILE, latency=None, quality=None))
    run = stored([*CASES, LOST], records, (DOMAIN,))
    (box,) = run.header.environments
    environment = {
        "host": HOSTILE + run_id,
        "cpu": HOSTILE,
        "kernel": HOSTILE + run_id,
        "os": HOSTILE,
        "versions": {HOSTILE: run_id + HOSTILE},
    }
    card = {"domain": "gpu:0", "name": HOSTILE, "driver": run_id + HOSTILE}
    header = run.header.model_copy(
        update={
            "run_id": run_id,
            "environments": (box.model_copy(update={**environment, "devices": (card,)}),),
            "harness_commit": run_id + HOSTILE,
            "unavailable": {HOSTILE: HOSTILE},
            "suite": run.header.suite.model_copy(update={"name": HOSTILE}),
            "grid": run.header.grid.model_copy(update={"country": HOSTILE, "source": HOSTILE}) if run.header.grid else None,
        }
    )
    store = Store.create(results, header)
    lines = [r.model_copy(update={"run_id": run_id}).model_dump_json() for r in records]
    (store.folder / "records.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def runs(tmp_path):
    """Two hostile runs, and hostile hardware offers."""
    for run_id, factor in (("a", 1.0), ("b", 1.3)):
        keep(tmp_path / "results", run_id, factor)
    offers = {
        "currency": "<b>\x1b[1m|", "electricity_price_per_kwh": 0.2, "duty_cycle": 0.5, "pue": 1.2, "grid": {"country": HOSTILE.replace("\U000e0001", ""), "year": 2020, "g_per_kwh": 1},
        "offers": [{"machine": run_id, "capital_cost": price, "lifetime_years": 4} for run_id, price in (("a", 1), ("b", 2))],
    }  # fmt: skip
    (tmp_path / "offers.yaml").write_text(json.dumps(offers))
    return tmp_path


def is_clean(text: str) -> None:
    """There are no control characters, and no line begins with hostile text."""
    odd = {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")}
    assert not odd, odd
    assert not any(line.startswith(("# x", "| y")) for line in text.splitlines())


@pytest.mark.parametrize(
    "command",
    [
        ["compare", "a", "b", "--offers", "offers.yaml"],
        ["select", "b"],
        ["select", "b", "--min-quality", "2"],
        ["gate", "b", "--against", "a"],
        ["report", "b"],
        ["history", "dense" + HOSTILE],
        ["history", "lost" + HOSTILE, "a"],
        ["verify", "a"],
        ["select", HOSTILE.replace("\x00", "")],
        ["compare", "a", "b", "--offers", HOSTILE.replace("\x00", "")],
        ["gate", "b", "--against", "a", "--thresholds", HOSTILE.replace("\x00", "")],
        ["plan", HOSTILE.replace("\x00", "")],
        ["export", "a", "--columns", HOSTILE],
        ["report", "a", "--objective", HOSTILE],
    ],
    ids=lambda command: " ".join(command)[:24].replace("\x1b", ""),
)
def test_a_terminal_obeys_nothing(harness, runs, command):
    """Neither on stdout nor on stderr."""
    done = harness(*command)
    assert done.returncode in (0, 1, 2) and done.stdout + done.stderr
    is_clean(done.stdout)
    is_clean(done.stderr)
    assert "bug of the harness" not in done.stderr


def test_the_gates_files_hold_text(harness, runs):
    """JUnit has as many tests and failures as it states; Markdown as many cells in each row as columns."""
    harness("gate", "b", "--against", "a", "--junit", "gate.xml", "--markdown", "gate.md")
    suite = ElementTree.parse(runs / "gate.xml").getroot()
    assert (
        int(suite.get("tests") or 0) == len(suite.findall("testcase"))
        and int(suite.get("failures") or 0) == len(suite.findall("*/failure")) == 2
    )
    assert {element.tag for element in suite.iter()} <= {"testsuite", "testcase", "failure", "skipped", "system-out"}
    is_markdown((runs / "gate.md").read_text())


def is_markdown(text: str) -> None:
    """Every row has as many cells as the heading; no HTML, no code, no foreign heading."""
    is_clean(text)
    bare = re.sub(r"\\.", "", text)
    assert "<" not in bare and "`" not in bare and "](" not in bare
    counts = [line.count("|") for line in bare.splitlines() if line.startswith("|")]
    assert len(set(counts)) <= len(re.findall(r"^\|[:|-]+\|$", bare, re.MULTILINE))
    assert all(line.startswith(("## gate", "### ")) for line in bare.splitlines() if line.startswith("#"))


class Tags(HTMLParser):
    """The tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.add(tag)


def is_csv(text: str) -> None:
    """No cell is a formula."""
    is_clean(text)
    rows = list(csv.reader(io.StringIO(text)))
    assert len({len(row) for row in rows}) == 1
    assert not any(cell.lstrip().startswith(("=", "+", "@")) for row in rows for cell in row)


def is_html(text: str) -> None:
    is_clean(text)
    assert not Tags(text).found & {"script", "b", "img", "a"}


def is_latex(text: str) -> None:
    is_clean(text)
    assert text.isascii() and r"\input" not in text
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in text.splitlines() if line.endswith(r" \\")}) == 1


def is_json(text: str) -> None:
    assert text.isascii()
    json.loads(text)


@pytest.mark.parametrize("table", ["cases", "runs", "domains", "builds"])
def test_every_export_holds_text(harness, runs, table):
    """Every table in every format, with headings and notes."""
    for format_, check in (("md", is_markdown), ("tex", is_latex), ("html", is_html), ("csv", is_csv), ("json", is_json)):
        done = harness("export", "a", "b", "--table", table, "--format", format_, "--output", f"x.{format_}")
        assert done.returncode == 0, done.stderr
        check((runs / f"x.{format_}").read_text())
    method = (runs / "method.tex").read_text()
    is_clean(method)
    assert method.isascii() and r"\input" not in method


def test_the_report_holds_text(harness, runs):
    """Its page, its tables, and its plot, an XML file without scripts."""
    folder = Path(harness("report", "b").stdout.splitlines()[0])
    is_html(re.sub(r"<svg.*</svg>", "", (folder / "index.html").read_text(), flags=re.DOTALL))
    is_markdown((folder / "table.md").read_text())
    is_csv((folder / "table.csv").read_text())
    drawing = ElementTree.parse(folder / "pareto.svg").getroot()
    assert not any(element.tag.endswith(("script", "foreignObject")) for element in drawing.iter())
