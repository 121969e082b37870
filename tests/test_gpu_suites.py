"""The suites for machines with an NVIDIA card, on simulated cards: the output of `plan`, and a run of some cases on a fake CUDA engine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from harness.store import read_run
from tests import tiny
from tests.cli.helpers import HARNESS
from tests.instruments import cuda, nvml

SUITES = Path(__file__).parent.parent / "suites"
NAMES = ("gpu", "gpu-short", "procurement")


def written(name):
    """A suite as its file has it."""
    return YAML(typ="safe").load(SUITES / f"{name}.yaml")


def call(*arguments, **environment):
    """A command in a process of its own, which loads the simulated driver; with time-outs that only a hang reaches."""
    return subprocess.run(
        [*HARNESS, *map(str, arguments)], env={**os.environ, "COLUMNS": "120", **environment}, capture_output=True, text=True, timeout=110
    )


def planned(tmp_path, name, cards, *options):
    """Lines of `plan` on a box with this number of cards."""
    variables = nvml.configure(tmp_path, devices=cards) if cards else {}
    done = call("plan", SUITES / f"{name}.yaml", *options, HARNESS_CACHE=str(tmp_path / "cache"), **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def quick_minutes(lines):
    """Minutes of the profile quick, without builds."""
    return int(next(line for line in lines if line.startswith("quick:")).split()[2])


@pytest.mark.parametrize("cards", [1, 2, 8])
def test_most_cases_of_the_default_suite_run_on_the_card(tmp_path, cards):
    """At most 30 cases in about a quarter of an hour, on one card of any number; what is unsupported has a reason."""
    lines, _ = planned(tmp_path, "gpu", cards)
    cases = [line.split()[1] for line in lines if line.startswith("  case ")]
    assert 20 <= len(cases) <= 30
    assert sum("/gpu/" in case for case in cases) >= len(cases) / 2
    assert all(": " in line for line in lines if line.startswith("  unsupported "))
    assert 8 <= quick_minutes(lines) <= 16
    for engine in ("torch", "onnxruntime", "tensorflow"):
        assert any(f"/{engine}/gpu/" in case for case in cases)
    for variant in ("dense", "tf32", "bfloat16", "float16", "int8"):
        assert any(f"/{variant}" in case for case in cases)
    assert all(any(f"/b{size}/" in case for case in cases) for size in (1, 32, 128))


def test_the_short_suite_is_short(tmp_path):
    """Four to six cases of PyTorch alone, in under four minutes with its builds."""
    lines, _ = planned(tmp_path, "gpu-short", 1)
    cases = [line for line in lines if line.startswith("  case ")]
    assert 4 <= len(cases) <= 6 and all("/torch/gpu/" in case for case in cases)
    assert quick_minutes(lines) + 1 <= 4 and "and 1 for the builds" in lines[-3]
    names, _ = planned(tmp_path, "gpu-short", 1, "--environments")
    assert names in ([], ["torch"]), "nothing if ours has PyTorch"


def test_the_procurement_suite_takes_at_most_half_an_hour(tmp_path):
    """At the profile standard, on which an offer rests; its rules are in the suite."""
    lines, _ = planned(tmp_path, "procurement", 1)
    standard = next(line for line in lines if line.startswith("standard:"))
    most = int(standard.split(" minutes")[0].split()[-1])
    assert most <= 29
    assert set(written("procurement")["acceptance"]) >= {"max_temperature_range_k", "max_foreign_cores", "default_power_cap"}


@pytest.mark.parametrize("name", NAMES)
def test_without_a_card_the_plan_reports_it(tmp_path, name):
    """With the number of cases that need one, and what can be done; a run of cases that all need one is not started."""
    lines, stderr = planned(tmp_path, name, 0)
    assert "no sensor finds a device gpu here" in stderr and "harness doctor" in stderr
    assert " on gpu" in lines[0]
    if all(matrix["devices"] == ["gpu"] for matrix in written(name)["matrices"]):
        done = call("run", SUITES / f"{name}.yaml", HARNESS_CACHE=str(tmp_path / "cache"), HARNESS_RESULTS=str(tmp_path / "results"))
        assert done.returncode == 2 and "--device gpu" in done.stderr and not (tmp_path / "results").exists()


# --- a run on a fake CUDA engine ---------------------------------------------------------------------------------------------


def card_suite(folder, variants, engine):
    """A suite of the tiny model on the fake engine, with the matrix of the short suite and the rules of the procurement suite."""
    matrix = {**written("gpu-short")["matrices"][0], "models": ["product"], "engines": [engine], "variants": variants}
    model = {"name": "product", "path": "product.onnx", "data": {"test": {"inputs": "data.npz:x", "labels": "data.npz:y"}}}
    rules = {**written("procurement")["acceptance"], "max_foreign_cores": 100.0}
    content = {"name": "fake", "models": [model], "matrices": [matrix], "acceptance": rules}
    return tiny.write(folder, json.dumps(content))


def run_on_the_card(folder, variants, *options, card=(), engine="fake-cuda", **environment):
    """A finished run of the command, its variables and the completed process."""
    suite, packages = card_suite(folder, variants, engine), folder / "packages"
    packages.mkdir(exist_ok=True)
    wave = {"wave": "square", "low_w": 60, "high_w": 240, "wave_period_s": 0.31, "window_s": 0.1, "average_window_s": 0.1}
    settings = {"uuid": cuda.UUID, "memory_used_bytes": 1e8, "utilization": 2, **wave, **dict(card)}
    variables = nvml.configure(folder, **settings)
    paths = {
        "PYTHONPATH": f"{packages if any(packages.iterdir()) else cuda.install(packages)}:{Path(__file__).parent.parent}",
        "LD_LIBRARY_PATH": f"{variables['LD_LIBRARY_PATH']}:{cuda.driver()}",
        "HARNESS_CACHE": str(folder / "cache"),
        "HARNESS_RESULTS": str(folder / "results"),
        "TMPDIR": str(folder),
    }
    done = call("run", suite, "--window", "0.6", *options, **{**variables, **paths, **environment})
    runs = sorted((folder / "results").glob("*-fake-*"), key=lambda path: path.stat().st_mtime)
    return read_run(runs[-1]) if runs else None, variables, done


def of_the_card(record):
    """The card's energy over the window."""
    return next(m for m in record.measurements if m.domain == "gpu:0" and m.phase == "steady")


@pytest.mark.slow
def test_three_cases_run_end_to_end_with_the_energy_of_the_card(tmp_path):
    """Within 0.5 % of the truth in each launch, on the card that ran, in the precision that ran; and the run is accepted."""
    run, variables, done = run_on_the_card(tmp_path, ["dense", "tf32", "bfloat16"])
    assert done.returncode == 0, done.stderr
    records = [record for record in run.records if record.case_id]
    assert len(records) == 9 and {record.status for record in records} == {"ok"}
    for record in records:
        energy = of_the_card(record)
        assert energy.gross_j == pytest.approx(nvml.truth_j(variables, 0, energy.start_s, energy.end_s), rel=0.005)
        assert record.engine_facts["device_uuids"] == [cuda.UUID]
        assert not [finding.code for finding in record.warnings if finding.invalid]
        assert record.quality.value == 1.0
        assert "optimisation_not_confirmed" not in {finding.code for finding in record.warnings}
    ran = {record.case_id.split("/")[1]: record.precision_ran for record in records}
    assert ran == {"dense": "float32", "tf32": "tf32", "bfloat16": "bfloat16"}
    assert "acceptance of" in done.stdout and ": accepted" in done.stdout


@pytest.mark.slow
def test_a_sensor_that_dies_in_the_window_gives_no_energy(tmp_path):
    """None with its code, in the records and in the table; not the energy of the rest of the machine."""
    run, _, done = run_on_the_card(tmp_path, ["dense"], **{k: str(tmp_path / "lost") for k in ("FAKE_CUDA_LOSES", "SIMULATED_NVML_LOST")})
    from harness import frame

    records = [record for record in run.records if record.case_id]
    assert records and {record.status for record in records} == {"ok"}, done.stderr
    for record in records:
        energy = of_the_card(record)
        assert (energy.gross_j, energy.kind) == (None, "absent")
        assert "sensor_failed" in {finding.code for finding in record.warnings}
    (row,) = frame.tables([run])["cases"].to_dict("records")
    assert row["energy_j"] != row["energy_j"] and row["energy_kind"] == "absent"  # NaN: there is no energy
    assert "sensor_failed" in done.stdout


@pytest.mark.slow
def test_a_card_with_another_power_limit_than_its_default_is_refused_before_the_run(tmp_path):
    """The acceptance rule of the procurement suite, with the command that sets the limit."""
    run, _, done = run_on_the_card(tmp_path, ["dense"], card={"limit_w": 200, "limit_default_w": 300})
    assert run is None and done.returncode == 2
    assert "200 W, not its default of 300 W" in done.stderr and "nvidia-smi" in done.stderr


@pytest.mark.slow
def test_what_an_engine_compiles_for_the_card_is_a_measured_build(tmp_path):
    """On the card, with seconds, energy and payback; a second run finds it in the cache."""
    from harness import frame
    from harness.artifacts import Cache
    from harness.verify import verify

    run, variables, done = run_on_the_card(tmp_path, ["dense", "tensorrt"], engine="fake-tensorrt")
    assert done.returncode == 0, done.stderr
    (build,) = (build for build in run.header.suite.builds if build.target)
    (record,) = (record for record in run.records if record.build_id == build.build_id and record.task == "build")
    assert (record.status, record.cached, record.artifact.device, record.artifact.notes["device_uuids"]) == (
        "ok",
        False,
        "gpu",
        [cuda.UUID],
    )
    cases = [record for record in run.records if record.case_id]
    assert {record.status for record in cases} == {"ok"}
    assert {r.engine_facts.get("tensorrt_engine") for r in cases if "/tensorrt/" in r.case_id} == {"built"}
    assert {r.artifact.build_id for r in cases if "/tensorrt/" in r.case_id} == {build.build_id}
    tables = frame.tables([run])
    (row,) = tables["builds"][tables["builds"].build_id == build.build_id].to_dict("records")
    (phase,) = record.phases
    assert row["seconds"] > 0.6 and "gpu:0" in row["energy_scope"] and "fake_trt 10.9.0" in row["lineage"]
    assert row["energy_j"] > 0.97 * nvml.truth_j(variables, 0, phase.start_s, phase.end_s)
    (case,) = tables["cases"][tables["cases"].variant == "tensorrt"].to_dict("records")
    assert case["build_j"] == row["energy_j"], "the price of the variant is what was compiled"
    assert verify(Path(run.folder), cache=Cache(tmp_path / "cache")).problems == []

    again, _, done = run_on_the_card(tmp_path, ["tensorrt"], engine="fake-tensorrt")
    assert done.returncode == 0, done.stderr
    records = {record.build_id: record for record in again.records if record.task == "build"}
    assert records[build.build_id].cached and len(records) == 2


@pytest.mark.slow
def test_a_model_that_cannot_be_compiled_fails_its_cases_alone(tmp_path):
    """With the reason of the build; the cases without it run."""
    run, _, done = run_on_the_card(tmp_path, ["dense", "tensorrt"], engine="fake-tensorrt", FAKE_TRT_FAILS="1")
    assert done.returncode == 3
    statuses = {record.case_id.split("/")[1]: (record.status, record.reason) for record in run.records if record.case_id}
    assert statuses["dense"] == ("ok", None)
    assert statuses["tensorrt"][0] == "failed" and "no tactic for MatMul" in statuses["tensorrt"][1]
