"""The simulated NVML driver for the real pynvml of this process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import pynvml
import pytest

from harness.schema import Domain
from harness.sensors.nvml import Nvml
from tests.instruments import nvml as instrument

Driver = Callable[..., Nvml]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A function that configures the simulated driver and returns a sensor on it, not opened."""

    def configured(**settings: object) -> Nvml:
        monkeypatch.setenv("SIMULATED_NVML", instrument.configure(tmp_path, **settings)["SIMULATED_NVML"])
        return Nvml()

    monkeypatch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(instrument.library())))
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    return configured


def by_name(sensor: Nvml) -> dict[str, Domain]:
    """Open a sensor; its domains by name."""
    return {domain.name: domain for domain in sensor.open()}
