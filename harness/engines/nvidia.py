"""This process, once an engine has used an NVIDIA GPU -> the CUDA and cuDNN that it loaded, and whether float32 products may be computed in TensorFloat-32."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

OVERRIDE = "NVIDIA_TF32_OVERRIDE"
"""0: no NVIDIA library uses TensorFloat-32, whatever a program asks for."""
CUDNN = ("libcudnn.so.9", "libcudnn.so.8")
CUDART = ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")


def facts(tf32: bool | None) -> dict[str, Any]:
    """What an engine reports of a case on an NVIDIA GPU.

    Args:
        tf32: Whether the engine allows TensorFloat-32; null: it does not report it.

    Returns:
        `tf32`, `cuda` and `cudnn`, each null where it is not known.
    """
    return {
        "tf32": False if os.environ.get(OVERRIDE) == "0" else tf32,
        "cuda": _version(CUDART, _cudart),
        "cudnn": _version(CUDNN, _cudnn),
    }


def _version(names: tuple[str, ...], read: Callable[[ctypes.CDLL], str | None]) -> str | None:
    """Of the first of these libraries that this process has loaded; none is loaded for it."""
    for name in names:
        try:
            return read(ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_LAZY))
        except (OSError, AttributeError):  # it is not loaded, or has no such function
            continue
    return None


def _cudart(library: ctypes.CDLL) -> str | None:
    """cudaRuntimeGetVersion: 12080 is 12.8."""
    number = ctypes.c_int()
    failed = library.cudaRuntimeGetVersion(ctypes.byref(number))
    return None if failed else f"{number.value // 1000}.{number.value % 1000 // 10}"


def _cudnn(library: ctypes.CDLL) -> str | None:
    """cudnnGetVersion: 90100 is 9.1.0, and before version 9 8905 was 8.9.5."""
    library.cudnnGetVersion.restype = ctypes.c_size_t
    number = int(library.cudnnGetVersion())
    major = 10_000 if number >= 90_000 else 1_000
    return f"{number // major}.{number % major // 100}.{number % 100}"
