"""ONNX Runtime on a GPU: which driver and card its package needs."""

from __future__ import annotations

import pytest

from harness import venvs
from harness.engines.onnxruntime_gpu import examine, placed
from harness.errors import EngineError

CARD = {"name": "NVIDIA H100", "driver": "550.54.14", "cuda_driver_version": "12.4", "compute_capability": "9.0"}
CU12 = ("1.26.0", 'nvidia-cuda-runtime-cu12~=12.0; extra == "cuda"')
CU13 = ("1.31.1", 'nvidia-cuda-runtime~=13.0; extra == "cuda"')


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A virtual environment with a release of onnxruntime-gpu."""
    monkeypatch.setenv("HARNESS_VENV_ONNXRUNTIME_GPU", str(tmp_path))

    def install(release: tuple[str, str]) -> str:
        info = tmp_path / "lib/python3.11/site-packages/onnxruntime_gpu.dist-info"
        info.mkdir(parents=True)
        head = f"Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: {release[0]}\n"
        (info / "METADATA").write_text(
            f'{head}Requires-Dist: numpy\nRequires-Dist: nvidia-cuda-nvrtc~=99.0; extra == "cuda"\nRequires-Dist: {release[1]}\n'
        )
        return "onnxruntime-gpu"

    return install


def test_a_driver_that_is_too_old_is_named_with_what_fits(environment):
    """Driver, CUDA, and the release to install: before a child starts."""
    problem = examine(CARD, environment(CU13))
    assert problem and problem.refused
    assert problem.what == (
        "onnxruntime-gpu 1.31.1 needs CUDA 13, but the driver here is 550.54.14, for CUDA 12.4; CUDA 13 needs 580 or newer"
    )
    assert "install onnxruntime-gpu 1.26, the last one for CUDA 12" in problem.hint and "update the driver to 580" in problem.hint


@pytest.mark.parametrize(
    ("release", "changes", "words"),
    [
        (CU12, {}, None),
        (CU12, {"driver": "580.65.06", "cuda_driver_version": "13.0"}, None),
        (CU13, {"driver": "580.65.06", "cuda_driver_version": "13.0"}, None),
        (CU12, {"driver": "470.82", "cuda_driver_version": "11.4"}, "CUDA 12 needs 525 or newer"),
        (CU13, {"cuda_driver_version": None}, "CUDA 13 needs 580 or newer"),
        (CU13, {"cuda_driver_version": None, "driver": None}, None),
        (CU13, {"cuda_driver_version": "13.0", "compute_capability": "7.0"}, "does not support compute capability 7.0"),
        (CU12, {"compute_capability": "12.0"}, "holds no code for compute capability 12.0"),
        (CU13, {"cuda_driver_version": "13.0", "compute_capability": "12.0"}, None),
        (CU13, {"cuda_driver_version": "13.0", "compute_capability": None}, None),
        (("1.31.1", "numpy"), {}, None),
    ],
)
def test_what_a_release_needs(environment, release, changes, words):
    """Of the driver, by its CUDA or else by its number, and of the card; nothing is concluded from what is not reported."""
    problem = examine({**CARD, **changes}, environment(release))
    assert (problem and words in problem.what) if words else problem is None
    assert problem is None or problem.refused is ("no code" not in problem.what)


def test_nothing_is_known_of_a_package_that_is_not_installed(monkeypatch, tmp_path):
    """The missing environment has an error of its own."""
    monkeypatch.setenv("HARNESS_VENV_ONNXRUNTIME_GPU", str(tmp_path))
    assert examine(CARD, "onnxruntime-gpu") is None


def test_a_library_that_reports_no_place_is_refused():
    """Before 1.24: its rows could not be distinguished from those of the CPU."""
    with pytest.raises(EngineError, match="does not report which provider") as caught:
        placed(object(), "CUDAExecutionProvider")
    assert caught.value.refused


def test_the_environment_of_a_gpu_is_another_one(monkeypatch):
    """The CPU's stays in ours."""
    from harness.engines.onnxruntime import OnnxRuntime

    assert OnnxRuntime.spec.at("cpu").venv is None and venvs.used(OnnxRuntime.spec.at("cpu")) is None
    assert OnnxRuntime.spec.at("gpu").venv == "onnxruntime-gpu"
    assert OnnxRuntime.spec.at("gpu").packages[0] == "onnxruntime-gpu"
