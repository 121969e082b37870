"""Figures that do not follow from the raw data, although every checksum fits."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.analysis.interval import wilson
from harness.cli.entry import run_command
from harness.energy.codes import finding
from harness.store import read_run
from harness.verify import verify
from tests.verify.forgery import CELLS, COUNTER, assert_problem, change_columns, last, problems_after, replace_text, reseal

FORGERIES = {
    "gross_j": lambda one: last(one).update(gross_j=last(one)["gross_j"] * 0.9),
    "idle_w": lambda one: last(one).update(idle_w=1.0),
    "net_j": lambda one: last(one).update(net_j=None),
    "edge_j": lambda one: last(one).update(edge_j=0.0),
    "kind": lambda one: last(one).update(kind="sampled"),
    "sensor": lambda one: last(one).update(sensor="wattmeter"),
    "gain": lambda one: last(one).update(gain=0.001),
    "package has no measurement of idle": lambda one: one["measurements"].pop(0),
    "package has a surplus measurement of steady": lambda one: one["measurements"].append(last(one)),
    "no such domain was sampled": lambda one: one["measurements"].append({**last(one), "domain": "dram"}),
    "the start of steady": lambda one: one["phases"][1].update(start_s=one["phases"][1]["start_s"] + 0.05),
    "the profile quick requires 1.5 s": lambda one: (one["phases"][1].update(end_s=52.5), last(one).update(end_s=52.5)),
    "inferences": lambda one: one.update(inferences=one["inferences"] * 2),
    "throughput_per_s": lambda one: one.update(throughput_per_s=9e9),
    "latency p99_s": lambda one: one["latency"].update(p99_s=1e-6),
    "latency queries": lambda one: one.update(latency=None),
    "quality value": lambda one: one["quality"].update(value=0.99),
    "quality low": lambda one: one["quality"].update(low=0.49),
    "quality samples": lambda one: one["quality"].update(samples=10_000),
    "it has no quality": lambda one: one.update(quality=None),
    "cpu_load": lambda one: one["conditions"].update(cpu_load=0.1),
    "the finding foreign_load": lambda one: one.update(warnings=[]),
    "the finding throttled is stored": lambda one: one["warnings"].append(finding("throttled", device="gpu:0", how="always").model_dump()),
    "its trace is named traces/x.parquet": lambda one: one.update(trace="traces/x.parquet"),
    "it has measurements but no trace": lambda one: one.update(trace=None),
    "but not the times of their windows": lambda one: one.update(windows=[]),
}


@pytest.mark.parametrize("words", FORGERIES)
def test_a_figure_that_does_not_follow_from_the_raw_data_is_reported_with_its_record(folder, words):
    """And no other record."""
    assert_problem(problems_after(folder, FORGERIES[words]), words)


def test_a_changed_energy_is_reported_with_its_relative_error(folder):
    """The report is compared with what the traces give, so it is still right."""
    (problem,) = problems_after(folder, FORGERIES["gross_j"], report=True)
    assert "gross_j" in problem
    assert "-0.1 relative" in problem


def test_a_precision_that_the_kernels_do_not_confirm_is_reported(folder):
    """In the launch that was profiled."""
    problems = problems_after(folder, lambda one: one.update(precision_ran="float16"), at=3)
    assert any("repetition 0" in each and "precision_ran is stored as 'float16', recomputed as 'int8'" in each for each in problems)


def test_a_removed_energy_is_reported_where_no_tick_is_needed(folder):
    """The integral of a power reading is recomputed whatever was stored."""
    for old, new in (('"quantity": "energy"', '"quantity": "power"'), ('"unit": "J"', '"unit": "W"')):
        replace_text(folder / "run.json", old, new)
    problems = problems_after(folder, lambda one: last(one).update(gross_j=None, kind="absent"))
    assert any("gross_j is stored as missing, recomputed as" in each for each in problems)


def test_the_interval_of_a_quality_is_that_of_wilson(folder):
    """That of the run which the tests change."""
    one = read_run(folder).records[-1].quality
    assert (one.value, one.low, one.high) == wilson(180, 360)


def halve(columns):
    """Stop the counter at half of the window."""
    of_counter = columns["domain"] == COUNTER.name
    columns["value"][of_counter] = np.minimum(columns["value"][of_counter], 18.0)


RAW = {
    ("", "gross_j"): halve,
    ("", "times that are not numbers"): lambda columns: (
        columns["start_s"].__setitem__(3, -np.inf),
        columns["end_s"].__setitem__(3, np.inf),
    ),
    ("", "cpu_load"): lambda columns: columns["value"].__setitem__(columns["domain"] == "cpu_load", 0.5),
    (".completions", "latency p50_s"): lambda columns: columns["start_ns"].__iadd__(500_000),
    (".completions", "inferences"): lambda columns: columns["queries"].__iadd__(1),
    (".quality", "quality value"): lambda columns: columns["value"].__setitem__(1, 1.0),
}


@pytest.mark.parametrize(("kind", "words"), RAW)
def test_changed_raw_data_do_not_give_the_stored_figures(folder, kind, words):
    """With the record and the figure."""
    (path,) = folder.glob(f"traces/*int8*-r2-a1{kind}.parquet")
    change_columns(path, RAW[kind, words])
    reseal(folder)
    problems = verify(folder).problems
    assert any("int8" in each and "repetition 2" in each and words in each for each in problems), problems


@pytest.mark.parametrize("kind", ["", ".completions", ".quality", ".outputs"])
@pytest.mark.parametrize("values", [["a"], [None], []])
def test_raw_data_of_another_type_are_a_problem(folder, kind, values):
    """Text, nothing, or other columns: no traceback."""
    (path,) = folder.glob(f"traces/*int8*-r0-a1{kind}.parquet")
    pq.write_table(pa.table({"domain": values, "value": values, "queries": values, "output": values} if values else {"other": [1]}), path)
    reseal(folder)
    assert any("cannot be read" in each for each in verify(folder).problems)


@pytest.mark.parametrize(("kind", "words"), [("", "cannot be read"), (".completions", "inferences"), (".quality", "quality value")])
@pytest.mark.parametrize("cut", [True, False])
def test_lost_or_truncated_raw_data_are_a_problem(folder, kind, words, cut):
    """With the record."""
    (path,) = folder.glob(f"traces/*int8*-r2-a1{kind}.parquet")
    path.write_bytes(path.read_bytes()[:-10]) if cut else path.unlink()
    reseal(folder)
    words = "cannot be read" if cut else words
    assert any("int8" in each and "repetition 2" in each and words in each for each in verify(folder).problems)


# --- an imported meter --------------------------------------------------------------------------------------------------


@pytest.fixture(params=[0.05, 0.6], ids=["quick", "slow"])
def metered(request, folder, tmp_path):
    """The run with an imported log; a slow meter has fewer readings in a window than a sensor would need."""
    ahead_s = read_run(folder).records[-1].utc_minus_monotonic_s
    t_s = np.arange(-1.0, 60.0, request.param)
    rows = "".join(f"{ahead_s + t:.3f},{100 + (t % 10 > 1):.1f}\n" for t in t_s)
    (tmp_path / "wall.csv").write_text("timestamp,power_w\n" + rows)
    assert run_command(["import-meter", str(folder), str(tmp_path / "wall.csv")], debug=True) == 0
    return folder


def test_an_imported_meter_is_recomputed(metered):
    """The report was drawn again with it, so the run passes."""
    result = verify(metered)
    assert result.problems == []
    assert any("the domain wall was imported from wall.csv" in note for note in result.notes)


def change_log(folder, change):
    """Problems after a change of the imported log."""
    path = folder / "meters" / "wall.json"
    log = json.loads(path.read_text())
    change(log["readings"][-1])
    path.write_text(json.dumps(log))
    reseal(folder)
    return verify(folder).problems


def test_an_energy_that_the_log_does_not_give_is_reported(metered):
    """Although its checksum fits."""
    problems = change_log(metered, lambda reading: reading["measurements"][-1].update(gross_j=reading["measurements"][-1]["gross_j"] * 0.5))
    assert any("repetition 2" in each and "wall steady: gross_j" in each and "-0.5 relative" in each for each in problems)


def test_a_log_of_a_record_that_is_not_in_the_run_is_reported(metered):
    """By its case."""
    problems = change_log(metered, lambda reading: reading.update(repetition=9))
    assert any(
        each.startswith(f"meters/wall.json has a record that is not in the run: {CELLS[1].case_id}") or "int8" in each for each in problems
    )
