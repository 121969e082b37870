"""Tables as they leave the house: formats, columns, units, notes, and strangers' text that stays text."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest

from harness import frame
from harness.errors import HarnessError
from harness.frame.rows import rows_of
from harness.report import UNITS, export, notes
from harness.report.units import in_units, suited
from tests.factories import COUNTERS, case, digits, record, stored

HOSTILE = '=x|y<script>`z`[red]\x1b[31m\u202e\\input{/etc/passwd}$%#_&~^"--*\n名'


@pytest.fixture(scope="module")
def run():
    return digits()


@pytest.fixture(scope="module")
def tables(run):
    return frame.tables([run])


def hostile_table():
    """One case whose name and reason try to leave their cells."""
    each = case(HOSTILE)
    return frame.cases([stored([each], [record(each, {}, status="failed", reason=HOSTILE, latency=None, quality=None)])])


def lines_of(data: bytes) -> list[str]:
    return [line for line in data.decode().splitlines() if line.startswith("|")]


def test_columns_are_those_asked_for_in_their_order(tables):
    """In every format; the value carries its interval where a person reads it, and is whole where a program does."""
    wanted = ["variant", "energy_j", "batch_size"]
    assert next(csv.reader(io.StringIO(export(tables["cases"], "csv", columns=wanted).decode()))) == wanted
    assert list(json.loads(export(tables["cases"], "json", columns=wanted))["rows"][0]) == wanted
    first = lines_of(export(tables["cases"], columns=wanted))[2]
    assert first.count("|") == 4 and "±" in first


def test_the_interval_says_where_a_figure_and_its_bounds_end(tables):
    """Two digits of the half-width, in the value as in the bound beside it."""
    row = rows_of(tables["cases"])[0]
    cells = lines_of(export(tables["cases"], columns=["energy_j", "energy_low_j"]))[2].strip("| ").split("|")
    value, half = cells[0].strip().split(" ± ")
    assert len(value) == len(half) == len(cells[1].strip())
    assert len(half.lstrip("0.")) == 2
    assert float(value) == pytest.approx(row["energy_j"], abs=float(half))


@pytest.mark.parametrize(
    ("unit", "column", "name", "factor"),
    [
        ("mJ", "energy_j", "energy_mJ", 1e3),
        ("Wh/1000", "energy_low_j", "energy_low_Wh_per_1000", 1000 / 3600),
        ("kWh/1000000", "energy_j", "energy_kWh_per_1000000", 1 / 3.6),
        ("ms", "latency_p50_s", "latency_p50_ms", 1e3),
        ("MiB", "artifact_bytes", "artifact_MiB", 2**-20),
        ("g/1000", "carbon_g", "carbon_g_per_1000", 1e3),
    ],
)
def test_a_unit_stands_in_the_column_it_changes(tables, unit, column, name, factor):
    """Multiplied, renamed; everything else as it was, a rate per second too."""
    found, names = in_units(tables["cases"], [unit])
    assert names[column] == name
    assert found[name][0] == pytest.approx(tables["cases"][column][0] * factor)
    assert found["throughput_per_s"].equals(tables["cases"]["throughput_per_s"])
    assert [name for name in found.columns if name.startswith("build_")] == [names["build_j"]]


def test_a_whole_build_is_not_told_per_inference(tables):
    """Its joules stay joules in the cases, and in the table of builds the unit is refused."""
    assert in_units(tables["cases"], ["Wh/1000"])[1]["build_j"] == "build_j"
    with pytest.raises(HarnessError, match="Wh/1000"):
        in_units(tables["builds"], ["Wh/1000"])
    with pytest.raises(HarnessError, match="same columns"):
        in_units(tables["cases"], ["mJ", "Wh/1000"])


@pytest.mark.parametrize("unit", [unit for unit in UNITS if UNITS[unit].si in ("j", "s")])
def test_what_a_person_reads_takes_the_unit_too(tables, unit):
    """It is in the heading, and the figure is that of the raw column."""
    heading = lines_of(export(tables["cases"], units=[unit]))[0]
    assert unit.split("/")[0].replace("u", "µ") in heading
    assert ("/ inference" in heading) is not unit.startswith(("Wh", "kWh"))


def test_null_stays_null_in_every_unit(tables):
    """Never 0."""
    found, _ = in_units(tables["cases"], ["mJ"])
    assert list(found["energy_mJ"].isna()) == list(tables["cases"]["energy_j"].isna())


def test_units_that_suit_are_known(tables):
    """Microjoules for microjoules, kilobytes for kilobytes; plain SI where nothing is known."""
    assert suited(tables["cases"]) == ["uJ", "us", "kB"]
    assert suited(tables["cases"].head(0)) == ["J", "s"]


def test_the_notes_say_how_it_was_measured():
    """n, scope, kind, interval, launches, sensor, gain, versions, machine; below a table, in JSON and in Parquet's metadata."""
    run = digits(COUNTERS)
    table = frame.cases([run])
    said = notes([run], rows_of(table))
    text = " ".join(said)
    words = (
        "counter: package+dram",
        f"n = {len(table)} cases",
        "95 %",
        "here 3",
        "read by rapl",
        "gain uncertainty 5.0%",
        "onnxruntime 1.32.0",
        "commit abcdef0",
    )
    assert [word for word in words if word not in text] == []
    assert json.loads(export(table, "json", notes=said))["notes"] == said
    assert json.loads(pq.read_table(io.BytesIO(export(table, "parquet", notes=said))).schema.metadata[b"notes"]) == said
    for form in ("md", "tex", "html"):
        assert export(table, form, notes=said).decode().count("AMD EPYC 7763, 2 CPUs") == 1


def test_of_several_runs_the_notes_tell_what_they_share_once(run):
    """And what differs by the name of the run."""
    other = replace(run, header=run.header.model_copy(update={"run_id": "other", "harness_commit": "1234567"}))
    said = notes([run, other], rows_of(frame.cases([run])) + [{**row, "run_id": "other"} for row in rows_of(frame.cases([run]))])
    assert len([each for each in said if "closed loop" in each]) == 1
    assert [each for each in said if each.startswith("other: ") and "1234567" in each]
    assert [each for each in said if each.startswith("run: ") and "abcdef0" in each]


def test_several_runs_have_a_column_for_the_run(run):
    """One run needs none."""
    other = replace(run, header=run.header.model_copy(update={"run_id": "other"}))
    assert "run " in lines_of(export(frame.cases([run, other])))[0]
    assert "run " not in lines_of(export(frame.cases([run])))[0]


def test_parquet_holds_every_value_and_type(tables):
    """Read back, each column is what it was."""
    back = pq.read_table(io.BytesIO(export(tables["cases"], "parquet"))).to_pylist()
    for row, told in zip(rows_of(tables["cases"]), back, strict=True):
        assert row == told


def test_a_hostile_name_stays_a_cell_of_latex():
    """No command of its own, as many columns as the heading, nothing that LaTeX cannot set."""
    text = export(hostile_table(), "tex", notes=[HOSTILE]).decode()
    assert r"\input" not in text and text.isascii()
    body = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in body}) == 1
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert "{[}U+540D]" in text
    for line in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(line) == 1


def test_a_hostile_name_stays_a_cell_of_html():
    """Parsed, the page has the tags we wrote."""
    tags = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

    Tags().feed(export(hostile_table(), "html", notes=[HOSTILE]).decode())
    assert "script" not in tags and tags.count("td") == tags.count("th")


@pytest.mark.parametrize("form", ["md", "csv", "json", "tex", "html", "parquet"])
def test_no_control_character_leaves_the_house(form):
    """A terminal obeys some of them."""
    data = export(hostile_table(), form, columns=["variant", "reason"], notes=["n"])
    text = str(pq.read_table(io.BytesIO(data)).to_pylist()) if form == "parquet" else data.decode()
    assert "\x1b" not in text and "\u202e" not in text


def test_a_formula_is_text_in_csv():
    """The cell begins with an apostrophe, in whichever column a stranger's text stands."""
    row = next(csv.DictReader(io.StringIO(export(hostile_table(), "csv").decode())))
    assert row["variant"].startswith("'=") and row["reason"].startswith("'=")
