"""A simulated CUDA driver and the package of the fake CUDA engine, for processes that are started with the returned variables."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

UUID = "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"
"""UUID of the only card of the simulated CUDA driver."""
SOURCE = """
int cuInit(unsigned flags) { (void)flags; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetUuid(unsigned char *uuid, int device) { (void)device; for (int i = 0; i < 16; i++) uuid[i] = i; return 0; }
"""
ENTRY_POINTS = "[harness.engines]\nfake-cuda = fake_cuda:FakeCuda\nfake-tensorrt = fake_cuda:FakeTensorRt\n"


@functools.cache
def driver() -> Path:
    """The compiled libcuda.so.1, alone in its folder, so that the folder can stand on LD_LIBRARY_PATH."""
    if not shutil.which("gcc"):
        pytest.skip("the simulated CUDA driver needs gcc")
    folder = Path(tempfile.mkdtemp(prefix="simulated-cuda-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "cuda.c").write_text(SOURCE)
    flags = ["-shared", "-fPIC", "-O1", "-Wl,-soname,libcuda.so.1"]
    subprocess.run(["gcc", *flags, "-o", str(folder / "libcuda.so.1"), str(folder / "cuda.c")], check=True)
    return folder


def install(folder: Path) -> Path:
    """Install the fake engine as a package into a folder; the folder then belongs on PYTHONPATH."""
    shutil.copy(Path(__file__).with_name("fake_cuda.py"), folder / "fake_cuda.py")
    info = folder / "fake_cuda-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-cuda\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder
