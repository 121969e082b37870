"""Tables and text on method for a paper."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from harness import frame
from harness.frame.rows import rows_of
from harness.report import export, latex, notes, published_columns
from tests.factories import COUNTERS, digits
from tests.report.published import ONE, TWO, both, tex


def test_notes_below_are_short_and_the_method_is_complete():
    """Kind of energy, ± and marks below the table; every note, failure and warning in the method."""
    text, method = both(ONE)
    below = text[text.index(r"\smallskip") :]
    assert "Energy: counter (package+dram)." in below and "n = 19 cases, 3 launches each." in below and "!: with warnings" in below
    assert len(below) < 600  # six lines across two columns hold some 660 characters
    rows = rows_of(frame.cases(ONE))
    assert method.startswith(latex.METHOD_HEAD) and method.count(r"\item") >= len(notes(ONE, rows)) + 3
    for part in ("AMD EPYC 7763", "invalid: sensor", "refused: no GPU is visible", "front; foreign"):
        assert part in method


@pytest.mark.parametrize(("kind", "warning"), [("modelled", "errors of up to 40"), ("simulated", "test double")])
def test_modelled_and_simulated_energy_is_a_note_below_the_table(kind, warning):
    """Not only in the method."""
    run = digits(COUNTERS)
    records = [
        record.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": kind}) for m in record.measurements)})
        for record in run.records
    ]
    assert warning in tex([replace(run, records=tuple(records))])


@pytest.mark.parametrize("runs", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("name", ["cases", "runs", "domains", "builds", "history"])
def test_the_published_columns_of_each_table_fit_two_columns(runs, name):
    """Words that all rows share are a note; only columns without room are left out."""
    text = tex(runs, name)
    assert "choose fewer" not in text
    flat = re.sub(r"\\allowbreak\{\}|\\shortstack\[.\]\{|\\\\(?=[\w/])|\\(?=_)", "", text)
    left_out = {"runs": {"idle_w"}, "history": {"started_utc", "host"}}.get(name, set())
    tables = {**frame.tables(runs), "history": frame.history(runs, runs[0].records[0].case_id)}
    columns, units = published_columns(name, tables[name])
    wanted = export(tables[name], "csv", columns=columns, units=units).decode().splitlines()[0].split(",") if columns else []
    assert {column for column in wanted if column not in flat} <= left_out


def test_requested_columns_are_the_columns():
    """Also those that all rows share."""
    assert r"model & variant & energy\_j" in tex(ONE, columns=["model", "variant", "energy_j"])


def test_the_method_is_written_next_to_the_table_and_replaces_only_itself(tmp_path, capsys):
    """`--method` prints it; an author's `method.tex` is kept, and then nothing is written."""
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
    with pytest.raises(HarnessError, match="the text on method"):
        run("--format", "tex", "--output", method)
    with pytest.raises(HarnessError, match="--format tex"):
        run("--method")
