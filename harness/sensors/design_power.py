"""Power of the CPUs at full load for the power model: from a table or estimated, always with bounds."""

from __future__ import annotations

import csv
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from harness.text import counted
from harness.userfiles import system_text
from harness.virtual import hypervisor

W_PER_THREAD = 4.0
"""CodeCarbon's fallback for a CPU that is not in its table (its methodology, section CPU)."""
MIN_W_PER_THREAD, MAX_W_PER_THREAD = 0.5, 30.0
"""Range of design power per thread of processors on sale: Atom x5-Z8350 2 W / 4, EPYC 9754 360 W / 256; FX-9590 220 W / 8, Core i5-2500K 95 W / 4."""
TABLE_ERROR = 0.4
"""Largest relative error of CodeCarbon's model in independent tests on bare metal (arXiv 2509.22092)."""
NOISE = re.compile(
    r"\((?:r|tm|c)\)|@.*|,.*|\b(?:w/|with) .*|\bradeon\b.*"
    r"|\b(?:cpu|processor|apu)\b|\b\d+(?:th|st|nd|rd) gen\b|\b(?:\d+|dual|triple|quad|six|eight|twelve|sixteen)-cores?\b"
)
"""Parts of a CPU's name that may vary: trademarks, clocks, graphics, generations, numbers of cores."""
WORD = re.compile(r"[a-z0-9+.\-]+")


@dataclass(frozen=True)
class Cpus:
    """CPUs as the operating system reports them.

    Attributes:
        name: Name of the processor; empty if not reported, as on many Arm boards.
        threads: Number of logical CPUs online.
        sockets: Number of distinct package ids, which a hypervisor may choose freely.
        nodes: Number of NUMA nodes.
        guest: Hypervisor or container that shows only a part of the machine; None on bare metal.
    """

    name: str
    threads: int
    sockets: int = 1
    nodes: int = 1
    guest: str | None = None


@dataclass(frozen=True)
class DesignPower:
    """Power of all CPUs at full load.

    Attributes:
        watts: Power that the model uses, in W.
        low_w: Lower bound in W.
        high_w: Upper bound in W, at least `watts`.
        source: Where the power is from.
    """

    watts: float
    low_w: float
    high_w: float
    source: str


def design_power(cpus: Cpus, tdp_w: float | None) -> DesignPower:
    """Power at full load with its bounds.

    On bare metal: thermal design power times packages. The sockets of a virtual machine are not packages: it has a share of one package
    (of several if it has several NUMA nodes too), at least that of its threads and at most the whole.

    Args:
        cpus: CPUs of this machine.
        tdp_w: Thermal design power of one package in W; None if the table does not have the CPU.
    """
    threads = cpus.threads
    min_w, estimate_w, most_w = (threads * each for each in (MIN_W_PER_THREAD, W_PER_THREAD, MAX_W_PER_THREAD))
    per_thread = f"{W_PER_THREAD:g} W for each of {threads} {'virtual ' if cpus.guest else ''}CPUs"
    if tdp_w is None:
        return DesignPower(estimate_w, min_w, most_w, f"CPU {cpus.name or 'without a name'} not in CodeCarbon's table: {per_thread}")
    plausible = max(1, int(most_w / tdp_w))  # more packages would not have enough threads
    if cpus.guest is None and (cpus.sockets == 1 or cpus.sockets <= plausible):
        whole_w = tdp_w * cpus.sockets
        source = f"CodeCarbon's table: {tdp_w:g} W x {counted(cpus.sockets, 'package')}"
        return DesignPower(whole_w, (1 - TABLE_ERROR) * whole_w, (1 + TABLE_ERROR) * whole_w, source)
    packages = max(1, min(cpus.sockets, cpus.nodes, plausible))
    whole_w = tdp_w * packages
    watts = min(estimate_w, whole_w)
    why = f"{cpus.guest}: its share of the host's CPU is not known" if cpus.guest else f"its {cpus.sockets} sockets are not packages"
    source = f"{why}; {per_thread}, at most the {tdp_w:g} W x {counted(packages, 'package')} of CodeCarbon's table"
    return DesignPower(watts, min(min_w, watts), whole_w, source)


def look_up(table: Path, name: str) -> float | None:
    """Thermal design power of one package in W; None if the table does not have exactly this CPU, or several values for it.

    A similar name is not enough: `Apple M1 Pro` is not `Apple M1`.

    Args:
        table: Path of a CSV file with the columns Name and TDP.
        name: Name as the operating system reports it.
    """
    words = _words(name)
    with table.open(encoding="utf-8", newline="") as stream:
        powers_w = {_number(row["TDP"]) for row in csv.DictReader(stream) if words and _words(row["Name"]) == words}
    watts = powers_w.pop() if len(powers_w) == 1 else None
    return watts if watts and watts > 0 else None


def _words(name: str) -> list[str]:
    return sorted(WORD.findall(NOISE.sub(" ", name.lower().replace("core(tm)2", "core 2"))))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0  # such as `27.29.5`


def cpus_here(root: Path = Path("/")) -> Cpus:
    """CPUs of this machine; `root` is the folder of /proc and /sys, for tests."""
    import psutil

    processors = sum(line.startswith("processor") for line in system_text(root / "proc/cpuinfo").splitlines())
    threads = psutil.cpu_count() if root == Path("/") else processors
    # With lxcfs, /proc/stat of a container shows only its own CPUs: a part of the machine, as in a virtual one.
    shared = any(" /proc/stat " in line and "lxcfs" in line for line in system_text(root / "proc/self/mountinfo").splitlines())
    guest = hypervisor(root) or ("a container with a part of the machine's CPUs" if shared else None)
    nodes = len(list((root / "sys/devices/system/node").glob("node[0-9]*")))
    return Cpus(_name(root), threads or 1, _sockets(root), max(1, nodes), guest)


def _sockets(root: Path) -> int:
    """Number of distinct package ids on x86; elsewhere 1, since the ids may be those of clusters."""
    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
        return 1
    places = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology/physical_package_id")
    ids = {text for path in places if (text := system_text(path)) and text != "-1"}
    return max(1, len(ids or {line for line in system_text(root / "proc/cpuinfo").splitlines() if line.startswith("physical id")}))


def _name(root: Path) -> str:
    """Name of the processor; py-cpuinfo, which takes a second, is used only if Linux does not report one."""
    lines = system_text(root / "proc/cpuinfo").splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    if not name and os.name == "posix" and root == Path("/"):
        import cpuinfo

        name = cpuinfo.get_cpu_info().get("brand_raw") or ""
    return name
