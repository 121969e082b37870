"""Detection of a hypervisor from small files of the kernel, without running a command."""

from __future__ import annotations

from pathlib import Path

from harness.userfiles import system_text

DMI = ("product_name", "sys_vendor", "board_vendor", "bios_vendor")
VENDORS = {
    "KVM": "KVM", "KubeVirt": "KVM", "OpenStack": "KVM", "QEMU": "QEMU", "Bochs": "Bochs", "VMware": "VMware", "VMW": "VMware",
    "innotek GmbH": "VirtualBox", "VirtualBox": "VirtualBox", "Xen": "Xen", "Parallels": "Parallels", "BHYVE": "bhyve", "Hyper-V": "Hyper-V",
    "Apple Virtualization": "Apple Virtualization", "Amazon EC2": "Amazon EC2", "Google Compute Engine": "Google Compute Engine",
}  # fmt: skip
"""Prefixes of the firmware's strings in virtual machines, mostly from systemd-detect-virt (src/basic/virt.c)."""
CLOUDS = ("Amazon EC2", "Google Compute Engine")
"""Vendors that also rent bare metal under the same name."""
DEVICE_TREE = ("hypervisor/compatible", "compatible")


def hypervisor(root: Path = Path("/")) -> str | None:
    """Name of the hypervisor, or `virtual machine` if only its presence is known; None on bare metal, or unknown."""
    if "control_d" in system_text(root / "proc/xen/capabilities"):  # Xen's first domain runs on the machine itself
        return None
    release = system_text(root / "proc/sys/kernel/osrelease").lower()
    if "microsoft" in release:
        return "WSL"
    flags = cpu_flags(root)
    return _by_firmware(root, flags) or _by_device_tree(root) or ("virtual machine" if "hypervisor" in flags else None)


def cpu_flags(root: Path = Path("/")) -> frozenset[str]:
    """Flags of the first CPU on x86; empty on other architectures, where none shows a hypervisor."""
    line = next((line for line in system_text(root / "proc/cpuinfo").splitlines() if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())


def _by_firmware(root: Path, flags: frozenset[str]) -> str | None:
    texts = [system_text(root / "sys/class/dmi/id" / name) for name in DMI]
    if texts[0] == "Virtual Machine" and texts[1].startswith("Microsoft"):  # the same vendor also makes laptops
        return "Hyper-V"
    vendor = next((name for text in texts for start, name in VENDORS.items() if text.startswith(start)), None)
    if vendor in CLOUDS and (".metal" in texts[0] or (flags and "hypervisor" not in flags)):
        return None
    return vendor or ("Xen" if system_text(root / "sys/hypervisor/type") == "xen" else None)


def _by_device_tree(root: Path) -> str | None:
    """Hypervisor of Arm, RISC-V and POWER guests without DMI."""
    guest, board = (system_text(root / "proc/device-tree" / name) for name in DEVICE_TREE)
    if guest:
        return guest.split("\0")[0].rpartition(",")[2].upper()
    if "dummy-virt" in board or "qemu" in board:
        return "virtual machine"
    return "z/VM or KVM" if "VM00" in system_text(root / "proc/sysinfo") else None
