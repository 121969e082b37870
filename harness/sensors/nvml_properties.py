"""Properties and state of an NVIDIA card for the record: clocks, limits, ECC, PCIe link, versions; None if not reported."""

from __future__ import annotations

from typing import Any

from harness.sensors.nvml_driver import EVENT_REASONS, Driver

CLOCKS_SET = 0x2
"""Event reason: application or locked clocks determine the clock. NVML has no call that reads locked clocks back."""
MEMORY_TEMPERATURE = 82
"""Field NVML_FI_DEV_MEMORY_TEMP, degC."""
SUPERCHIPS = ("GH200", "GB200", "GB300")


def properties(driver: Driver, handle: Any) -> dict[str, Any]:
    """What stays the same during a run.

    Raises:
        SensorError: The card has no UUID.
    """
    nvml = driver.nvml
    name, mig = driver.get("nvmlDeviceGetName", handle) or "NVIDIA GPU", driver.flag("nvmlDeviceGetMigMode", handle)
    capability, ecc = driver.get("nvmlDeviceGetCudaComputeCapability", handle), driver.get("nvmlDeviceGetEccMode", handle)
    return {
        "name": name,
        "uuid": driver.call("nvmlDeviceGetUUID", handle),
        "driver": driver.call("nvmlSystemGetDriverVersion"),
        "scope": _scope(name, bool(mig)),
        "mig": mig,
        "persistence": driver.flag("nvmlDeviceGetPersistenceMode", handle),
        "sm_clock_max_hz": driver.clock_hz("nvmlDeviceGetMaxClockInfo", handle, nvml.NVML_CLOCK_SM),
        "memory_clock_max_hz": driver.clock_hz("nvmlDeviceGetMaxClockInfo", handle, nvml.NVML_CLOCK_MEM),
        "power_limit_w": _watts(driver.get("nvmlDeviceGetEnforcedPowerLimit", handle)),
        "power_limit_default_w": _watts(driver.get("nvmlDeviceGetPowerManagementDefaultLimit", handle)),
        "compute_capability": None if capability is None else f"{capability[0]}.{capability[1]}",
        "cuda_driver_version": _cuda(driver.first(("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"))),
        "nvml_version": driver.get("nvmlSystemGetNVMLVersion"),
        **_clocks(driver, handle, "application", "nvmlDeviceGetApplicationsClock"),
        **_clocks(driver, handle, "application_default", "nvmlDeviceGetDefaultApplicationsClock"),
        "ecc": None if ecc is None else bool(ecc[0]),
        "ecc_pending": None if ecc is None else bool(ecc[1]),
        "pcie_generation_max": driver.get("nvmlDeviceGetMaxPcieLinkGeneration", handle),
        "pcie_width_max": driver.get("nvmlDeviceGetMaxPcieLinkWidth", handle),
        "compute_mode": driver.get("nvmlDeviceGetComputeMode", handle),
    }


def state(driver: Driver, handle: Any) -> dict[str, Any]:
    """What changes from minute to minute; `harness.environment.VOLATILE` lists these keys, so they do not change the environment's id.

    The PCIe link may be slower while the card idles: the conditions of a case hold its state under load.
    """
    nvml = driver.nvml
    reasons = driver.first(EVENT_REASONS, handle)
    memory, _ = driver.memory_reader(handle)
    return {
        **_clocks(driver, handle, "now", "nvmlDeviceGetClockInfo"),
        "clocks_set": None if reasons is None else bool(reasons & CLOCKS_SET),
        "memory_temperature_degc": driver.fields(handle, [MEMORY_TEMPERATURE]).get(MEMORY_TEMPERATURE) or None,
        "pcie_generation": driver.get("nvmlDeviceGetCurrPcieLinkGeneration", handle),
        "pcie_width": driver.get("nvmlDeviceGetCurrPcieLinkWidth", handle),
        "ecc_errors_corrected": _ecc_errors(driver, handle, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
        "ecc_errors_uncorrected": _ecc_errors(driver, handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
        "memory_used_bytes": None if memory is None else int(memory()),
    }


def _scope(name: str, mig: bool) -> str:
    """What the power readings cover: a MIG instance has no separate reading, Grace superchips report the module."""
    if mig:
        return "whole GPU"
    return "module" if any(chip in name for chip in SUPERCHIPS) else "GPU"


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1e3


def _clocks(driver: Driver, handle: Any, which: str, function: str) -> dict[str, float | None]:
    """Clocks of the streaming multiprocessors and of the memory, in Hz."""
    kinds = {"sm": driver.nvml.NVML_CLOCK_SM, "memory": driver.nvml.NVML_CLOCK_MEM}
    return {f"{name}_clock_{which}_hz": driver.clock_hz(function, handle, kind) for name, kind in kinds.items()}


def _ecc_errors(driver: Driver, handle: Any, kind: int) -> int | None:
    """ECC errors since the driver was loaded."""
    errors = driver.get("nvmlDeviceGetTotalEccErrors", handle, kind, driver.nvml.NVML_VOLATILE_ECC)
    return None if errors is None else int(errors)


def _cuda(version: int | None) -> str | None:
    """Newest CUDA version that the driver supports: `12.8` for 12080."""
    return f"{version // 1000}.{version % 1000 // 10}" if version else None
