"""The benchmarks: every part starts, and the alternating loop runs on a task as the parent writes it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import io
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks import cost, real_card, turns
from benchmarks.__main__ import PARTS, main
from harness.schema.worker import ArrayFile, MeasureTask, ModelFile
from tests.make_models import SAMPLES
from tests.models import models


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_rows(part):
    """Without running them."""
    assert callable(importlib.import_module(f"benchmarks.{part}").rows)


SMALLEST = {"coverage": {"sessions": 1}, "winners": {"pairs": 1}, "gate": {"pairs": 1}, "part_time": {"windows": 1, "window_s": 1.0}}
"""Parts that are simulations alone, at their smallest size."""


@pytest.mark.parametrize("part", SMALLEST)
def test_simulations_give_rows(part):
    """Each with a figure, its goal and what was measured."""
    for row in importlib.import_module(f"benchmarks.{part}").rows(**SMALLEST[part]):
        assert set(row) == {"figure", "goal", "measured"} and row["measured"]


def embedded() -> Iterator[tuple[str, ast.ImportFrom]]:
    """The imports from this project in the programs that benchmarks start."""
    for path in sorted(Path(benchmarks.__file__).parent.glob("*.py")):
        for name, value in vars(importlib.import_module(f"benchmarks.{path.stem}")).items():
            if name.isupper() and isinstance(value, str) and "import " in value:
                for node in ast.walk(ast.parse(value)):
                    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("benchmarks", "harness", "tests"):
                        yield f"{path.stem}.{name}", node


def test_programs_that_benchmarks_start_import_what_exists():
    """A name that has moved would otherwise be found only by a run of an hour."""
    found = list(embedded())
    missing = [
        f"{where}: {node.module}.{alias.name}"
        for where, node in found
        for alias in node.names
        if not hasattr(importlib.import_module(str(node.module)), alias.name) and not _is_module(f"{node.module}.{alias.name}")
    ]
    assert found and not missing


def _is_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def test_an_unknown_part_is_an_error_with_the_choices(monkeypatch):
    """Before any other part runs."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", "window"])
    with pytest.raises(SystemExit, match="unknown part: window\nchoose from: windows"):
        main()


@pytest.mark.slow
def test_the_alternating_loop_reads_a_task(tmp_path, monkeypatch, capsys):
    """Its output is a ratio for each pair of rounds."""
    np.savez(tmp_path / "test.npz", inputs=SAMPLES)
    task = MeasureTask(
        engine="litert", device="cpu", batch_size=1, threads=1, scenario="single_stream",
        artifact=ModelFile(path=str(models() / "small.tflite"), format="tflite"),
        inputs=(ArrayFile(path=str(tmp_path / "test.npz"), key="inputs"),),
    )  # fmt: skip
    monkeypatch.setattr(sys, "stdin", io.StringIO(task.model_dump_json()))
    monkeypatch.setattr(turns, "ROUNDS", 2)
    monkeypatch.setattr(turns, "ROUND_S", 0.01)
    turns.main()
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_a_window_without_an_energy_is_left_out_of_the_ratios():
    """It is absent, never 0; the findings give the reason."""
    energy = {"phase": "steady", "domain": "gpu:0", "start_s": 0.0, "end_s": 2.0, "gross_j": 200.0, "integrated_j": 160.0}
    measured = {"measurements": [energy], "warnings": [{"code": "counter_power_disagree"}], "zeus": [0.0, 1.0, 110.0]}
    absent = {**measured, "measurements": [{**energy, "gross_j": None}]}
    (power,) = real_card.against_power([measured, absent])
    assert power["measured"].startswith("1.2500") and "in 1 windows; findings: counter_power_disagree" in power["measured"]
    (zeus,) = real_card.against_zeus([measured, absent], {})
    assert zeus["measured"].startswith("1.1000")
    assert real_card.against_zeus([absent], {})[0]["measured"] == "no window with both energies"


def test_a_median_has_an_interval_from_six_values_on():
    """By order statistics."""
    assert cost.median_text([1.0] * 5) == "1.0000" and cost.median_text([1, 2, 3, 4, 5, 6]) == "3.5000 [1.0000, 6.0000]"


def test_a_case_states_its_half_widths_or_why_it_has_none():
    """Relative to the value; a case without an interval has no width."""
    case = {
        "status": "ok", "valid": True, "energy_kind": "counter", "energy_j": 2.0, "energy_low_j": 1.9, "energy_high_j": 2.1,
        "latency_p50_s": 0.1, "latency_p50_low_s": math.nan, "latency_p50_high_s": math.nan,
    }  # fmt: skip
    assert real_card.case_text(case) == "valid, counter; energy +- 5.0%, p50 unknown"
    invalid = {**case, "valid": False, "invalid_reasons": "throttled", "energy_j": math.nan}
    assert real_card.case_text(invalid) == "throttled, counter; energy unknown, p50 unknown"
    assert real_card.case_text({"status": "refused", "reason": "no CUDA"}) == "refused: no CUDA"
