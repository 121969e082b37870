"""The processor's own energy counters (RAPL, through powercap) -> packages, their cores, DRAM and the platform, each counted once."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import SensorError
from harness.schema import Domain, Kind, SensorSpec
from harness.sensors.base import PATIENCE_S, Sensor

ROOT = "/sys/class/powercap"
ROOT_VARIABLE = "HARNESS_POWERCAP"
GAIN = 0.05
TRY_AGAIN_S = 0.0005
MIRROR_VALUES = 5
MIRROR_GAP_S = 0.005
MIRROR_LONGEST_S = 1.0

WITHIN = ("class/powercap", "devices/virtual/powercap", "")
"""Where the zones may lie below the folder that HARNESS_POWERCAP names: it may be a mount of all of sysfs."""
REAL = "sysfs"
"""The type of the file system that the kernel shows its counters in; nobody can write another value there."""
CONTAINER = (
    f"docker run -v /sys/devices/virtual/powercap:/powercap:ro -e {ROOT_VARIABLE}=/powercap ... "
    "(not /sys/class/powercap: it holds links that lead out of the mount; and not to the same path: container engines hide that one)"
)
RULE_FILE = "/etc/udev/rules.d/70-powercap.rules"
UDEV_RULE = (
    'SUBSYSTEM=="powercap", ACTION=="add|change", TEST=="energy_uj", '
    'RUN+="/bin/chgrp energy /sys%p/energy_uj", RUN+="/bin/chmod g+r /sys%p/energy_uj"'
)
GRANT = f"""let a group read it; on the machine itself, not in a container, paste:
sudo groupadd --system --force energy && sudo usermod --append --groups energy "$USER"
echo '{UDEV_RULE}' | sudo tee {RULE_FILE}
sudo udevadm control --reload && sudo udevadm trigger --action=add --subsystem-match=powercap
then log in again, so that you are in the group; its members can watch the power of every process, from which keys have been \
read (CVE-2020-8694): add only users you trust"""


@dataclass(frozen=True)
class Zone:
    """One powercap zone.

    Attributes:
        id: Name of its directory, `intel-rapl:0:1`.
        name: What it measures, `package-0`, `core`, `dram`, `psys`.
        path: Its directory.
    """

    id: str
    name: str
    path: Path

    @property
    def parent_id(self) -> str:
        """The directory of the zone around it; that of a control type for an outermost zone."""
        return self.id.rpartition(":")[0]

    @property
    def family(self) -> str:
        """`package` of `package-1`."""
        return "package" if self.name.startswith("package") else self.name

    def read_uj(self) -> int:
        """The counter, uJ.

        Raises:
            OSError: It cannot be read.
            ValueError: It shows no number.
        """
        return int((self.path / "energy_uj").read_bytes())

    def failure(self) -> OSError | ValueError | None:
        """Why it cannot be read; null where it can. A file that somebody writes anew shows nothing for a moment."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.read_uj()
            except (OSError, ValueError) as error:
                if isinstance(error, PermissionError) or time.monotonic() > until_s:
                    return error
            else:
                return None
            time.sleep(TRY_AGAIN_S)


class Rapl(Sensor):
    """Zones under /sys/class/powercap, Intel's and AMD's; a container that mounts them elsewhere sets HARNESS_POWERCAP.

    A zone is a `counter` where its file lies in sysfs, wherever that is mounted; in any other file system it is `simulated`.
    """

    spec: ClassVar = SensorSpec(name="rapl", summary="CPU packages and DRAM, by the processor's counters", rank=10)

    def __init__(self) -> None:
        self.root = Path(os.environ.get(ROOT_VARIABLE) or ROOT)
        self.dropped: dict[str, str] = {}
        """Zones that are there and not offered, by id, with the reason."""

    def open(self) -> Sequence[Domain]:
        """Find the zones, leave out copies, and say how they nest."""
        zones = self._without_copies(self._readable(self._zones()))
        types, names = mounted_types(), _domain_names(zones)
        self._by_domain = {names[zone.id]: zone for zone in zones}
        return [self._domain(zone, names, zone_kind(zone, types)) for zone in zones]

    def read(self, domain: str) -> float:
        """The counter in J; it starts again at 0 where the domain says so."""
        zone = self._by_domain[domain]
        try:
            return zone.read_uj() / 1e6
        except (OSError, ValueError) as error:
            raise _read_error(zone, error) from None

    def describe(self) -> Sequence[dict[str, Any]]:
        """The zones that are read, each with the power that it is capped at, and those left out with their reason."""
        used = [
            {"domain": name, "zone": zone.id, "name": zone.name, "power_limit_w": _limit_w(zone)} for name, zone in self._by_domain.items()
        ]
        return [*used, *({"domain": zone_id, "left_out": why} for zone_id, why in self.dropped.items())]

    def _zones(self) -> list[Zone]:
        """Every zone with a counter; sysfs shows them flat and nested, so each id is taken once."""
        for below in WITHIN:
            found: dict[str, Zone] = {}
            for pattern in ("*:*", "*/*:*", "*/*/*:*"):
                for path in sorted((self.root / below).glob(pattern)):
                    if path.name not in found and (path / "energy_uj").is_file():
                        found[path.name] = Zone(path.name, _text(path / "name") or path.name, path)
            if found:
                return list(found.values())
        raise _nothing(self.root)

    def _readable(self, zones: Sequence[Zone]) -> list[Zone]:
        """Those that can be read now, and their like: of two packages the one that can be read would be told as the whole."""
        errors = {zone.id: _read_error(zone, error) for zone in zones if (error := zone.failure())}
        readable = {zone.family for zone in zones if zone.id not in errors}
        if not readable:
            raise next(iter(errors.values()))
        self.dropped.update({zone.id: str(errors[zone.id]) for zone in zones if zone.family not in readable})
        return [zone for zone in zones if zone.family in readable]

    def _without_copies(self, zones: Sequence[Zone]) -> list[Zone]:
        """Each counter once: the second road to a package (MMIO) and the mirrors of multi-die parts are left out, with all inside them."""
        copies: dict[str, str] = {}
        first: dict[str, Zone] = {}
        for zone in sorted((z for z in zones if ":" not in z.parent_id), key=lambda z: z.parent_id):  # intel-rapl before intel-rapl-mmio
            if first.setdefault(zone.name, zone).parent_id != zone.parent_id:
                copies[zone.id] = f"the same counter as {first[zone.name].id}, by another road"
        outer = [zone for zone in zones if _is_package(zone) and zone.id not in copies]
        copies.update({mirror.id: f"shows the same counter as {first.id}" for first, mirror in _mirrors(outer)})
        for zone in zones:
            if zone.parent_id in copies:
                copies[zone.id] = f"inside {zone.parent_id}, which {copies[zone.parent_id]}"
        self.dropped.update(copies)
        return [zone for zone in zones if zone.id not in copies]

    def _domain(self, zone: Zone, names: dict[str, str], kind: Kind) -> Domain:
        """How one zone stands among the others."""
        name = names[zone.id]
        psys = next((n for n in names.values() if n == "psys"), None)
        # DRAM lies beside its package, not in it; psys holds both.
        parent = psys if _is_package(zone) or zone.name == "dram" else names.get(zone.parent_id)
        range_uj = _text(zone.path / "max_energy_range_uj")
        return Domain(
            name=name,
            sensor="rapl",
            quantity="energy",
            unit="J",
            kind=kind,
            parent=parent,
            wrap_j=int(range_uj) / 1e6 if range_uj and range_uj.isdigit() and int(range_uj) else None,
            gain=GAIN,
            detail={"zone": zone.id, "name": zone.name, "path": str(zone.path)},
        )


def mounted_types() -> dict[int, str]:
    """The type of each mounted file system by its device number, as of `os.stat`; empty where /proc does not show it.

    Mounts of one file system at several places, or of a folder of it, share a device number (proc_pid_mountinfo(5)).
    """
    types = {}
    for line in (_text(Path("/proc/self/mountinfo")) or "").splitlines():
        fields, _, rest = line.partition(" - ")
        major, minor = map(int, fields.split()[2].split(":"))
        types[os.makedev(major, minor)] = rest.split()[0]
    return types


def zone_kind(zone: Zone, types: Mapping[int, str]) -> Kind:
    """Whether a zone is the kernel's own: decided by the type of the file system that its counter lies in, links followed.

    Args:
        zone: The zone.
        types: As `mounted_types` gives them.
    """
    try:
        device = (zone.path / "energy_uj").stat().st_dev
    except OSError:
        return "simulated"
    return "counter" if types.get(device) == REAL else "simulated"


def _nothing(root: Path) -> SensorError:
    """Why there are no zones below a folder: links that lead nowhere, or nothing at all."""
    links = [path for below in WITHIN for path in sorted((root / below).glob("*:*")) if path.is_symlink() and not path.exists()]
    if links:
        target = Path(os.path.normpath(links[0].parent / links[0].readlink())).parent
        return SensorError(
            f"the RAPL zones in {links[0].parent} are links to {target}, which is not visible here",
            f"mount what they lead to: {CONTAINER}",
        )
    if not root.is_dir():
        where = f"there is no folder {root}" + (f", which {ROOT_VARIABLE} names" if str(root) != ROOT else "")
    else:
        where = f"there is no zone below {root}"
    return SensorError(
        f"this machine shows no RAPL counters, as in most virtual machines and containers: {where}",
        f"on bare metal load the module: sudo modprobe intel_rapl_msr; in a container on bare metal: {CONTAINER}",
    )


def _limit_w(zone: Zone) -> float | None:
    """What the zone may draw in the long term, as `powercap-set` sets it; null where it cannot be capped."""
    limit_uw = _text(zone.path / "constraint_0_power_limit_uw")
    return int(limit_uw) / 1e6 if limit_uw and limit_uw.isdigit() and int(limit_uw) else None


def _is_package(zone: Zone) -> bool:
    return zone.family == "package"


def _domain_names(zones: Sequence[Zone]) -> dict[str, str]:
    """Zone id -> domain: `package` where there is one, `package:N` where there are several, and what is inside numbered alike."""
    packages = sorted((z for z in zones if _is_package(z)), key=lambda z: [int(n) for n in re.findall(r"\d+", z.name)] or [0])
    suffix = {zone.id: f":{index}" if len(packages) > 1 else "" for index, zone in enumerate(packages)}
    names: dict[str, str] = {}
    for zone in zones:
        base = zone.family
        name = base + suffix.get(zone.id, suffix.get(zone.parent_id, ""))
        names[zone.id] = name if name not in names.values() else f"{base}@{zone.id}"
    return names


def _mirrors(zones: Sequence[Zone]) -> list[tuple[Zone, Zone]]:
    """(first, mirror) pairs whose counters agreed at nearly every poll while they moved.

    Zen 1 and 2 show one socket's counter on each die. Two counters of their own never agree to the microjoule, so a poll that falls
    between the updates of two mirrors does not hide them.
    """
    pairs = [(a, b) for i, a in enumerate(zones) for b in zones[i + 1 :]]
    agreed, seen, polls, began = Counter[tuple[str, str]](), set[int](), 0, time.monotonic()
    while pairs and len(seen) < MIRROR_VALUES and time.monotonic() - began < MIRROR_LONGEST_S:
        with contextlib.suppress(OSError, ValueError):
            seen.add(zones[0].read_uj())
        agreed.update((a.id, b.id) for a, b in pairs if _agree(a, b))
        polls += 1
        if not agreed and polls > MIRROR_VALUES:
            return []
        time.sleep(MIRROR_GAP_S)
    found: dict[str, tuple[Zone, Zone]] = {}
    for first, mirror in pairs:
        if len(seen) > 1 and agreed[first.id, mirror.id] > 0.8 * polls and first.id not in found:
            found.setdefault(mirror.id, (first, mirror))
    return list(found.values())


def _agree(first: Zone, other: Zone) -> bool:
    """Whether the other's counter lies between two reads of the first."""
    try:
        return first.read_uj() <= other.read_uj() <= first.read_uj()
    except (OSError, ValueError):
        return False


def _read_error(zone: Zone, error: OSError | ValueError) -> SensorError:
    """Why a counter cannot be read, and the least that would mend it."""
    if isinstance(error, PermissionError):
        return SensorError(
            f"the RAPL counter {zone.id} ({zone.name}) may be read by root alone, as since CVE-2020-8694",
            GRANT,
        )
    if isinstance(error, FileNotFoundError):
        return SensorError(f"the RAPL zone {zone.id} ({zone.name}) has gone", "was the module intel_rapl unloaded? see `harness doctor`")
    why = "it shows no number" if isinstance(error, ValueError) else error.strerror or error
    return SensorError(f"the RAPL counter {zone.id} ({zone.name}) failed: {why}", "see `dmesg`; the sample is missing")


def _text(path: Path) -> str | None:
    """A small file, or null where it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return None
