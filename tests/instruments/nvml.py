"""A configuration -> the simulated NVML driver: compiled once, configured by a file, asked for its exact energy."""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

LIBRARY = "libnvidia-ml.so.1"


@functools.cache
def library() -> Path:
    """The compiled library, alone in its folder, so that the folder can stand on LD_LIBRARY_PATH."""
    if not shutil.which("gcc"):
        pytest.skip("the simulated NVML driver needs gcc")
    folder = tempfile.mkdtemp(prefix="simulated-nvml-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / LIBRARY
    source = Path(__file__).with_name("nvml.c")
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{LIBRARY}"]
    subprocess.run(["gcc", *flags, "-o", str(path), str(source), "-lm"], check=True)
    return path


def configure(folder: Path, **settings: object) -> dict[str, str]:
    """Write a configuration: the keys are in `nvml.c`; `gpu1_wave` is for the second GPU alone.

    Returns:
        The environment variables that a process needs to meet this driver.
    """
    settings = {"origin_s": time.monotonic(), **settings}
    lines = [f"{_key(name)} {value}" for name, value in settings.items()]
    path = folder / "nvml.conf"
    path.write_text("\n".join(lines) + "\n")
    return {"SIMULATED_NVML": str(path), "LD_LIBRARY_PATH": str(library().parent)}


def truth_j(environment: dict[str, str], device: int, start_s: float, end_s: float) -> float:
    """The exact energy of one simulated GPU between two times on CLOCK_MONOTONIC."""
    os.environ["SIMULATED_NVML"] = environment["SIMULATED_NVML"]
    loaded = ctypes.CDLL(str(library()))
    loaded.nvmlInitWithFlags(0)
    loaded.simulated_energy_j.restype = ctypes.c_double
    loaded.simulated_energy_j.argtypes = (ctypes.c_int, ctypes.c_double, ctypes.c_double)
    del os.environ["SIMULATED_NVML"]
    return float(loaded.simulated_energy_j(device, start_s, end_s))


def _key(name: str) -> str:
    if name.startswith("gpu") and name[3].isdigit():
        return f"{name[3]}.{name[5:]}"
    return name
