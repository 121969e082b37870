"""Reports that were drawn again, changed, or drawn by an earlier version."""

from __future__ import annotations

import json

import pytest

from harness import frame
from harness.errors import StoreError
from harness.report.stored import drawn_objectives
from harness.schema import OBJECTIVES, Objective
from harness.store import read_objectives, read_run, with_outputs
from harness.verify import verify
from tests.verify.forgery import CELLS, change_columns, draw, flip_bit, replace_text, reseal


def problems_of_table(folder, old, new):
    """Problems of the report after a change of its table."""
    replace_text(folder / "report" / "table.csv", old, new)
    reseal(folder)
    return [each for each in verify(folder).problems if each.startswith("report/")]


def contents(folder):
    return {path.name: path.read_bytes() for path in (folder / "report").iterdir()}


def test_a_report_can_be_drawn_again(folder):
    """The same files; with other objectives it is compared with those that its table names."""
    first = contents(folder)
    draw(folder)
    assert contents(folder) == first and not (folder / "fronts.json").exists()
    objectives = (OBJECTIVES[0], Objective(name="memory", column="peak_memory_bytes", direction="min"))
    draw(folder, objectives)
    assert drawn_objectives(folder) == objectives
    assert verify(folder).problems == []


@pytest.mark.parametrize("objectives", ["energy;memory", "nothing", "", "energy", "energy;quality;latency;=1"])
def test_other_objectives_in_the_table_are_reported(folder, objectives):
    """They give other fronts, or there are none of that name."""
    problems = problems_of_table(folder, "energy;quality;latency", objectives)
    assert any("front_objectives" in each for each in problems)


def older_report(folder):
    """A report of an earlier version: other words, a column less, and the objectives in a file of their own."""
    objectives = [{"name": "memory", "column": "peak_memory_bytes", "direction": "min"}, OBJECTIVES[0].model_dump()]
    groups = {"digits-cnn": {"energy_j": {"ideal": 0.0, "reference": 1.0}}}
    (folder / "fronts.json").write_text(json.dumps({"schema_version": 2, "objectives": objectives, "drawn_by": "0.0.9", "groups": groups}))
    path = folder / "report" / "table.csv"
    path.write_text(path.read_text().replace("front_objectives", "other").replace("0.5,", "0.6,"))
    reseal(folder)


def test_a_report_of_an_earlier_version_is_checked_by_checksum(folder):
    """With a note; a changed byte is reported, and once drawn again its cells are compared."""
    older_report(folder)
    result = verify(folder)
    assert result.problems == [] and "the report" not in result.recomputed
    assert any("an earlier version drew the report" in note for note in result.notes)
    flip_bit(folder / "report" / "table.csv", 40)
    assert verify(folder).problems == ["report/table.csv was changed"]
    draw(folder)
    assert verify(folder).problems == [] and verify(folder).recomputed["the report"] > 100


def test_the_objectives_of_an_earlier_run_are_read(folder):
    """Its reference points are not; a damaged file is an error."""
    older_report(folder)
    assert [each.name for each in drawn_objectives(folder)] == ["memory", "energy"]
    for text in ("{", "[]", '{"objectives": [{"name": 1}]}', '{"groups": {}}'):
        (folder / "fronts.json").write_text(text)
        with pytest.raises(StoreError, match=r"fronts\.json"):
            read_objectives(folder)


@pytest.mark.parametrize("name", ["table.md", "index.html", "pareto.svg", "pareto.png"])
def test_texts_and_pictures_are_checked_by_checksum(folder, name):
    """A changed byte is reported; the words of a page are not compared."""
    flip_bit(folder / "report" / name, 30)
    assert verify(folder).problems == [f"report/{name} was changed"]
    reseal(folder)
    assert verify(folder).problems == []


def test_a_changed_cell_is_reported_with_row_and_column(folder):
    """A text where a number should be, too."""
    energy_j = repr(float(frame.cases([with_outputs(read_run(folder))])["energy_j"].iloc[0]))
    assert any("report/table.csv, digits-cnn dense" in each and "energy_j" in each for each in problems_of_table(folder, energy_j, "1e-9"))
    assert any("energy_j is stored as 'low'" in each for each in problems_of_table(folder, "1e-9", "low"))


def test_lost_and_added_rows_are_reported(folder):
    """By case."""
    problems = problems_of_table(folder, CELLS[1].case_id, "another")
    assert f"report/table.csv lacks the row {CELLS[1].case_id}" in problems
    assert "report/table.csv has a row that is not in the run: another" in problems


@pytest.mark.parametrize("name", ["table.csv", "table.md", "index.html", "pareto.svg"])
def test_a_report_has_all_its_files_and_no_other(folder, name):
    """Although the manifest fits."""
    (folder / "report" / name).rename(folder / "report" / "better.csv")
    reseal(folder)
    problems = verify(folder).problems
    assert f"report/{name} is missing" in problems
    assert "report/better.csv does not belong to a report" in problems


def test_a_changed_answer_changes_the_verdicts_of_the_table(folder):
    """Two samples exchanged leave the accuracy as it is, but not the comparison with dense. So with the outputs."""
    path = next(folder.glob("traces/*int8*-r0-a1.quality.parquet"))
    change_columns(path, lambda columns: columns["value"].__setitem__([0, 1], [0.0, 1.0]))
    reseal(folder)
    assert any(f"report/table.csv, {CELLS[1].case_id}: quality_diff_low" in each for each in verify(folder).problems)
    next(folder.glob("traces/*int8*-r0-a1.outputs.parquet")).unlink()
    reseal(folder)
    assert any(f"report/table.csv, {CELLS[1].case_id}: agreement" in each for each in verify(folder).problems)


def test_verdicts_of_an_earlier_version_are_a_note(folder, monkeypatch):
    """All of them by Holm's correction; a verdict that neither correction gives is a problem."""
    from harness.frame import baseline
    from harness.verify import report

    name = "energy_verdict"
    rows = report.stored_table(folder)[1]
    verdict = next(row[name] for row in rows if row[name])
    other = "same" if verdict != "same" else "worse"

    def older(results, adjust):
        return {
            row["case_id"]: {each: (other if each == name else row[each]) or None for each in report.VERDICTS} for row in rows if row[name]
        }

    text = (folder / "report" / "table.csv").read_text()
    (folder / "report" / "table.csv").write_text(text.replace(f",{verdict},", f",{other},"))
    reseal(folder)
    assert any("verdict" in each for each in verify(folder).problems)
    assert baseline.joint_verdicts is report.joint_verdicts
    monkeypatch.setattr(report, "joint_verdicts", older)
    result = verify(folder)
    assert not any(name in each for each in result.problems), result.problems
    assert any("Holm's correction" in note for note in result.notes)
