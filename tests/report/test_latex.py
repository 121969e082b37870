"""LaTeX that an author pastes into a paper: floats, long tables, groups, notes; compiled where there is a compiler."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from harness import frame
from harness.frame.rows import rows_of
from harness.report import as_read, export, latex, notes, paper
from tests.factories import COUNTERS, digits
from tests.report.test_export import HOSTILE, hostile_table


def on(host: str, run_id: str):
    run = digits(COUNTERS)
    box = run.header.environments[0].model_copy(update={"host": host})
    records = tuple(record.model_copy(update={"run_id": run_id}) for record in run.records)
    return replace(run, header=run.header.model_copy(update={"run_id": run_id, "environments": (box,)}), records=records)


def tex(runs, name="cases", columns=(), units=()) -> str:
    return both(runs, name, columns, units)[0]


def both(runs, name="cases", columns=(), units=()) -> tuple[str, str]:
    """The table and the text on method."""
    tables = {**frame.tables(runs), "history": frame.history(runs, runs[0].records[0].case_id)}
    table, method = paper(runs, name, tables[name], rows_of(tables["cases"]), columns, units)
    return table.decode(), method.decode()


ONE = [digits(COUNTERS)]
TWO = [on(f"gpu-server-{k}.example.org", f"2026-11-25T0426{k}8Z-digits-standard") for k in (1, 2)]


def test_a_wide_table_stands_across_two_columns():
    """It has a caption and a label, its names fold in what the numbers leave of the line, and it is not turned."""
    text = tex(ONE)
    assert r"\begin{table*}" in text and r"p{\dimexpr(\linewidth-" in text
    assert r"\caption{Energy, latency and quality of each case; model digits-cnn," in text and r"\label{tab:cases}" in text
    assert "landscape" not in text and "tiny" not in text


def test_a_long_table_goes_over_pages_of_one_column():
    """`longtable` fails in two columns: they are left before it and taken up after it."""
    text = tex(TWO)
    assert r"\begin{longtable}" in text and text.index(r"\onecolumn") < text.index(r"\begin{longtable}") < text.index(r"\twocolumn")
    assert r"\label{tab:cases}" in text and text.count(r"\toprule") == 2  # on the first page and on the others


def test_a_narrow_table_fits_one_column():
    """Its names fold only where they must."""
    text = tex(ONE, columns=["engine", "batch_size", "energy_j"])
    assert r"\begin{table}" in text and r"\begin{tabular}{@{}lrr@{}}" in text
    text = tex(ONE, columns=["variant", "engine", "energy_j"])
    assert r"\begin{table}" in text and r"p{\dimexpr(\linewidth-" in text


def test_what_cases_share_stands_above_them():
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


def test_the_notes_below_are_short_and_the_method_has_all():
    """What kind of energy, ± and the marks below the table; every note, failure and warning in the method."""
    text, method = both(ONE)
    below = text[text.index(r"\smallskip") :]
    assert "Energy is counter: package+dram." in below and "n = 19 cases, 3 launches each." in below and "!: with warnings" in below
    assert len(below) < 600  # six lines across two columns hold some 660 characters
    rows = rows_of(frame.cases(ONE))
    assert method.startswith(latex.METHOD_HEAD) and method.count(r"\item") >= len(notes(ONE, rows)) + 3
    for part in ("AMD EPYC 7763", "invalid: sensor", "refused: no GPU is visible", "front; foreign"):
        assert part in method


@pytest.mark.parametrize(("kind", "warning"), [("modelled", "errors of up to 40"), ("simulated", "test double")])
def test_energy_that_was_not_measured_says_so_below_the_table(kind, warning):
    """It is not left to the method."""
    run = digits(COUNTERS)
    records = [
        record.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": kind}) for m in record.measurements)})
        for record in run.records
    ]
    assert warning in tex([replace(run, records=tuple(records))])


@pytest.mark.parametrize("runs", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("name", ["cases", "runs", "domains", "builds", "history"])
def test_what_a_person_reads_of_each_table_fits_two_columns(runs, name):
    """Words that all rows share are a note; no column that a person reads is lost but those named."""
    text = tex(runs, name)
    assert "choose fewer" not in text
    flat = re.sub(r"\\allowbreak\{\}|\\shortstack\[.\]\{|\\\\(?=[\w/])|\\(?=_)", "", text)
    left_out = {"runs": {"idle_w"}, "history": {"started_utc", "host"}}.get(name, set())
    tables = {**frame.tables(runs), "history": frame.history(runs, runs[0].records[0].case_id)}
    columns, units = as_read(name, tables[name])
    wanted = export(tables[name], "csv", columns=columns, units=units).decode().splitlines()[0].split(",") if columns else []
    assert {column for column in wanted if column not in flat} <= left_out


def test_columns_that_were_asked_for_are_the_columns():
    """Also those that all rows share."""
    assert r"model & variant & energy\_j" in tex(ONE, columns=["model", "variant", "energy_j"])


def test_too_wide_a_table_names_the_option():
    """Fifty columns of numbers do not fold."""
    assert "--columns" in tex(ONE, "runs", columns=list(frame.runs(ONE).columns))


def test_the_method_is_written_beside_the_table_and_replaces_only_itself(tmp_path, capsys):
    """`--method` prints it; a `method.tex` of the author's is kept; nothing is written then."""
    from harness.cli.app import app
    from harness.errors import HarnessError
    from harness.store import Store

    store = Store.create(tmp_path / "results", ONE[0].header)
    (store.folder / "records.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in ONE[0].records))

    def run(*options):
        app(args=["export", str(store.folder), *map(str, options)], prog_name="harness", standalone_mode=False)
        return capsys.readouterr().out

    method = tmp_path / "method.tex"
    for _ in range(2):
        run("--format", "tex", "--output", tmp_path / "table.tex")
    assert method.read_text() == run("--format", "tex", "--method")
    assert (tmp_path / "table.tex").read_text() == run("--format", "tex")
    method.write_text(r"\section{Method}")
    with pytest.raises(HarnessError, match="not replaced"):
        run("--format", "tex", "--output", tmp_path / "other.tex")
    assert method.read_text() == r"\section{Method}" and not (tmp_path / "other.tex").exists()
    with pytest.raises(HarnessError, match="name of the text on method"):
        run("--format", "tex", "--output", method)
    with pytest.raises(HarnessError, match="--format tex"):
        run("--method")


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
    """Without an error, no line wider than the page, no float taller."""
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
