"""Powercap trees on disk with counters of known energy, updated by a writer process.

The writer writes the energy at the moment of writing, so a tick that a reader sees is the truth at that time.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests import simulated


@dataclass(frozen=True)
class Zone:
    """One zone.

    Attributes:
        id: Name of its folder, such as `intel-rapl:0:1`.
        name: `package-0`, `dram`, ...
        wave: Name of a function of `tests.simulated`, and its arguments.
        update_period_s: Period of the writer in s.
        wrap_j: Energy at which the counter wraps to 0, in J.
        start_j: Value of the counter at the origin, in J.
    """

    id: str
    name: str
    wave: tuple[Any, ...] = ("constant", 50.0)
    update_period_s: float = 0.02
    wrap_j: float = 262143.328850
    start_j: float = 1000.0

    def truth_j(self, origin_s: float, start_s: float, end_s: float) -> float:
        """The exact energy between two times on CLOCK_MONOTONIC."""
        return self.energy(end_s - origin_s) - self.energy(start_s - origin_s)

    @property
    def energy(self) -> simulated.Energy:
        """Energy since the origin, J."""
        name, *arguments = self.wave
        wave: simulated.Energy = getattr(simulated, name)(*arguments)
        return wave


@dataclass(frozen=True)
class Tree:
    """A tree on disk, and the origin of its waveforms on CLOCK_MONOTONIC."""

    root: Path
    zones: Sequence[Zone]
    origin_s: float

    def show(self, zone: Zone) -> None:
        """Write a zone's counter as it is now; always of one length, so that no reader sees half of it."""
        joules = zone.start_j + zone.energy(time.monotonic() - self.origin_s)
        fd = os.open(self.root / zone.id / "energy_uj", os.O_WRONLY)
        os.pwrite(fd, b"%016d\n" % int(joules % zone.wrap_j * 1e6), 0)
        os.close(fd)

    def truth_j(self, zone_id: str, start_s: float, end_s: float) -> float:
        """The exact energy of a zone between two times on CLOCK_MONOTONIC."""
        return next(z for z in self.zones if z.id == zone_id).truth_j(self.origin_s, start_s, end_s)


def plant(root: Path, *zones: Zone) -> Tree:
    """Make the tree, flat as sysfs shows it; nobody writes to it further."""
    tree = Tree(root, zones, time.monotonic())
    for zone in zones:
        folder = root / zone.id
        folder.mkdir(parents=True)
        (root / zone.id.partition(":")[0]).mkdir(exist_ok=True)
        (folder / "name").write_text(zone.name + "\n")
        (folder / "max_energy_range_uj").write_text(f"{round(zone.wrap_j * 1e6)}\n")
        (folder / "energy_uj").touch()
        tree.show(zone)
    return tree


@contextmanager
def running(tree: Tree) -> Iterator[Tree]:
    """A process keeps the counters up to date while this is open."""
    task = json.dumps({"root": str(tree.root), "origin_s": tree.origin_s, "zones": [asdict(zone) for zone in tree.zones]})
    with subprocess.Popen([sys.executable, "-m", __name__, task], stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        writer.stdout.readline()
        try:
            yield tree
        finally:
            writer.kill()


def write_on(tree: Tree) -> None:
    """Write each zone at its period, as long as the test that asked for it lives."""
    parent = os.getppid()
    due = dict.fromkeys(tree.zones, time.monotonic())
    print("writing", flush=True)
    while os.getppid() == parent:
        zone = min(due, key=lambda z: due[z])
        time.sleep(max(0.0, due[zone] - time.monotonic()))
        with contextlib.suppress(FileNotFoundError):  # a test may let a zone vanish
            tree.show(zone)
        due[zone] += zone.update_period_s


def read_task(text: str) -> Tree:
    """The tree that a writer is started with."""
    task = json.loads(text)
    zones = [Zone(**{**zone, "wave": tuple(zone["wave"])}) for zone in task["zones"]]
    return Tree(Path(task["root"]), zones, task["origin_s"])


if __name__ == "__main__":
    write_on(read_task(sys.argv[1]))
