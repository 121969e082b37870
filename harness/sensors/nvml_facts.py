"""One NVIDIA card -> what it is and how it is set, for the record: clocks, ECC, PCIe link, versions; each is null where the driver does not report it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

CLOCKS_SET = 0x2
"""Event reason: applications or locked clocks hold the clock. NVML has no call that reads locked clocks back."""
MEMORY_TEMPERATURE = 82
"""Field NVML_FI_DEV_MEMORY_TEMP, degC."""
VALUES = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}
"""nvmlValueType_t -> the member of the union that holds the value."""


class Ask:
    """Questions to the driver of which each may fail on its own.

    Args:
        nvml: The module `pynvml`.
    """

    def __init__(self, nvml: Any) -> None:
        self.nvml = nvml

    def __call__(self, function: str, *arguments: Any) -> Any:
        """The answer of a function of the library.

        Returns:
            None where the driver refuses, or it or this pynvml does not know the function.
        """
        try:
            return getattr(self.nvml, function)(*arguments)
        except (self.nvml.NVMLError, self.nvml.NVMLLibraryMismatchError, AttributeError, UnicodeDecodeError):
            return None

    def first(self, functions: Sequence[str], *arguments: Any) -> Any:
        """The answer of the first function that has one: newer names go first."""
        return next((found for name in functions if (found := self(name, *arguments)) is not None), None)

    def fields(self, handle: Any, numbers: Sequence[int]) -> dict[int, float]:
        """Field values in one call, without those that failed: the call succeeds whatever became of each."""
        found = self("nvmlDeviceGetFieldValues", handle, list(numbers)) or ()
        return {
            int(each.fieldId): float(getattr(each.value, VALUES.get(each.valueType, "ullVal"))) for each in found if not each.nvmlReturn
        }


def fixed(nvml: Any, handle: Any) -> dict[str, Any]:
    """What stays the same during a run: capability, clocks that were set, ECC mode, the link's limits, versions.

    Args:
        nvml: The module `pynvml`.
        handle: Of the card.
    """
    ask = Ask(nvml)
    capability, ecc = ask("nvmlDeviceGetCudaComputeCapability", handle), ask("nvmlDeviceGetEccMode", handle)
    return {
        "compute_capability": None if capability is None else f"{capability[0]}.{capability[1]}",
        "cuda_driver_version": _cuda(ask.first(("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"))),
        "nvml_version": ask("nvmlSystemGetNVMLVersion"),
        **_clocks(ask, handle, "application", "nvmlDeviceGetApplicationsClock"),
        **_clocks(ask, handle, "application_default", "nvmlDeviceGetDefaultApplicationsClock"),
        "ecc": None if ecc is None else bool(ecc[0]),
        "ecc_pending": None if ecc is None else bool(ecc[1]),
        "pcie_generation_max": ask("nvmlDeviceGetMaxPcieLinkGeneration", handle),
        "pcie_width_max": ask("nvmlDeviceGetMaxPcieLinkWidth", handle),
        "compute_mode": ask("nvmlDeviceGetComputeMode", handle),
    }


def readings(nvml: Any, handle: Any) -> dict[str, Any]:
    """What changes from minute to minute, as it is now; `harness.environment.VOLATILE` names these keys, so that they make no other environment.

    The link of a card that idles may be slower than under load: the conditions of a case hold what it was then.
    """
    ask = Ask(nvml)
    reasons = ask.first(("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"), handle)
    return {
        **_clocks(ask, handle, "now", "nvmlDeviceGetClockInfo"),
        "clocks_set": None if reasons is None else bool(reasons & CLOCKS_SET),
        "memory_temperature_degc": ask.fields(handle, [MEMORY_TEMPERATURE]).get(MEMORY_TEMPERATURE) or None,
        "pcie_generation": ask("nvmlDeviceGetCurrPcieLinkGeneration", handle),
        "pcie_width": ask("nvmlDeviceGetCurrPcieLinkWidth", handle),
        "ecc_errors_corrected": _errors(ask, handle, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
        "ecc_errors_uncorrected": _errors(ask, handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
        "memory_used_bytes": memory_used_bytes(nvml, handle),
    }


def memory_used_bytes(nvml: Any, handle: Any) -> int | None:
    """Device memory in use, bytes: without what the driver reserves for itself where it tells the two apart (driver 510 and newer)."""
    reader, _ = memory_reader(nvml, handle)
    return None if reader is None else int(reader())


def memory_reader(nvml: Any, handle: Any) -> tuple[Callable[[], float] | None, bool]:
    """How to read the memory in use, and whether that leaves out what the driver reserves.

    Returns:
        (None, False) where the driver does not report it.
    """
    version = getattr(nvml, "nvmlMemory_v2", None)
    ask = Ask(nvml)
    if version is not None and ask("nvmlDeviceGetMemoryInfo", handle, version) is not None:
        return lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle, version).used), True
    if ask("nvmlDeviceGetMemoryInfo", handle) is not None:
        return lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle).used), False
    return None, False


def _clocks(ask: Ask, handle: Any, which: str, function: str) -> dict[str, float | None]:
    """Streaming multiprocessors and memory, Hz."""
    found = {name: ask(function, handle, kind) for name, kind in (("sm", ask.nvml.NVML_CLOCK_SM), ("memory", ask.nvml.NVML_CLOCK_MEM))}
    return {f"{name}_clock_{which}_hz": None if mega is None else mega * 1e6 for name, mega in found.items()}


def _errors(ask: Ask, handle: Any, kind: int) -> int | None:
    """ECC errors since the driver was loaded."""
    found = ask("nvmlDeviceGetTotalEccErrors", handle, kind, ask.nvml.NVML_VOLATILE_ECC)
    return None if found is None else int(found)


def _cuda(version: int | None) -> str | None:
    """`12.8` of 12080: the newest CUDA that the driver can run."""
    return f"{version // 1000}.{version % 1000 // 10}" if version else None
