"""What an engine needs of the machine: named before anything is measured."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from harness import plugins
from harness.run import preconditions
from tests.tasks import CASE

OLD = {
    "device": "gpu",
    "domain": "gpu:0",
    "name": "NVIDIA B200",
    "driver": "550.1",
    "cuda_driver_version": "12.4",
    "compute_capability": "10.0",
}


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """An environment with the release of onnxruntime-gpu for CUDA 13, and none of PyTorch."""
    monkeypatch.setenv("HARNESS_VENV_TORCH", str(tmp_path / "none"))
    monkeypatch.setenv("HARNESS_VENV_ONNXRUNTIME_GPU", str(tmp_path))
    info = tmp_path / "lib/python3.11/site-packages/onnxruntime_gpu.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.31.1\nRequires-Dist: nvidia-cuda-runtime~=13.0\n"
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)


def suite(*pairs):
    """Cases of engines on devices."""
    return SimpleNamespace(cases=[CASE.model_copy(update={"engine": engine, "device": device}) for engine, device in pairs])


@pytest.mark.usefixtures("environment")
def test_each_engine_names_what_keeps_it_from_a_card():
    """Once, however many cases there are; `refused` where no case can run."""
    found = preconditions.problems(
        suite(("onnxruntime", "gpu"), ("onnxruntime", "gpu"), ("onnxruntime", "cpu"), ("tensorflow", "gpu")), [OLD]
    )
    assert [(problem.refused, problem.what.split()[0]) for problem in found] == [(True, "onnxruntime-gpu"), (False, "TensorFlow's")]
    assert "550.1" in found[0].what and "CUDA 13" in found[0].what


@pytest.mark.usefixtures("environment")
def test_nothing_is_found_without_a_card_or_on_the_cpu():
    """There is nothing to compare with."""
    assert preconditions.problems(suite(("onnxruntime", "gpu"), ("tensorflow", "gpu")), []) == []
    assert preconditions.problems(suite(("onnxruntime", "cpu"), ("null", "cpu")), [OLD]) == []


@pytest.mark.usefixtures("environment")
def test_the_doctor_names_them_without_a_suite():
    """Of the card that cases run on; another card of the machine matters to none."""
    catalogue = plugins.catalogue()
    assert len(preconditions.of_cards(catalogue, [OLD, {**OLD, "device": "gpu:1"}])) == 2
    assert preconditions.of_cards(catalogue, [{**OLD, "device": "gpu:1"}]) == []


def test_a_missing_environment_is_named_before_the_run(monkeypatch, tmp_path):
    """With the command that sets it up."""
    monkeypatch.setenv("HARNESS_VENV_ONNXRUNTIME_GPU", str(tmp_path))
    (problem,) = preconditions.problems(suite(("onnxruntime", "gpu")), [])
    assert problem.refused and "make onnxruntime-gpu" in problem.hint


def test_the_missing_environment_of_a_program_is_named_too(monkeypatch, tmp_path):
    """That of a server which the options of the case choose; another server needs none."""
    monkeypatch.setenv("HARNESS_VENV_LLAMA_CPP", str(tmp_path))
    case = CASE.model_copy(update={"engine": "openai-server", "device": "cpu"})
    other = case.model_copy(update={"engine_options": {"preset": "vllm"}})
    (problem,) = preconditions.problems(SimpleNamespace(cases=[case, other]), [])
    assert problem.refused and "make llama-cpp" in problem.hint


@pytest.mark.usefixtures("environment")
def test_a_chosen_card_is_the_one_that_is_examined():
    """By its UUID, whatever card is the first."""
    new = {**OLD, "driver": "580.1", "cuda_driver_version": "13.0", "uuid": "GPU-new"}
    cards = [{**OLD, "uuid": "GPU-old"}, {**new, "device": "gpu:1", "domain": "gpu:1"}]
    chosen = suite(("onnxruntime", "gpu"))
    for uuid, refused in (("GPU-old", True), ("GPU-new", None), (None, True)):
        chosen.cases[0] = chosen.cases[0].model_copy(update={"card": uuid})
        assert next((problem.refused for problem in preconditions.problems(chosen, cards)), None) == refused


def test_pytorch_names_a_driver_that_is_too_old(monkeypatch, tmp_path):
    """By the CUDA that its wheel requires; a newer driver is fine."""
    monkeypatch.setenv("HARNESS_VENV_TORCH", str(tmp_path))
    info = tmp_path / "lib/python3.11/site-packages/torch.dist-info"
    info.mkdir(parents=True)
    requirement = 'cuda-toolkit[cublas,cudart]==13.0.2; platform_system == "Linux"'
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: 2.11.0\nRequires-Dist: {requirement}\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (problem,) = preconditions.problems(suite(("torch", "gpu")), [OLD])
    assert problem.refused and problem.what.startswith("PyTorch 2.11.0 needs CUDA 13, but the driver here is 550.1")
    assert preconditions.problems(suite(("torch", "gpu")), [{**OLD, "driver": "580.1", "cuda_driver_version": "13.0"}]) == []
