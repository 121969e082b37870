"""The card of a device `gpu:UUID`, whose UUID may be shortened, among the cards of this machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from harness.errors import SuiteError

PREFIX = "gpu:"


def names_card(device: str) -> bool:
    """Whether a device is written as one card of several: `gpu:GPU-3f2a`."""
    return device.startswith(PREFIX)


def resolve_card(device: str, devices: Collection[str]) -> str:
    """UUID of the card that a device names.

    Args:
        device: Device as written: `gpu:` and the UUID, or the beginning of one UUID only.
        devices: Devices of this machine, `gpu:UUID` for each card; if it is a mapping, to the reason why no case can run there.

    Raises:
        SuiteError: No card or several cards have such a UUID, or no case can run on the card; the hint lists the cards.
    """
    uuid = device.removeprefix(PREFIX)
    cards = [name for name in devices if name.startswith(f"{PREFIX}GPU-")]
    if uuid.startswith("MIG-"):
        raise SuiteError(f"{device!r} is a MIG instance", f"set CUDA_VISIBLE_DEVICES={uuid}, and use the device gpu")
    if not cards:
        raise SuiteError(f"{device!r} is unknown: no GPU can be read on this machine", "`harness doctor` shows the reason")
    matches = [name for name in cards if len(uuid) > len("GPU-") and name.removeprefix(PREFIX).lower().startswith(uuid.lower())]
    if device in cards:
        matches = [device]
    if len(matches) != 1:
        problem = f"is the beginning of {len(matches)} UUIDs" if matches else "is no card of this machine"
        raise SuiteError(f"{device!r} {problem}", f"use one of: {', '.join(matches or cards)}")
    reason = devices[matches[0]] if isinstance(devices, Mapping) else None
    if reason:
        raise SuiteError(f"no case can run on {matches[0]}", str(reason))
    return matches[0].removeprefix(PREFIX)
