"""Power of the CPUs at full load: packages of real machines, shares of virtual ones, and names in the table."""

from __future__ import annotations

import itertools

import pytest

from harness.sensors import design_power as module
from harness.sensors.codecarbon import _package_folder
from harness.sensors.design_power import Cpus, cpus_here, design_power, look_up

TABLE = _package_folder() / "data" / "hardware" / "cpu_power.csv"


def figures(cpus, tdp_w):
    power = design_power(cpus, tdp_w)
    return power.watts, power.low_w, power.high_w


@pytest.mark.parametrize(
    ("cpus", "tdp_w", "watts", "high_w"),
    [
        (Cpus("one package", 12, 1, 1), 65, 65, 91),
        (Cpus("two packages", 96, 2, 2), 205, 410, 574),
        (Cpus("eight packages, two threads each switched on", 64, 8, 8), 165, 1320, 1848),
        (Cpus("hybrid", 32, 1, 1), 125, 125, 175),
        (Cpus("a server with four of its threads on", 4, 1, 1), 280, 280, 392),
    ],
)
def test_on_bare_metal_sockets_are_packages(cpus, tdp_w, watts, high_w):
    """Design power per package; the bounds are the largest error power elsewhere."""
    assert figures(cpus, tdp_w) == pytest.approx((watts, 0.6 * watts, high_w))


@pytest.mark.parametrize(
    ("cpus", "tdp_w", "expected"),
    [
        (Cpus("each vCPU a socket", 16, 16, 1, "KVM"), 150, (64, 8, 150)),
        (Cpus("one socket", 2, 1, 1, "VMware"), 280, (8, 1, 280)),
        (Cpus("of two packages by its NUMA nodes", 96, 2, 2, "Amazon EC2"), 240, (384, 48, 480)),
        (Cpus("more nodes than packages of so few threads", 16, 16, 16, "KVM"), 150, (64, 8, 450)),
        (Cpus("more vCPUs than the host has threads", 64, 64, 1, "KVM"), 65, (65, 32, 65)),
        (Cpus("a hypervisor that hides itself", 16, 16, 1), 150, (64, 8, 150)),
        (Cpus("and shows a node for each socket", 16, 16, 16), 150, (64, 8, 450)),
        (Cpus("a small board", 4, 1, 1, "KVM"), 7.5, (7.5, 2, 7.5)),
    ],
)
def test_sockets_of_a_virtual_machine_are_not_packages(cpus, tdp_w, expected):
    """4 W for each virtual CPU, and at most the design power of its processor."""
    assert figures(cpus, tdp_w) == pytest.approx(expected)


def test_an_unknown_cpu_is_a_guess_with_wide_bounds():
    """4 W per thread, whatever the number of sockets."""
    assert figures(Cpus("Nobody's CPU", 16, 16), None) == (64, 8, 480)
    assert "Nobody's CPU not in CodeCarbon's table" in design_power(Cpus("Nobody's CPU", 16), None).source
    assert "without a name" in design_power(Cpus("", 4), None).source


def test_power_is_between_its_bounds_for_every_machine():
    """For all combinations of threads, sockets, nodes and design power."""
    for threads, sockets, nodes, tdp_w, guest in itertools.product(
        (1, 2, 7, 64, 512), (1, 2, 16, 512), (1, 2, 8), (None, 0.65, 15, 500), (None, "KVM")
    ):
        power = design_power(Cpus("x", threads, sockets, nodes, guest), tdp_w)
        assert 0 < power.low_w <= power.watts <= power.high_w, (threads, sockets, nodes, tdp_w, guest)


@pytest.mark.parametrize(
    ("name", "watts"),
    [
        ("Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", 65),
        ("13th Gen Intel(R) Core(TM) i9-13900K", 125),
        ("Intel(R) Core(TM)2 Duo CPU     E8400  @ 3.00GHz", 65),
        ("Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", 240),
        ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", 145),
        ("AMD EPYC 7763 64-Core Processor", 280),
        ("AMD Ryzen 5 3600 6-Core Processor", 65),
        ("AMD Ryzen 5 3600X 6-Core Processor", 95),
        ("AMD Ryzen 7 PRO 4750U with Radeon Graphics", 15),
        ("AMD Ryzen 9 3900", None),
        ("AMD Opteron(tm) Processor 6272", 115),
        ("Apple M1", 10),
        ("Apple M1 Pro", None),
        ("AMD EPYC", None),
        ("AMD EPYC-Milan Processor", None),
        ("Intel Xeon Processor (Skylake, IBRS)", None),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", None),
        ("QEMU Virtual CPU version 2.5+", None),
        ("Intel Celeron 1000A", None),
        ("", None),
    ],
)
def test_only_the_exact_cpu_is_found(name, watts):
    """Trademarks, clocks and numbers of cores do not matter; a similar name is another CPU; an invalid number is none."""
    assert look_up(TABLE, name) == watts


def test_a_contradictory_table_has_no_value(tmp_path):
    """Neither of two powers for one name is used."""
    table = tmp_path / "t.csv"
    table.write_text("Name,TDP\nIntel X1,20\nIntel X1,20.0\nIntel X2 CPU,20\nIntel X2,25\nIntel X3,0\n")
    assert [look_up(table, f"Intel X{n}") for n in (1, 2, 3)] == [20, None, None]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that creates /proc and /sys of a machine from CPUs as (processor, package id)."""
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")

    def of(cpus, flags="fpu sse2", nodes=1, mountinfo="", named="model name\t: A CPU"):
        (tmp_path / "proc" / "self").mkdir(parents=True)
        text = "\n\n".join(f"processor\t: {k}\n{named}\nphysical id\t: {package}\nflags\t\t: {flags}" for k, package in cpus)
        (tmp_path / "proc" / "cpuinfo").write_text(text)
        (tmp_path / "proc" / "self" / "mountinfo").write_text(mountinfo)
        for k, package in cpus:
            place = tmp_path / "sys" / "devices" / "system" / "cpu" / f"cpu{k}" / "topology"
            place.mkdir(parents=True)
            (place / "physical_package_id").write_text(f"{package}\n")
        for node in range(nodes):
            (tmp_path / "sys" / "devices" / "system" / "node" / f"node{node}").mkdir(parents=True)
        return cpus_here(tmp_path)

    return of


def test_a_server_of_two_packages(machine):
    """Distinct package ids, not the number of CPUs."""
    assert machine([(0, 0), (1, 1), (2, 0), (3, 1)], nodes=2) == Cpus("A CPU", 4, 2, 2, None)


def test_a_virtual_machine_with_a_socket_per_cpu(machine):
    """The CPU flag identifies it as a guest."""
    assert machine([(0, 0), (1, 1)], flags="fpu hypervisor") == Cpus("A CPU", 2, 2, 1, "virtual machine")


def test_a_container_with_its_own_cpus_is_a_part_of_a_machine(machine):
    """With lxcfs, /proc/stat and so the load are those of the container's CPUs."""
    cpus = machine([(0, 0)], mountinfo="99 98 0:47 /proc/stat /proc/stat rw - fuse.lxcfs lxcfs rw")
    assert cpus.guest and figures(cpus, 65) == (4, 0.5, 65)


def test_package_ids_are_not_counted_on_other_architectures(machine, monkeypatch):
    """They may be clusters of one chip, and Arm's cpuinfo has no name."""
    monkeypatch.setattr(module.platform, "machine", lambda: "aarch64")
    assert machine([(0, 0), (1, 1)], named="CPU part : 0xd0c") == Cpus("", 2, 1, 1, None)
