"""LaTeX of a table: columns, sections, notes, and that it compiles."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from harness import frame
from harness.report import export, latex
from tests.report.helpers import HOSTILE, hostile_table
from tests.report.published import ONE, TWO, both, tex


def test_a_wide_table_spans_two_columns():
    """With caption and label; names fold in the rest of the line, and the table is not rotated."""
    text = tex(ONE)
    assert r"\begin{table*}" in text and r"p{\dimexpr(\linewidth-" in text
    assert r"\caption{Energy, latency and quality of each case; model digits-cnn," in text and r"\label{tab:cases}" in text
    assert "landscape" not in text and "tiny" not in text


def test_a_long_table_goes_over_pages_of_one_column():
    """`longtable` fails in two columns, so one column is used until its end."""
    text = tex(TWO)
    assert r"\begin{longtable}" in text and text.index(r"\onecolumn") < text.index(r"\begin{longtable}") < text.index(r"\twocolumn")
    assert r"\label{tab:cases}" in text and text.count(r"\toprule") == 2  # on the first page and on the others


def test_a_narrow_table_fits_one_column():
    """Its names fold only if they must."""
    text = tex(ONE, columns=["engine", "batch_size", "energy_j"])
    assert r"\begin{table}" in text and r"\begin{tabular}{@{}lrr@{}}" in text
    text = tex(ONE, columns=["variant", "engine", "energy_j"])
    assert r"\begin{table}" in text and r"p{\dimexpr(\linewidth-" in text


def test_shared_values_are_lines_above_the_cases():
    """Run, host, engine and device have no column; each row has the cells of the heading, in the order of the cases."""
    text = tex(TWO)
    assert text.count("run 2026-") == 8 and text.count("host gpu-") == 8
    rows = [line for line in text.split(r"\endhead")[1].splitlines() if line.endswith(r" \\")]
    assert len(rows) == 2 * 19 and {row.count(" & ") for row in rows} == {6}
    assert [row.split(" & ")[1] for row in rows[:4]] == ["1", "32", "1", "32"]


def test_figures_have_their_units_and_intervals():
    """The unit is in the heading, ± and bounds in the cell as in Markdown."""
    text = tex(ONE)
    assert r"\shortstack[r]{energy, $\mu$J\\/ inference}" in text
    assert r"dense & 1 & 0.972 {[}0.950 0.985] & 25.19 $\pm$ 0.26 & 251.9 $\pm$ 2.6 & 1 &" in text


def test_too_wide_a_table_names_the_option():
    """Columns of numbers do not fold."""
    assert "--columns" in tex(ONE, "runs", columns=list(frame.runs(ONE).columns))


TEXTS = {
    "one": lambda: tex(ONE),
    "two": lambda: tex(TWO),
    "narrow": lambda: tex(ONE, columns=["variant", "batch_size", "energy_j"]),
    "runs": lambda: tex(TWO, "runs"),
    "history": lambda: tex(TWO, "history"),
    "method": lambda: both(TWO)[1],
    "hostile": lambda: export(hostile_table(), "tex", notes=[HOSTILE], caption=HOSTILE).decode() + latex.method([HOSTILE]),
    "empty": lambda: export(frame.cases(ONE).head(0), "tex", notes=["n"]).decode(),
}


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex")
@pytest.mark.parametrize("name", TEXTS)
def test_it_compiles_in_two_columns_and_nothing_leaves_the_page(tmp_path, name):
    """Without an error, an overfull line or a float that is too large."""
    (tmp_path / "table.tex").write_text(TEXTS[name]())
    packages = r"\usepackage{array,booktabs,longtable}"
    (tmp_path / "page.tex").write_text(
        rf"\documentclass[twocolumn]{{article}}{packages}\begin{{document}}Text.\input{{table}}Text.\end{{document}}"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    log = (tmp_path / "page.log").read_text(errors="replace")
    assert done.returncode == 0, log
    assert "Overfull" not in log and "too large" not in log
