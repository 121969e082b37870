"""`harness report`, `harness export` and `harness history`."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.schema import Domain, StoredRun
from tests import factories
from tests.cli.helpers import CELLS, assert_error, keep, measured
from tests.factories import COUNTERS, MODELLED, case


def test_export_and_report_of_a_stored_run(harness, tmp_path):
    """Data on stdout, files in the run's folder; an unknown table, format, column or unit is an error with the nearest name."""
    from harness.store import Store

    run = factories.digits()
    store = Store.create(tmp_path / "results", run.header)
    (store.folder / "records.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in run.records))
    done = harness("export", run.header.run_id, "--format", "csv")
    assert done.stdout.startswith("schema_version,run_id,case_id")
    assert_error(harness("export", run.header.run_id, "--format", "xls"), 2, "csv")
    assert_error(harness("export", run.header.run_id, "--table", "case"), 2, "did you mean 'cases'")
    assert_error(harness("export", run.header.run_id, "--columns", "variant,enrgy_j"), 2, "did you mean 'energy_j'")
    assert_error(harness("export", run.header.run_id, "--units", "mj"), 2, "did you mean 'mJ'")
    assert harness("export", run.header.run_id, "--format", "parquet", "--output", tmp_path / "x.parquet").stdout == ""
    assert (tmp_path / "x.parquet").read_bytes().startswith(b"PAR1")
    assert harness("report", store.folder).returncode == 0
    assert {p.name for p in (store.folder / "report").iterdir()} == {"table.md", "table.csv", "pareto.png", "pareto.svg", "index.html"}


def test_a_report_has_the_requested_objectives(harness, results):
    """A redraw prints the same; a column of unknown spread is a warning, one without a direction an error."""
    run = keep(measured(factor={CELLS[1].case_id: 0.5}), results, "run-a")
    done = harness("report", "run-a", "--objective", "energy", "--objective", "resident_bytes:min")
    assert done.returncode == 0, done.stderr
    assert "front of energy, resident_bytes:" in done.stdout and "1 of 2 cases" in done.stdout
    assert harness("report", "run-a", "--objective", "energy", "--objective", "resident_bytes:min").stdout == done.stdout
    assert not (Path(run.folder) / "fronts.json").exists()
    assert "spread of window_s is unknown" in harness("report", "run-a", "--objective", "energy", "--objective", "window_s:min").stderr
    assert_error(harness("report", "run-a", "--objective", "energy", "--objective", "macs"), 2, "needs a direction", "macs:min")
    assert_error(harness("report", "run-a", "--objective", "enery"), 2, "did you mean 'energy")


def test_simulated_energies_are_not_published_by_mistake(harness, tmp_path):
    """Markdown, LaTeX and HTML need --allow-simulated; raw data have the kind in a column."""
    from harness.store import Store

    run = factories.digits()
    store = Store.create(tmp_path / "results", run.header)
    records = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": "simulated"}) for m in r.measurements)})
        for r in run.records
    ]
    (store.folder / "records.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in records))
    for format_ in ("md", "tex", "html"):
        assert_error(harness("export", store.folder, "--format", format_), 2, "simulator", "--allow-simulated")
    assert_error(harness("export", store.folder, "--format", "csv", "--columns", "case_id,energy_j"), 2, "energy_kind")
    assert_error(harness("history", "dense", store.folder), 2, "contain 'dense'")
    assert_error(harness("history", run.records[0].case_id, store.folder), 2, "simulator")
    assert "simulated" in harness("export", store.folder, "--allow-simulated").stdout
    assert "simulated" in harness("export", store.folder, "--format", "csv").stdout


def test_a_simulated_build_does_not_prevent_the_export_of_measured_cases(harness, results):
    """The build was in the cache: only the table of builds contains its energy."""
    base = measured()
    simulated = Domain(name="package", sensor="replay", quantity="energy", unit="J", kind="simulated")
    keep(replace(base, records=(*base.records, factories.build_record("build-int8", (simulated,)))), results, "run-a")
    assert harness("export", "run-a").returncode == 0
    assert_error(harness("export", "run-a", "--table", "builds"), 2, "simulator")


def test_the_history_of_a_case_over_runs(harness, tmp_path):
    """One row per run in order of time, with what changed; without names every run of the folder; a run without the case is a warning."""
    from harness.store import Store

    run = factories.digits()
    for number, version in enumerate(("1.22.0", "1.23.0")):
        box = run.header.environments[0].model_copy(update={"versions": {"onnxruntime": version}})
        changes = {"run_id": f"run-{number}", "started_utc": f"2026-01-0{2 - number}T10:00:00+00:00", "environments": (box,)}
        store = Store.create(tmp_path / "results", run.header.model_copy(update=changes))
        (store.folder / "records.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in run.records))
    rows = [line for line in harness("history", run.records[0].case_id).stdout.splitlines() if line.startswith("|")]
    assert "energy_uJ" in rows[0]
    assert ["run-1" in rows[2], "run-0" in rows[3]] == [True, True]
    assert "onnxruntime 1.23.0 -> 1.22.0" in rows[3] and "onnxruntime" not in rows[2]
    lost = Store.create(tmp_path / "results", run.header.model_copy(update={"run_id": "empty"}))
    done = harness("history", run.records[0].case_id, "run-0", lost.folder)
    assert done.returncode == 0 and "is not in empty" in done.stderr
    assert_error(harness("history", "dens/litert", "run-0"), 2, "no case")


def history(harness, *runs: str) -> list[dict[str, str]]:
    done = harness("history", CELLS[0].case_id, *runs, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def later(run: StoredRun, day: int) -> StoredRun:
    """The run, started on a later day."""
    return replace(run, header=run.header.model_copy(update={"started_utc": f"2026-02-{day:02}T10:00:00+00:00"}))


def test_the_history_compares_each_run_with_the_one_before(harness, results):
    """8 % more is worse; neither the first run nor another energy kind has a verdict; latency has its own."""
    keep(later(measured(), 1), results, "run-1")
    keep(later(measured(factor={CELLS[0].case_id: 1.08}), 2), results, "run-2")
    keep(later(measured(latency_s=50e-6), 3), results, "run-3")
    keep(later(measured(domains=MODELLED[:1]), 4), results, "run-4")
    rows = history(harness, "run-1", "run-2", "run-3", "run-4")
    assert [row["energy_change"] for row in rows] == ["", "worse", "better", ""]
    assert [row["energy_vs_previous"] for row in rows][::3] == ["", ""]
    assert float(rows[1]["energy_vs_previous"]) == pytest.approx(1.08)
    assert float(rows[1]["energy_vs_previous_low"]) > 1.05
    assert [row["latency_change"] for row in rows] == ["", "same", "worse", "better"]
    shown = [line for line in harness("history", CELLS[0].case_id).stdout.splitlines() if line.startswith("|")]
    assert "energy_change" in shown[0] and "worse" in shown[3] and "1.080 ±" in shown[3]


def test_an_unknown_case_is_an_error_without_a_list_of_all(harness, results):
    """A suite may have hundreds. So is a results folder without a run."""
    assert_error(harness("history", "dense"), 2, "no stored run has a case", "harness run SUITE")
    keep(measured(tuple(case(f"v{k}") for k in range(9))), results, "run-1")
    done = harness("history", "w0")
    assert_error(done, 2, "no case_id contains 'w0'", "--columns case_id")
    assert "v0 " in done.stderr and "v8 " not in done.stderr


def test_between_machines_the_history_includes_both_gains(harness, results):
    """8 % more on another machine is not separated: the gain of each sensor is known to 5 %; an unknown gain gives no ratio."""
    keep(later(measured(), 1), results, "run-1")
    keep(later(measured(factor={CELLS[0].case_id: 1.08}), 2), results, "run-2", "box-2")
    unknown = (COUNTERS[0].model_copy(update={"gain": None}),)
    keep(later(measured(domains=unknown), 3), results, "run-3")
    rows = history(harness, "run-1", "run-2", "run-3")
    assert [row["energy_change"] for row in rows] == ["", "not separated", ""]
    assert float(rows[1]["energy_vs_previous_low"]) < 1 < float(rows[1]["energy_vs_previous_high"])
    assert rows[2]["energy_vs_previous"] == ""


def test_a_file_that_cannot_be_written_is_an_error(harness, results, tmp_path):
    """A pipe is written into, a link followed, neither replaced."""
    keep(measured(), results, "base")
    (tmp_path / "folder").mkdir()
    commands = [
        ("export", "base", "--output"),
        ("history", CELLS[0].case_id, "base", "--output"),
        ("gate", "base", "--against", "base", "--junit"),
        ("gate", "base", "--against", "base", "--markdown"),
    ]
    for command in commands:
        for path in ("none/x", "folder"):
            done = harness(*command, path)
            assert done.returncode == 2 and f"{path} cannot be written" in done.stderr, done.stderr
            assert "another path" in done.stderr and "--results" not in done.stderr and "resume" not in done.stderr
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    assert harness("export", "base", "--output", "link").returncode == 0
    assert (tmp_path / "link").is_symlink() and "dense" in (tmp_path / "target").read_text()
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    assert harness("export", "base", "--output", "pipe").returncode == 0
    assert b"dense" in os.read(reader, 100_000) and (tmp_path / "pipe").is_fifo()
    os.close(reader)


def test_a_report_as_json_has_the_effect_of_each_variant(harness, results):
    """Nothing else on stdout; one entry for each run."""
    keep(measured(factor={CELLS[1].case_id: 0.5}), results, "run-a")
    keep(measured(), results, "run-b")
    done = harness("report", "run-a", "run-b", "--json")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    assert (first["run_id"], second["run_id"]) == ("run-a", "run-b")
    assert [each["variant"] for each in first["effects"]] and all(each["sentence"] for each in first["effects"])
    assert {each["case_id"] for each in first["references"]}


def test_a_history_can_be_drawn(harness, results, tmp_path):
    """Into a .png or .svg, next to the table; another ending is an error before anything is read, and simulated energies need the flag."""
    for name, factor in (("run-a", 1.0), ("run-b", 0.8)):
        keep(measured(factor={c.case_id: factor for c in CELLS}), results, name)
    done = harness("history", CELLS[0].case_id, "--plot", tmp_path / "limits.svg")
    assert done.returncode == 0, done.stderr
    assert "run-b" in done.stdout and "Energy and latency over runs" in (tmp_path / "limits.svg").read_text()
    harness("history", CELLS[0].case_id, "--plot", tmp_path / "limits.png")
    assert (tmp_path / "limits.png").read_bytes().startswith(b"\x89PNG")
    assert_error(harness("history", CELLS[0].case_id, "--plot", tmp_path / "limits.pdf"), 2, "--plot", ".png")
    simulated = Domain(name="package", sensor="replay", quantity="energy", unit="J", kind="simulated")
    keep(measured(domains=(simulated,)), results, "run-c")
    assert_error(harness("history", CELLS[0].case_id, "--plot", tmp_path / "no.svg"), 2, "simulator")
    assert not (tmp_path / "no.svg").exists()
    assert harness("history", CELLS[0].case_id, "--plot", tmp_path / "yes.svg", "--allow-simulated").returncode == 0
    assert "simulated (package)" in (tmp_path / "yes.svg").read_text()
