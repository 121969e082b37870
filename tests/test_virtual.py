"""Which machines are recognised as guests, by the files that they show."""

from __future__ import annotations

import pytest

from harness.virtual import hypervisor

DMI = "sys/class/dmi/id/"


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({}, None),
        ({"proc/cpuinfo": "flags : fpu sse2"}, None),
        ({"proc/cpuinfo": "flags : fpu hypervisor sse2"}, "virtual machine"),
        ({"proc/cpuinfo": "flags : fpu hypervisor", f"{DMI}sys_vendor": "QEMU"}, "QEMU"),
        ({"proc/cpuinfo": "flags : fpu", f"{DMI}sys_vendor": "QEMU"}, "QEMU"),
        ({"proc/cpuinfo": "flags : fpu hypervisor", f"{DMI}sys_vendor": "VMware, Inc."}, "VMware"),
        ({f"{DMI}sys_vendor": "Amazon EC2", f"{DMI}product_name": "c7g.xlarge"}, "Amazon EC2"),
        ({f"{DMI}sys_vendor": "Amazon EC2", f"{DMI}product_name": "c7g.metal"}, None),
        ({f"{DMI}sys_vendor": "Amazon EC2", f"{DMI}product_name": "m7i.metal-24xl", "proc/cpuinfo": "flags : fpu"}, None),
        ({f"{DMI}sys_vendor": "Google", f"{DMI}product_name": "Google Compute Engine", "proc/cpuinfo": "flags : fpu"}, None),
        ({f"{DMI}sys_vendor": "Google", f"{DMI}product_name": "Google Compute Engine"}, "Google Compute Engine"),
        ({f"{DMI}sys_vendor": "Microsoft Corporation", f"{DMI}product_name": "Virtual Machine"}, "Hyper-V"),
        ({f"{DMI}sys_vendor": "Microsoft Corporation", f"{DMI}product_name": "Surface Laptop 5"}, None),
        ({f"{DMI}sys_vendor": "Dell Inc.", f"{DMI}product_name": "PowerEdge R750", "proc/cpuinfo": "flags : fpu vmx"}, None),
        ({"proc/sys/kernel/osrelease": "5.15.153.1-microsoft-standard-WSL2"}, "WSL"),
        ({"sys/hypervisor/type": "xen"}, "Xen"),
        ({"sys/hypervisor/type": "xen", "proc/xen/capabilities": "control_d"}, None),
        ({"proc/device-tree/hypervisor/compatible": "linux,kvm\0"}, "KVM"),
        ({"proc/device-tree/compatible": "linux,dummy-virt\0"}, "virtual machine"),
        ({"proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0"}, None),
        ({"proc/sysinfo": "VM00 Name: LINUX"}, "z/VM or KVM"),
    ],
)
def test_a_guest_is_known_by_what_it_shows(tmp_path, files, name):
    """Flag, firmware, device tree or kernel; bare metal of a cloud is bare metal, and so is the first domain of Xen."""
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text + "\n")
    assert hypervisor(tmp_path) == name
