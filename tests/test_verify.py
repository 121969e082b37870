"""A run's folder beside its manifest and its own raw data: whatever was changed is found and named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from harness import energy, frame, manifest
from harness.analysis.interval import percentile
from harness.energy import Progress, Window
from harness.report import write
from harness.schema import Latency, Phase, Sample, Trace
from harness.store import Store, read_run, with_answers, write_atomically
from harness.verify import verify
from tests.factories import COUNTERS, case, record, stored

CELLS = (case("dense"), case("int8"))
DOMAIN = COUNTERS[0]


def measured(cell, repetition, watts):
    """A record that follows from its trace: a counter of 1 ms ticks under a level load, queries of 1 ms."""
    t_s = np.arange(0, 4, 0.0005) + 0.01 * repetition
    trace = Trace({DOMAIN.name: DOMAIN}, {DOMAIN.name: Sample(t_s, t_s, watts * np.floor(t_s / 0.001) * 0.001)})
    ends = (np.arange(1001, 3500) * 1_000_000).astype(np.int64)
    completions = np.stack([ends - 1_000_000, ends, np.ones_like(ends)])
    windows = [Window("idle", 0.1, 0.2, 0.6, 0.7), Window("steady", 1.2, 1.3, 3.0, 3.1)]
    progress = Progress.of(*completions, 1)
    found = energy.measure(trace, windows, progress)
    steady = next(m for m in found if m.phase == "steady")
    inferences = progress.between(steady.start_s, steady.end_s)
    inside = (ends * 1e-9 - 1e-3 >= steady.start_s) & (ends * 1e-9 <= steady.end_s)
    each = ((completions[1] * 1e-9) - (completions[0] * 1e-9))[inside]
    p50, p90, p95, p99 = (percentile(each, p) for p in (50, 90, 95, 99))
    one = record(
        cell, {}, repetition=repetition, measurements=tuple(found), inferences=inferences,
        throughput_per_s=inferences / (steady.end_s - steady.start_s),
        phases=(Phase(name="idle", start_s=0.2, end_s=0.6), Phase(name="steady", start_s=steady.start_s, end_s=steady.end_s)),
        latency=Latency(queries=len(each), mean_s=float(np.average(each)), p50_s=p50, p90_s=p90, p95_s=p95, p99_s=p99),
    )  # fmt: skip
    return one, trace, completions, np.tile([1.0, 0.0], 180)


def seal(folder):
    write_atomically(folder / manifest.NAME, manifest.seal(folder))


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """A run of two cases and three launches, its report drawn, its manifest written."""
    store = Store.create(tmp_path_factory.mktemp("results"), stored(CELLS, [], COUNTERS[:1]).header)
    for repetition in range(3):
        for index, cell in enumerate(CELLS):
            store.append(*measured(cell, repetition, 10.0 + index + 0.1 * repetition))
    run = with_answers(read_run(store.folder))
    write(run, frame.tables([run]))
    seal(store.folder)
    return store.folder


@pytest.fixture
def folder(sealed, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(sealed, tmp_path / "run")


def test_what_was_written_and_follows_from_its_traces_is_right(folder):
    """No word against it, and every file and figure was looked at."""
    found = verify(folder)
    assert found.wrong == []
    assert found.files == len([p for p in folder.rglob("*") if p.is_file()]) - 1
    assert found.figures > 100


def flipped(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


KINDS = ("run.json", "records.jsonl", "traces/*.completions.parquet", "traces/*.quality.parquet", "report/table.csv", "report/index.html",
         "report/pareto.png", "manifest.json")  # fmt: skip


@pytest.mark.parametrize("pattern", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.37, 0.999])
def test_one_byte_changed_in_any_file_is_found_and_named(folder, pattern, share):
    """At the beginning, in the middle and at the end of each kind of file."""
    path = sorted(folder.glob(pattern))[0]
    flipped(path, int(share * (path.stat().st_size - 1)))
    assert any(str(path.relative_to(folder)) in sentence for sentence in verify(folder).wrong)


def test_a_trace_that_was_changed_is_named_with_its_row(folder):
    """The file, the case and the repetition."""
    one = read_run(folder).records[3]
    flipped(folder / one.trace, 200)
    said = verify(folder).wrong
    assert any(one.trace in s and f"{one.case_id}, repetition {one.repetition}" in s for s in said)


def test_the_line_of_a_changed_record_is_named(folder):
    """The second of six."""
    path = folder / "records.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"repetition":0', b'"repetition":9', 2).replace(b'"repetition":9', b'"repetition":0', 1))
    assert "records.jsonl was changed: line 2" in verify(folder).wrong


def test_a_figure_that_does_not_follow_from_the_trace_is_told_with_how_much(folder):
    """Also where the manifest was written anew to hide it."""
    path = folder / "records.jsonl"
    lines = path.read_text().splitlines()
    one = json.loads(lines[1])
    one["measurements"][-1]["gross_j"] *= 0.9
    lines[1] = json.dumps(one)
    path.write_text("\n".join(lines) + "\n")
    (folder / manifest.NAME).unlink()
    seal(folder)
    said = verify(folder).wrong
    assert any("int8" in s and "repetition 0" in s and "gross_j" in s and "-0.1 relative" in s for s in said)
    assert not any("report" in s for s in said)  # its table was drawn from what the trace gives


def test_a_cell_of_the_table_that_the_records_do_not_give_is_told(folder):
    """With the row and the column."""
    path = folder / "report/table.csv"
    run = with_answers(read_run(folder))
    energy_j = frame.cases([run])["energy_j"].iloc[0]
    path.write_text(path.read_text().replace(repr(float(energy_j)), repr(float(energy_j) / 2), 1))
    assert any("report/table.csv, digits-cnn dense" in s and "energy_j" in s for s in verify(folder).wrong)


def test_files_that_are_lost_or_added_are_told(folder):
    """Either way."""
    trace = sorted(folder.glob("traces/*.quality.parquet"))[0]
    trace.rename(trace.with_name("stray.parquet"))
    said = verify(folder).wrong
    assert f"{trace.relative_to(folder)} is missing" in " ".join(said)
    assert "traces/stray.parquet is not in the manifest" in said


def test_without_a_manifest_the_figures_are_still_computed_and_nothing_passes(folder):
    """An interrupted run, or one whose manifest was taken away."""
    (folder / manifest.NAME).unlink()
    found = verify(folder)
    assert len(found.wrong) == 1
    assert "no manifest.json" in found.wrong[0]
    assert found.figures > 100


def test_a_resumed_run_adds_records_and_blesses_nothing(folder):
    """New lines and files are entered; what was changed before stays wrong, also when the report is drawn again."""
    store = Store(folder)
    store.append(*measured(CELLS[0], 3, 10.0))
    run = with_answers(read_run(folder))
    write(run, frame.tables([run]))
    seal(folder)
    assert verify(folder).wrong == []
    flipped(folder / "run.json", 20)
    seal(folder)
    write_atomically(folder / manifest.NAME, manifest.redrawn(folder))
    assert any(s.startswith("run.json was changed") for s in verify(folder).wrong)
