"""Queries of loaded CUDA libraries: versions, visible cards, TensorFloat-32."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import pytest

from harness.engines import cuda


@pytest.mark.parametrize(
    ("override", "engine", "expected"),
    [(None, True, True), (None, None, None), ("0", True, False), ("0", None, False), ("1", False, False)],
)
def test_the_override_disables_tf32(monkeypatch, override, engine, expected):
    """NVIDIA_TF32_OVERRIDE=0 disables it in every library; no value enables it."""
    monkeypatch.delenv(cuda.TF32_OVERRIDE, raising=False)
    if override is not None:
        monkeypatch.setenv(cuda.TF32_OVERRIDE, override)
    assert cuda.facts(engine)["tf32"] is expected


def test_no_library_is_loaded_by_a_query():
    """Without a GPU the versions and the cards are unknown."""
    assert (cuda.facts(True)["cuda"], cuda.facts(True)["cudnn"], cuda.visible_uuids()) == (None, None, None)


@pytest.mark.skipif(not shutil.which("gcc"), reason="makes two small libraries")
def test_versions_are_those_of_the_loaded_libraries(tmp_path, monkeypatch):
    """As the libraries report them, decoded by their major version."""
    for name, code in (
        ("libharness-cudnn9.so", "unsigned long cudnnGetVersion(void) { return 90100; }"),
        ("libharness-cudnn8.so", "unsigned long cudnnGetVersion(void) { return 8905; }"),
        ("libharness-cudart.so", "int cudaRuntimeGetVersion(int *v) { *v = 12080; return 0; }"),
    ):
        (tmp_path / "made.c").write_text(code)
        subprocess.run(["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(tmp_path / name), str(tmp_path / "made.c")], check=True)
        ctypes.CDLL(str(tmp_path / name))
    monkeypatch.setattr(cuda, "CUDART", ("libharness-cudart.so",))
    for name, version in (("libharness-cudnn9.so", "9.1.0"), ("libharness-cudnn8.so", "8.9.5")):
        monkeypatch.setattr(cuda, "CUDNN", (name,))
        facts = cuda.facts(True)
        assert (facts["cuda"], facts["cudnn"]) == ("12.8", version)


@pytest.mark.parametrize(
    ("card", "newest"),
    [
        ({"cuda_driver_version": "12.8", "driver": "999"}, 12),
        ({"cuda_driver_version": None, "driver": "580.65.06"}, 13),
        ({"driver": "579.99"}, 12),
        ({"driver": "460.1"}, 11),
        ({"driver": "400.1"}, 10),
        ({"driver": None}, None),
        ({}, None),
    ],
)
def test_cuda_of_a_driver(card, newest):
    """As the driver reports it, else by NVIDIA's table of drivers; unknown without either."""
    assert cuda.supported(card) == newest
    assert (cuda.too_old(card, 13) is None) is (newest is None or newest >= 13)


@pytest.mark.parametrize(("text", "expected"), [("9.0", (9, 0)), ("12.1", (12, 1)), (None, None), ("unknown", None)])
def test_compute_capability_is_two_numbers(text, expected):
    """So that 10.0 is larger than 9.0."""
    assert cuda.capability({"compute_capability": text}) == expected


@pytest.mark.skipif(not shutil.which("gcc"), reason="makes a small library")
def test_the_version_of_tensorrt_is_that_of_its_library(tmp_path, monkeypatch):
    """None if it cannot be loaded."""
    library = tmp_path / "libharness-trt.so"
    monkeypatch.setattr(cuda, "TENSORRT", (str(library),))
    assert cuda.tensorrt_version() is None
    (tmp_path / "made.c").write_text("int getInferLibVersion(void) { return 100900; }")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "made.c")], check=True)
    assert cuda.tensorrt_version() == "10.9.0"


@pytest.mark.skipif(not shutil.which("gcc"), reason="makes a small library")
@pytest.mark.parametrize(("failure", "expected"), [(0, ["GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"] * 2), (100, None)])
def test_visible_cards_are_those_of_the_loaded_driver(tmp_path, monkeypatch, failure, expected):
    """Their UUIDs; None if the driver fails, as without a device."""
    name = f"libharness-cuda-{failure}.so"
    (tmp_path / "made.c").write_text(
        f"""
        int cuInit(unsigned flags) {{ return {failure}; }}
        int cuDeviceGetCount(int *count) {{ *count = 2; return 0; }}
        int cuDeviceGet(int *device, int index) {{ *device = index; return 0; }}
        int cuDeviceGetUuid(unsigned char *uuid, int device) {{ for (int i = 0; i < 16; i++) uuid[i] = i; return 0; }}
        """
    )
    subprocess.run(["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(tmp_path / name), str(tmp_path / "made.c")], check=True)
    ctypes.CDLL(str(tmp_path / name))
    monkeypatch.setattr(cuda, "DRIVER", name)
    assert cuda.visible_uuids() == expected


@pytest.mark.parametrize(
    ("requirements", "expected"),
    [
        (["numpy", "nvidia-cuda-runtime-cu12~=12.0; extra == 'cuda'"], 12),
        (["nvidia-cuda-runtime~=13.0"], 13),
        (["nvidia-cuda-runtime-cu11==11.8.89"], 11),
        (["nvidia-cuda-nvrtc~=13.0"], None),
        ([], None),
        (['cuda-toolkit[cublas,cudart]==13.0.2; platform_system == "Linux"', "cuda-bindings<14,>=13.0.3"], 13),
    ],
)
def test_cuda_is_that_of_the_required_runtime(requirements, expected):
    """As the package's metadata name it."""
    assert cuda.required(requirements) == expected
