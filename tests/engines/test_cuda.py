"""What the child reports of NVIDIA's libraries: what it has loaded, and whether TensorFloat-32 is allowed."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import pytest

from harness.engines import cuda
from harness.engines.onnxruntime import _tf32


@pytest.mark.parametrize(
    ("override", "engine", "expected"),
    [(None, True, True), (None, None, None), ("0", True, False), ("0", None, False), ("1", False, False)],
)
def test_the_override_has_the_last_word(monkeypatch, override, engine, expected):
    """NVIDIA_TF32_OVERRIDE=0 turns it off in every library; nothing turns it on for an engine that does not allow it."""
    monkeypatch.delenv(cuda.TF32_OVERRIDE, raising=False)
    if override is not None:
        monkeypatch.setenv(cuda.TF32_OVERRIDE, override)
    assert cuda.facts(engine)["tf32"] is expected


def test_nothing_is_loaded_to_find_a_version():
    """On a machine without a GPU both are null."""
    assert (cuda.facts(True)["cuda"], cuda.facts(True)["cudnn"]) == (None, None)


@pytest.mark.skipif(not shutil.which("gcc"), reason="makes two small libraries")
def test_versions_are_those_of_the_loaded_libraries(tmp_path, monkeypatch):
    """As the libraries themselves report them, by the rule of their major version."""
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
        found = cuda.facts(True)
        assert (found["cuda"], found["cudnn"]) == ("12.8", version)


@pytest.mark.parametrize(("options", "expected"), [({"use_tf32": "1"}, True), ({"use_tf32": "0"}, False), ({}, None)])
def test_onnx_runtime_reports_it_of_its_provider(options, expected):
    """CUDA's provider has the option, TensorRT's has not."""
    assert _tf32(options) is expected
