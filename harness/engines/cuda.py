"""Which cards the CUDA driver in this process shows: the proof of the device that an engine ran on."""

from __future__ import annotations

import ctypes
import os
import uuid

LIBRARY = "libcuda.so.1"


def visible_uuids() -> list[str] | None:
    """UUIDs of the cards that this process can use, as `GPU-8932f937-...`; None where it has not loaded the CUDA driver.

    Asked of the driver that the engine loaded, so that an engine which fell back to the processor proves nothing. A MIG instance is
    reported as the card that it is a part of (cuDeviceGetUuid; its second version reports the instance).
    """
    try:
        cuda = ctypes.CDLL(LIBRARY, mode=ctypes.RTLD_LOCAL | os.RTLD_NOLOAD)
        count, device, raw = ctypes.c_int(), ctypes.c_int(), (ctypes.c_ubyte * 16)()
        if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
            return None
        found = []
        for index in range(count.value):
            if cuda.cuDeviceGet(ctypes.byref(device), index) or cuda.cuDeviceGetUuid(ctypes.byref(raw), device):
                return None
            found.append(f"GPU-{uuid.UUID(bytes=bytes(raw))}")
    except (OSError, AttributeError):
        return None
    return found
