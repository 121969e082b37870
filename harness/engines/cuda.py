"""CUDA as this process has it: visible cards, versions, TensorFloat-32; and whether a driver is new enough for a library.

Facts for the record are read from loaded libraries only, so nothing is reported for an engine that fell back to the CPU.
"""

from __future__ import annotations

import ctypes
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

TF32_OVERRIDE = "NVIDIA_TF32_OVERRIDE"
"""Environment variable; 0: no NVIDIA library uses TensorFloat-32, even if a program requests it."""
T = TypeVar("T")
DRIVER = "libcuda.so.1"
CUDNN = ("libcudnn.so.9", "libcudnn.so.8")
CUDART = ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")
TENSORRT = ("libnvinfer.so.10", "libnvinfer.so.11", "libnvinfer.so.8")
DRIVERS = {11: 450, 12: 525, 13: 580}
"""Oldest driver for any release of each CUDA, by NVIDIA's table of minor-version compatibility."""


def visible_uuids() -> list[str] | None:
    """UUIDs of the cards that this process can use, as `GPU-8932f937-...`; None if it has not loaded the CUDA driver.

    A MIG instance is reported as its card (cuDeviceGetUuid; only the second version of that function reports the instance).
    """
    return _query_loaded((DRIVER,), _device_uuids)


def facts(tf32: bool | None) -> dict[str, Any]:
    """Properties of a case on an NVIDIA GPU: `tf32`, `cuda` and `cudnn`, each None if unknown.

    Args:
        tf32: Whether the engine allows TensorFloat-32; None if it does not report it.
    """
    return {
        "tf32": False if os.environ.get(TF32_OVERRIDE) == "0" else tf32,
        "cuda": _query_loaded(CUDART, _cudart_version),
        "cudnn": _query_loaded(CUDNN, _cudnn_version),
    }


def tensorrt_version() -> str | None:
    """Version of the TensorRT library that can be loaded, `10.9.0` for 100900; None if there is none. Loads it."""
    for name in TENSORRT:
        try:
            number = int(ctypes.CDLL(name).getInferLibVersion())
        except (OSError, AttributeError):
            continue
        major = 10_000 if number >= 100_000 else 1_000
        return f"{number // major}.{number % major // 100}.{number % 100}"
    return None


def required(requirements: Iterable[str]) -> int | None:
    """Major version of CUDA that a package requires: 12 of `nvidia-cuda-runtime-cu12~=12.0; extra == "cuda"`; None if it names none."""
    matches = (re.match(r"(?:nvidia-cuda-runtime(?:-cu\d+)?|cuda-toolkit(?:\[[^]]*\])?)\s*[~=>]=\s*(\d+)", each) for each in requirements)
    return next((int(match[1]) for match in matches if match), None)


def supported(card: Mapping[str, Any]) -> int | None:
    """Newest major version of CUDA that the driver of a card runs; None if unknown.

    Args:
        card: `cuda_driver_version`, or else `driver`, as the driver reports them.
    """
    if newest := card.get("cuda_driver_version"):
        return int(str(newest).split(".")[0])
    if number := re.match(r"\d+", str(card.get("driver") or "")):
        return max((major for major, oldest in DRIVERS.items() if int(number[0]) >= oldest), default=min(DRIVERS) - 1)
    return None


def too_old(card: Mapping[str, Any], needed: int) -> str | None:
    """Sentence that the driver of a card is too old for a major version of CUDA; None if it is not, or unknown."""
    newest = supported(card)
    if newest is None or newest >= needed:
        return None
    of = card.get("cuda_driver_version") or newest
    return f"the driver here is {card.get('driver') or 'unknown'}, for CUDA {of}; CUDA {needed} needs {DRIVERS[needed]} or newer"


def capability(card: Mapping[str, Any]) -> tuple[int, int] | None:
    """Compute capability of a card as two numbers; None if not reported."""
    text = str(card.get("compute_capability") or "")
    return (int(match[1]), int(match[2])) if (match := re.fullmatch(r"(\d+)\.(\d+)", text)) else None


def _query_loaded(names: tuple[str, ...], query: Callable[[ctypes.CDLL], T | None]) -> T | None:
    """Result of a query of the first of these libraries that is loaded; None if there is none."""
    for name in names:
        try:
            return query(ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_LAZY))
        except (OSError, AttributeError):  # not loaded, or without this function
            continue
    return None


def _device_uuids(cuda: ctypes.CDLL) -> list[str] | None:
    count, device, raw = ctypes.c_int(), ctypes.c_int(), (ctypes.c_ubyte * 16)()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return None
    uuids = []
    for index in range(count.value):
        if cuda.cuDeviceGet(ctypes.byref(device), index) or cuda.cuDeviceGetUuid(ctypes.byref(raw), device):
            return None
        uuids.append(f"GPU-{uuid.UUID(bytes=bytes(raw))}")
    return uuids


def _cudart_version(library: ctypes.CDLL) -> str | None:
    """Version from cudaRuntimeGetVersion: 12080 is 12.8."""
    number = ctypes.c_int()
    failed = library.cudaRuntimeGetVersion(ctypes.byref(number))
    return None if failed else f"{number.value // 1000}.{number.value % 1000 // 10}"


def _cudnn_version(library: ctypes.CDLL) -> str | None:
    """Version from cudnnGetVersion: 90100 is 9.1.0; before version 9, 8905 was 8.9.5."""
    library.cudnnGetVersion.restype = ctypes.c_size_t
    number = int(library.cudnnGetVersion())
    major = 10_000 if number >= 90_000 else 1_000
    return f"{number // major}.{number % major // 100}.{number % 100}"
