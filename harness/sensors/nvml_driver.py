"""Calls of NVIDIA's management library: errors with a remedy, optional queries, several field values in one call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from harness.errors import SensorError

CONTAINER = "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility ..."
# nvmlReturn_t (NVIDIA's nvml.h) -> (what is wrong, how to fix it).
ERRORS: dict[int, tuple[str, str]] = {
    1: ("NVML is not initialized", "this is a bug of the harness: please report it"),
    2: ("the driver does not know this query for this device", "update the NVIDIA driver"),
    3: ("this GPU does not support the reading", "the GPU's other readings are used; if it has none, import the log of a power meter: harness import-meter"),
    4: ("the driver does not permit this user the reading", f"give your user access to /dev/nvidiactl, /dev/nvidia0, ... (see `ls -l /dev/nvidia*`); in a container: {CONTAINER}"),
    9: ("the NVIDIA driver is not loaded", f"load it with `sudo modprobe nvidia` and check that `nvidia-smi` works; in a container: {CONTAINER}"),
    12: ("the NVIDIA management library (libnvidia-ml) is not installed", f"not needed without an NVIDIA GPU; with one, install the driver, or in a container: {CONTAINER}"),
    13: ("the driver is too old for this reading", "update the NVIDIA driver"),
    15: ("the GPU has fallen off the bus or is not reachable", "see `dmesg` for Xid errors; usually the machine has to be restarted"),
    18: ("the NVIDIA driver and its library have different versions, as after an update", "restart the machine, or reload the driver's modules"),
    999: ("the NVIDIA driver reports an unknown error", "see `dmesg` for Xid errors"),
}  # fmt: skip
VALUES = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}
"""nvmlValueType_t -> member of the union that holds the value."""
EVENT_REASONS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
"""Function for the clocks' event reasons, and its name before driver 535."""
DRIVER_FILES = ("/proc/driver/nvidia/version", "/dev/nvidiactl")
"""Files of a machine, or container, with a driver."""


class Driver:
    """The driver's management library, through the module `pynvml`."""

    def __init__(self, nvml: Any) -> None:
        self.nvml = nvml

    def call(self, function: str | Callable[..., Any], *arguments: Any) -> Any:
        """Result of a function of pynvml, by name, or of another function that calls pynvml.

        Raises:
            SensorError: The driver returned an error.
        """
        try:
            return (getattr(self.nvml, function) if isinstance(function, str) else function)(*arguments)
        except self.nvml.NVMLError as error:
            code = getattr(error, "value", 999)
            what, hint = ERRORS.get(code, (f"the NVIDIA driver reports: {error}", ERRORS[999][1]))
            raise SensorError(f"{what} (NVML error {code})", hint) from None

    def get(self, function: str | Callable[..., Any], *arguments: Any) -> Any:
        """Result of `call`; None if the driver returns an error, or the driver or this pynvml lacks the function."""
        try:
            return self.call(function, *arguments)
        except (SensorError, self.nvml.NVMLLibraryMismatchError, AttributeError, UnicodeDecodeError):
            return None

    def first(self, functions: Sequence[str], *arguments: Any) -> Any:
        """First result that is available of functions in order of preference."""
        return next((result for name in functions if (result := self.get(name, *arguments)) is not None), None)

    def flag(self, function: str, *arguments: Any) -> bool | None:
        """Result of `get` as a boolean; of a pair (current, pending) the current state."""
        result = self.get(function, *arguments)
        return None if result is None else bool(result[0] if isinstance(result, list | tuple) else result)

    def clock_hz(self, function: str, *arguments: Any) -> float | None:
        """Result of `get`, a clock in MHz, in Hz."""
        megahertz = self.get(function, *arguments)
        return None if megahertz is None else megahertz * 1e6

    def fields(self, handle: Any, numbers: Sequence[int]) -> dict[int, float]:
        """Field values by number, in one call; fields that failed are left out, since the call itself still succeeds."""
        values = self.get("nvmlDeviceGetFieldValues", handle, list(numbers)) or ()
        return {
            int(each.fieldId): float(getattr(each.value, VALUES.get(each.valueType, "ullVal"))) for each in values if not each.nvmlReturn
        }

    def power_field_w(self, handle: Any, number: int) -> float:
        """Value of a power field in watts.

        Raises:
            pynvml.NVMLError: The field failed.
        """
        field = self.nvml.nvmlDeviceGetFieldValues(handle, [number])[0]
        if field.nvmlReturn != self.nvml.NVML_SUCCESS:
            raise self.nvml.NVMLError(field.nvmlReturn)
        return float(field.value.uiVal) / 1e3

    def memory_reader(self, handle: Any) -> tuple[Callable[[], float] | None, bool]:
        """Function that reads the memory in use in bytes, and whether it excludes what the driver reserves (driver 510 and newer).

        Returns:
            (None, False) if the driver does not report the memory.
        """
        nvml, version = self.nvml, getattr(self.nvml, "nvmlMemory_v2", None)
        if version is not None and self.get("nvmlDeviceGetMemoryInfo", handle, version) is not None:
            return lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle, version).used), True
        if self.get("nvmlDeviceGetMemoryInfo", handle) is not None:
            return lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle).used), False
        return None, False


def gpu_left_out(present: Collection[str]) -> str | None:
    """Warning that `auto` leaves out the GPU of this machine, given the result of `probe.devices_present`; None if it does not."""
    if "gpu" in present or not any(Path(path).exists() for path in DRIVER_FILES):
        return None
    return (
        "there is an NVIDIA driver, but no readable GPU: the device `auto` leaves the GPU out; `harness doctor` shows the reason; "
        "--device gpu runs its cases without energy"
    )
