"""LaTeX that fits its page, of one run and of two, whatever their names are; compiled where there is a compiler."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from harness import frame
from harness.frame.rows import rows_of
from harness.report import as_read, export, notes
from harness.report.latex import LANDSCAPE, TINY
from tests.factories import COUNTERS, digits
from tests.report.test_export import HOSTILE, hostile_table

COLUMN = re.compile(r">\{.*?\}p\{([\d.]+)em\}|([lr])")


def on(host: str, run_id: str):
    run = digits(COUNTERS)
    box = run.header.environments[0].model_copy(update={"host": host})
    records = tuple(record.model_copy(update={"run_id": run_id}) for record in run.records)
    return replace(run, header=run.header.model_copy(update={"run_id": run_id, "environments": (box,)}), records=records)


def tex(runs, table="cases", **options) -> str:
    tables = frame.tables(runs)
    return export(tables[table], "tex", notes=notes(runs, rows_of(tables["cases"])), **options).decode()


ONE = [digits(COUNTERS)]
TWO = [on(f"gpu-server-{k}.example.org", f"2026-11-25T0426{k}8Z-digits-standard") for k in (1, 2)]


def folded(text: str) -> list[float]:
    """The characters of each column of a table over pages; 0 of one that does not fold."""
    (columns,) = re.findall(r"\\begin\{longtable\}\{(.*)\}\n", text)
    return [2 * float(em or 0) for em, _ in COLUMN.findall(columns)]


@pytest.mark.parametrize("runs", [ONE, TWO], ids=["one", "two"])
def test_a_wide_table_lies_on_its_side_and_its_words_fold(runs):
    """The columns that fold leave the others room; each row has as many cells as the heading; the packages are named."""
    text = tex(runs)
    assert text.startswith(r"% \usepackage{array,booktabs,longtable,pdflscape}") and r"\begin{landscape}" in text
    assert "wider than the page" not in text
    assert 0 < sum(folded(text)) < (TINY if r"\tiny" in text else LANDSCAPE)
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 1 + 19 * len(runs)
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(folded(text)) - 1}


def test_a_narrow_table_floats():
    """Four columns and a few notes are a table of one page, which two columns of text can hold."""
    text = export(frame.cases(ONE), "tex", columns=["variant", "engine", "batch_size", "energy_j"], notes=["n"]).decode()
    assert r"\begin{table}" in text and "landscape" not in text


def test_what_cannot_fit_says_so():
    """Thirty columns of numbers do not fold."""
    assert "choose columns with --columns" in tex(ONE, "runs")


@pytest.mark.parametrize("runs", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("name", ["runs", "domains", "builds"])
def test_what_a_person_reads_of_each_table_fits_a_page(runs, name):
    """The run is named where there are several; words that no row has take no room."""
    table = frame.tables(runs)[name]
    columns, units = as_read(name, table)
    assert ("run_id" in columns) == (len(runs) > 1)
    assert not any(table[column].isna().all() for column in columns if table[column].dtype == "string")
    assert "wider than the page" not in tex(runs, name, columns=columns, units=units)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex")
@pytest.mark.parametrize("name", ["one", "two", "narrow", "runs", "hostile", "empty"])
def test_it_compiles_and_nothing_leaves_the_page(tmp_path, name):
    """Without an error, and no line wider than the page."""
    said = {
        "one": lambda: tex(ONE),
        "two": lambda: tex(TWO),
        "narrow": lambda: tex(ONE, columns=["variant", "engine", "energy_j"]),
        "runs": lambda: tex(TWO, "runs", columns=as_read("runs", frame.runs(TWO))[0]),
        "hostile": lambda: export(hostile_table(), "tex", notes=[HOSTILE]).decode(),
        "empty": lambda: export(frame.cases(ONE).head(0), "tex", notes=["n"]).decode(),
    }[name]()
    (tmp_path / "table.tex").write_text(said)
    packages = r"\usepackage{array,booktabs,longtable,pdflscape}"
    (tmp_path / "page.tex").write_text(rf"\documentclass{{article}}{packages}\begin{{document}}\input{{table}}\end{{document}}")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    log = (tmp_path / "page.log").read_text(errors="replace")
    assert done.returncode == 0, log
    assert "Overfull" not in log
