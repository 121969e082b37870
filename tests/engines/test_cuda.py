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
