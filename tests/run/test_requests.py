"""What a child is started with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import plugins
from harness.run.prepared import with_prepared
from harness.run.requests import build_request, case_request
from harness.schema import Artifact, Suite
from harness.suite import load_suite
from tests import tiny
from tests.run.test_prepared import CARD, TEXT


def resolved(folder: Path, text: str) -> tuple[Suite, dict[str, Artifact]]:
    """The suite of a text, and all its artifacts."""
    (folder / "suite.yaml").write_text(text)
    suite = load_suite(folder / "suite.yaml", plugins.catalogue())
    return suite, {b.build_id: Artifact(build_id=b.build_id, format=b.format, path=str(folder), sha256="-", bytes=1) for b in suite.builds}


@pytest.mark.parametrize(
    ("variant", "precision"),
    [
        ("dense", None),
        ("float16", None),
        ("int8", "int8"),
        ("dynamic_int8", "int8"),
        ("[{prune: {}}, int8]", "int8"),
        ("{prune: {}}", None),
    ],
)
def test_the_request_has_the_precision_of_the_variant(tmp_path, variant, precision):
    """That of the last step of a chain with one; float16 only stores its weights so."""
    suite, made = resolved(tmp_path, f"name: x\nmodels: [digits-cnn]\nmatrices:\n  - {{engines: [litert], variants: [{variant}]}}\n")
    assert case_request(suite.cases[0], suite, made, 2**30).precision == precision


def test_a_build_gets_no_test_data(tmp_path):
    """So that they cannot leak into a model."""
    for split in ("train", "test"):
        np.savez(tmp_path / f"{split}.npz", x=np.zeros((4, 2)))
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    suite, made = resolved(
        tmp_path,
        "name: x\nmodels:\n  - {name: m, path: m.onnx, data: {train: {inputs: 'train.npz:x'}, test: {inputs: 'test.npz:x'}}}\n"
        "matrices:\n  - {engines: [onnxruntime], variants: [int8]}\n",
    )
    for build in suite.builds:
        task = build_request(build, suite, made, tmp_path, 2**30).task.model_dump_json()
        assert "train.npz" in task
        assert "test.npz" not in task
    assert "test.npz" in case_request(suite.cases[0], suite, made, 2**30).task.model_dump_json()


@pytest.mark.parametrize(("engine", "metric"), [("litert", "accuracy"), ('"null"', None)])
def test_a_test_double_has_no_quality(tmp_path, engine, metric):
    """Its outputs are meaningless."""
    suite, made = resolved(tmp_path, f"name: x\nmodels: [digits-cnn]\nmatrices:\n  - {{engines: [{engine}]}}\n")
    assert case_request(suite.cases[0], suite, made, 2**30).task.metric == metric


@pytest.mark.parametrize(("device", "limit_bytes"), [("cpu", 2**30), ("gpu", None)])
def test_a_case_on_a_gpu_has_no_memory_limit(tmp_path, device, limit_bytes):
    """The driver maps far more memory than it uses."""
    suite, made = resolved(tmp_path, "name: x\nmodels: [digits-cnn]\nmatrices:\n  - {engines: [tensorflow], devices: [cpu, gpu]}\n")
    case = next(case for case in suite.cases if case.device == device)
    assert case_request(case, suite, made, 2**30).task.memory_bytes == limit_bytes


def test_a_build_for_a_card_runs_there_in_the_environment_of_its_cases(tmp_path, monkeypatch):
    """On that card, with the shapes of the test data instead of the data, and without a memory limit; its cases open the model with what it made."""
    monkeypatch.setenv("HARNESS_VENV_ONNXRUNTIME_GPU", str(tmp_path / "venv"))
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to("/bin/sh")
    suite = with_prepared(load_suite(tiny.write(tmp_path, TEXT), plugins.catalogue()), plugins.catalogue(), [CARD])
    made = {b.build_id: Artifact(build_id=b.build_id, format=b.format, path=f"/{b.format}", sha256="-", bytes=1) for b in suite.builds}
    case = next(case for case in suite.cases if case.variant == "tensorrt" and case.batch_size == 4)
    request = build_request(suite.build(case.build_id), suite, made, tmp_path, 2**30, "GPU-1")
    assert request.python == (str(tmp_path / "venv/bin/python"),)
    assert request.environment["CUDA_VISIBLE_DEVICES"] == "GPU-1"
    assert (request.task.source.path, request.task.memory_bytes) == ("/onnx", None)
    assert [shape.shape for shape in request.task.shapes] == [(8,)] and "data.npz" not in request.task.model_dump_json()
    measured = case_request(case, suite, made, 2**30, "GPU-1")
    assert (measured.task.artifact.path, measured.task.prepared, measured.artifact.build_id) == ("/onnx", "/tensorrt", case.build_id)
    assert request.environment == measured.environment
    plain = next(case for case in suite.cases if case.variant == "dense" and case.device == "gpu")
    assert case_request(plain, suite, made, 2**30).task.prepared is None
