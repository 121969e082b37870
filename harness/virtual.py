"""What the kernel shows of a hypervisor around this machine, read from a few small files; no command is run."""

from __future__ import annotations

from pathlib import Path

DMI = ("product_name", "sys_vendor", "board_vendor", "bios_vendor")
VENDORS = {
    "KVM": "KVM",
    "KubeVirt": "KVM",
    "OpenStack": "KVM",
    "QEMU": "QEMU",
    "Bochs": "Bochs",
    "VMware": "VMware",
    "VMW": "VMware",
    "innotek GmbH": "VirtualBox",
    "VirtualBox": "VirtualBox",
    "Xen": "Xen",
    "Parallels": "Parallels",
    "BHYVE": "bhyve",
    "Hyper-V": "Hyper-V",
    "Apple Virtualization": "Apple Virtualization",
    "Amazon EC2": "Amazon EC2",
    "Google Compute Engine": "Google Compute Engine",
}
"""How the firmware's strings begin in virtual machines; most of them are in systemd-detect-virt's list (src/basic/virt.c)."""
CLOUDS = ("Amazon EC2", "Google Compute Engine")
"""Vendors that lend bare metal too, under the same name."""
DEVICE_TREE = ("hypervisor/compatible", "compatible")


def hypervisor(root: Path = Path("/")) -> str | None:
    """Name of the hypervisor, or what shows that there is one; None on bare metal, or where nothing shows it.

    Args:
        root: Where /proc and /sys are, for tests.
    """
    if "control_d" in _text(root / "proc/xen/capabilities"):  # Xen's first domain sees the machine itself
        return None
    release = _text(root / "proc/sys/kernel/osrelease").lower()
    if "microsoft" in release:
        return "WSL"
    flags = cpu_flags(root)
    return _by_firmware(root, flags) or _by_device_tree(root) or ("virtual machine" if "hypervisor" in flags else None)


def cpu_flags(root: Path = Path("/")) -> frozenset[str]:
    """Flags of the first CPU on x86; empty on other architectures, where none of them tells of a hypervisor."""
    line = next((line for line in _text(root / "proc/cpuinfo").splitlines() if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())


def _by_firmware(root: Path, flags: frozenset[str]) -> str | None:
    texts = [_text(root / "sys/class/dmi/id" / name) for name in DMI]
    if texts[0] == "Virtual Machine" and texts[1].startswith("Microsoft"):  # the vendor alone also makes laptops
        return "Hyper-V"
    found = next((name for text in texts for start, name in VENDORS.items() if text.startswith(start)), None)
    if found in CLOUDS and (".metal" in texts[0] or (flags and "hypervisor" not in flags)):
        return None
    return found or ("Xen" if _text(root / "sys/hypervisor/type") == "xen" else None)


def _by_device_tree(root: Path) -> str | None:
    """Of Arm, RISC-V and POWER guests without DMI."""
    guest, board = (_text(root / "proc/device-tree" / name) for name in DEVICE_TREE)
    if guest:
        return guest.split("\0")[0].rpartition(",")[2].upper()
    if "dummy-virt" in board or "qemu" in board:
        return "virtual machine"
    return "z/VM or KVM" if "VM00" in _text(root / "proc/sysinfo") else None


def _text(path: Path) -> str:
    """A small file without blanks around; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
