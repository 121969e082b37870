"""The power of this machine's CPUs at full load, for a model: a figure from a table or a guess, always with its bounds."""

from __future__ import annotations

import csv
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from harness.virtual import hypervisor

W_PER_THREAD = 4.0
"""CodeCarbon's own fallback for a CPU that its table lacks (its methodology, section CPU)."""
LEAST_W_PER_THREAD, MOST_W_PER_THREAD = 0.5, 30.0
"""Design power over threads of what is on sale: Atom x5-Z8350 2 W / 4, EPYC 9754 360 W / 256; FX-9590 220 W / 8, Core i5-2500K 95 W / 4."""
TABLE_ERROR = 0.4
"""Largest relative error of CodeCarbon's model that outside tests found on bare metal (arXiv 2509.22092)."""
NOISE = re.compile(
    r"\((?:r|tm|c)\)|@.*|,.*|\b(?:w/|with) .*|\bradeon\b.*"
    r"|\b(?:cpu|processor|apu)\b|\b\d+(?:th|st|nd|rd) gen\b|\b(?:\d+|dual|triple|quad|six|eight|twelve|sixteen)-cores?\b"
)
"""What names of one CPU differ in: trademarks, clocks, graphics, generations, counts of cores."""
WORD = re.compile(r"[a-z0-9+.\-]+")


@dataclass(frozen=True)
class Cpus:
    """What the operating system shows of the CPUs.

    Attributes:
        name: Of the processor; empty where it is not reported, as on many Arm boards.
        threads: Logical CPUs online.
        sockets: Distinct package ids; in a virtual machine whatever the hypervisor made up.
        nodes: NUMA nodes.
        guest: The hypervisor, or what else shows a part of a machine only; None on bare metal.
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
        watts: The figure that the model uses, W.
        low_w: Lower bound, W.
        high_w: Upper bound, W; never below `watts`.
        source: Where the figure is from.
    """

    watts: float
    low_w: float
    high_w: float
    source: str


def design_power(cpus: Cpus, tdp_w: float | None) -> DesignPower:
    """Power at full load with its bounds.

    On bare metal the thermal design power times the packages. The sockets of a virtual machine are not packages: it has a share of one
    (of several where it has several NUMA nodes too), at least that of its threads and at most the whole.

    Args:
        cpus: As seen here.
        tdp_w: Thermal design power of one package, W; None: the table does not have this CPU.
    """
    threads = cpus.threads
    least_w, guess_w, most_w = (threads * each for each in (LEAST_W_PER_THREAD, W_PER_THREAD, MOST_W_PER_THREAD))
    per_thread = f"{W_PER_THREAD:g} W for each of {threads} {'virtual ' if cpus.guest else ''}CPUs"
    if tdp_w is None:
        return DesignPower(guess_w, least_w, most_w, f"CPU {cpus.name or 'without a name'} not in CodeCarbon's table: {per_thread}")
    plausible = max(1, int(most_w / tdp_w))  # more packages than that would be idle, for want of threads
    if cpus.guest is None and (cpus.sockets == 1 or cpus.sockets <= plausible):
        whole_w = tdp_w * cpus.sockets
        source = f"CodeCarbon's table: {tdp_w:g} W x {_count(cpus.sockets)}"
        return DesignPower(whole_w, (1 - TABLE_ERROR) * whole_w, (1 + TABLE_ERROR) * whole_w, source)
    packages = max(1, min(cpus.sockets, cpus.nodes, plausible))
    whole_w = tdp_w * packages
    watts = min(guess_w, whole_w)
    why = f"{cpus.guest}: its share of the host's CPU is not known" if cpus.guest else f"its {cpus.sockets} sockets are not packages"
    source = f"{why}; {per_thread}, at most the {tdp_w:g} W x {_count(packages)} of CodeCarbon's table"
    return DesignPower(watts, min(least_w, watts), whole_w, source)


def _count(packages: int) -> str:
    return f"{packages} package{'s' if packages > 1 else ''}"


def look_up(table: Path, name: str) -> float | None:
    """Thermal design power of one package, W; None where the table does not have exactly this CPU, or contradicts itself.

    A name that is only similar is not taken: `Apple M1 Pro` is no `Apple M1`.

    Args:
        table: A CSV with the columns Name and TDP.
        name: As the operating system reports it.
    """
    wanted, found = _words(name), set()
    with table.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if wanted and _words(row["Name"]) == wanted:
                found.add(_number(row["TDP"]))
    watts = found.pop() if len(found) == 1 else None
    return watts if watts and watts > 0 else None


def _words(name: str) -> list[str]:
    return sorted(WORD.findall(NOISE.sub(" ", name.lower().replace("core(tm)2", "core 2"))))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0  # `27.29.5`: as good as no row


def cpus_here(root: Path = Path("/")) -> Cpus:
    """What this machine shows of its CPUs.

    Args:
        root: Where /proc and /sys are, for tests.
    """
    import psutil

    threads = psutil.cpu_count() or 1 if root == Path("/") else _lines(root, "proc/cpuinfo", "processor")
    # Some containers show /proc/stat of their own CPUs alone (lxcfs): a part of a machine, as in a virtual one.
    shared = any(" /proc/stat " in line and "lxcfs" in line for line in _text(root / "proc/self/mountinfo").splitlines())
    guest = hypervisor(root) or ("a container that shows a part of the machine's CPUs" if shared else None)
    nodes = len(list((root / "sys/devices/system/node").glob("node[0-9]*")))
    return Cpus(_name(root), threads, _sockets(root), max(1, nodes), guest)


def _sockets(root: Path) -> int:
    """Distinct package ids on x86; elsewhere 1, since they may be ids of clusters."""
    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
        return 1
    places = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology/physical_package_id")
    ids = {text for path in places if (text := _text(path)) and text != "-1"}
    return max(1, len(ids or {line for line in _text(root / "proc/cpuinfo").splitlines() if line.startswith("physical id")}))


def _name(root: Path) -> str:
    """The processor's name; py-cpuinfo takes a second, so it is asked only where Linux does not report one."""
    lines = _text(root / "proc/cpuinfo").splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    if not name and os.name == "posix" and root == Path("/"):
        import cpuinfo

        name = cpuinfo.get_cpu_info().get("brand_raw") or ""
    return name


def _lines(root: Path, file: str, start: str) -> int:
    return max(1, sum(line.startswith(start) for line in _text(root / file).splitlines()))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
