"""Energy counters of the processor (RAPL, through powercap): packages, cores, DRAM and platform, each counted once."""

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
from harness.userfiles import system_text

ROOT = "/sys/class/powercap"
ROOT_VARIABLE = "HARNESS_POWERCAP"
GAIN = 0.05
RETRY_S = 0.0005
MIRROR_VALUES, MIRROR_GAP_S, MIRROR_LIMIT_S = 5, 0.005, 1.0
"""Number of counter values that are compared to find mirrors, pause between the comparisons, and time limit."""

FOLDERS = ("class/powercap", "devices/virtual/powercap", "")
"""Where the zones may be below HARNESS_POWERCAP, which may be a mount of all of sysfs."""
REAL = "sysfs"
"""Type of the file system of the kernel's counters; no user can write other values there."""
CONTAINER = (
    f"docker run -v /sys/devices/virtual/powercap:/powercap:ro -e {ROOT_VARIABLE}=/powercap ... "
    "(do not mount /sys/class/powercap, whose links lead out of the mount, nor onto the same path, which container engines hide)"
)
RULE_FILE = "/etc/udev/rules.d/70-powercap.rules"
UDEV_RULE = (
    'SUBSYSTEM=="powercap", ACTION=="add|change", TEST=="energy_uj", '
    'RUN+="/bin/chgrp energy /sys%p/energy_uj", RUN+="/bin/chmod g+r /sys%p/energy_uj"'
)
GRANT = f"""let a group read it: on the machine itself (not in a container) run
sudo groupadd --system --force energy && sudo usermod --append --groups energy "$USER"
echo '{UDEV_RULE}' | sudo tee {RULE_FILE}
sudo udevadm control --reload && sudo udevadm trigger --action=add --subsystem-match=powercap
then log in again to join the group. Its members can observe the power of every process, which has revealed keys \
(CVE-2020-8694): add only users you trust"""


@dataclass(frozen=True)
class Zone:
    """One powercap zone.

    Attributes:
        id: Name of its directory, such as `intel-rapl:0:1`.
        name: What it measures: `package-0`, `core`, `dram`, `psys`.
        path: Its directory.
    """

    id: str
    name: str
    path: Path

    @property
    def parent_id(self) -> str:
        """Id of the enclosing zone; for an outermost zone the name of its control type."""
        return self.id.rpartition(":")[0]

    @property
    def is_package(self) -> bool:
        """Whether it measures a whole package."""
        return self.family == "package"

    @property
    def family(self) -> str:
        """Name without a number: `package` for `package-1`."""
        return "package" if self.name.startswith("package") else self.name

    def read_uj(self) -> int:
        """Counter in microjoules; OSError if the file cannot be read, ValueError if it contains no number."""
        return int((self.path / "energy_uj").read_bytes())

    def failure(self) -> OSError | ValueError | None:
        """Error of reading the counter; None if it is readable. Retries, since a file that is being written is empty for a moment."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.read_uj()
            except (OSError, ValueError) as error:
                if isinstance(error, PermissionError) or time.monotonic() > until_s:
                    return error
            else:
                return None
            time.sleep(RETRY_S)


class Rapl(Sensor):
    """Zones of Intel and AMD under /sys/class/powercap, or under HARNESS_POWERCAP in a container that mounts them elsewhere.

    The kind of a zone is `counter` if its file is in sysfs, wherever that is mounted, and `simulated` in any other file system.
    """

    spec: ClassVar = SensorSpec(name="rapl", summary="CPU packages and DRAM, by the processor's counters", rank=10)

    def __init__(self) -> None:
        self.root = Path(os.environ.get(ROOT_VARIABLE) or ROOT)
        self.dropped: dict[str, str] = {}
        """Reason by id of each zone that is present but not read."""

    def open(self) -> Sequence[Domain]:
        """Find the zones and their parents; copies are left out."""
        zones = self._without_copies(self._readable(self._zones()))
        types, names = mounted_types(), _domain_names(zones)
        self._by_domain = {names[zone.id]: zone for zone in zones}
        return [self._domain(zone, names, zone_kind(zone, types)) for zone in zones]

    def read(self, domain: str) -> float:
        """Counter in J; it wraps to 0 at the domain's `wrap_j`."""
        zone = self._by_domain[domain]
        try:
            return zone.read_uj() / 1e6
        except (OSError, ValueError) as error:
            raise _read_error(zone, error) from None

    def describe(self) -> Sequence[dict[str, Any]]:
        """Zones that are read, each with its long-term power limit (as `powercap-set` sets it), and the reasons of the others."""
        zones = [
            {"domain": name, "zone": zone.id, "name": zone.name, "power_limit_w": _millionth(zone.path / "constraint_0_power_limit_uw")}
            for name, zone in self._by_domain.items()
        ]
        return [*zones, *({"domain": zone_id, "left_out": why} for zone_id, why in self.dropped.items())]

    def _zones(self) -> list[Zone]:
        """All zones with a counter, once each, since sysfs shows them flat and nested."""
        for folder in FOLDERS:
            zones: dict[str, Zone] = {}
            for pattern in ("*:*", "*/*:*", "*/*/*:*"):
                for path in sorted((self.root / folder).glob(pattern)):
                    if path.name not in zones and (path / "energy_uj").is_file():
                        zones[path.name] = Zone(path.name, system_text(path / "name") or path.name, path)
            if zones:
                return list(zones.values())
        raise _no_zones(self.root)

    def _readable(self, zones: Sequence[Zone]) -> list[Zone]:
        """Zones of each family with a readable zone: one readable package of two must not pass for the whole."""
        errors = {zone.id: _read_error(zone, error) for zone in zones if (error := zone.failure())}
        readable = {zone.family for zone in zones if zone.id not in errors}
        if not readable:
            raise next(iter(errors.values()))
        self.dropped.update({zone.id: str(errors[zone.id]) for zone in zones if zone.family not in readable})
        return [zone for zone in zones if zone.family in readable]

    def _without_copies(self, zones: Sequence[Zone]) -> list[Zone]:
        """Zones without the second interface to a package (MMIO), the mirrors of multi-die processors, and the zones inside them."""
        copies: dict[str, str] = {}
        first: dict[str, Zone] = {}
        for zone in sorted((z for z in zones if ":" not in z.parent_id), key=lambda z: z.parent_id):  # intel-rapl before intel-rapl-mmio
            if first.setdefault(zone.name, zone).parent_id != zone.parent_id:
                copies[zone.id] = f"the same counter as {first[zone.name].id}, through another interface"
        outer = [zone for zone in zones if zone.is_package and zone.id not in copies]
        copies.update({mirror.id: f"the same counter as {first.id}" for first, mirror in _mirrors(outer)})
        for zone in zones:
            if zone.parent_id in copies:
                copies[zone.id] = f"inside {zone.parent_id}, which is {copies[zone.parent_id]}"
        self.dropped.update(copies)
        return [zone for zone in zones if zone.id not in copies]

    def _domain(self, zone: Zone, names: dict[str, str], kind: Kind) -> Domain:
        """Domain of a zone."""
        name = names[zone.id]
        psys = "psys" if "psys" in names.values() else None  # contains the packages and their DRAM, which is not part of its package
        return Domain(
            name=name,
            sensor="rapl",
            quantity="energy",
            unit="J",
            kind=kind,
            parent=psys if zone.is_package or zone.name == "dram" else names.get(zone.parent_id),
            wrap_j=_millionth(zone.path / "max_energy_range_uj"),
            gain=GAIN,
            detail={"zone": zone.id, "name": zone.name, "path": str(zone.path)},
        )


def mounted_types() -> dict[int, str]:
    """Type of each mounted file system by its device number (`os.stat`); empty if /proc does not list them.

    All mounts of one file system, or of a folder of it, have the same device number (proc_pid_mountinfo(5)).
    """
    types = {}
    for line in system_text("/proc/self/mountinfo").splitlines():
        fields, _, rest = line.partition(" - ")
        major, minor = map(int, fields.split()[2].split(":"))
        types[os.makedev(major, minor)] = rest.split()[0]
    return types


def zone_kind(zone: Zone, types: Mapping[int, str]) -> Kind:
    """Kind of a zone by the type of the file system (`mounted_types`) of its counter; links are followed."""
    try:
        device = (zone.path / "energy_uj").stat().st_dev
    except OSError:
        return "simulated"
    return "counter" if types.get(device) == REAL else "simulated"


def _no_zones(root: Path) -> SensorError:
    """Reason why a folder has no zones: broken links, or nothing at all."""
    links = [path for folder in FOLDERS for path in sorted((root / folder).glob("*:*")) if path.is_symlink() and not path.exists()]
    if links:
        target = Path(os.path.normpath(links[0].parent / links[0].readlink())).parent
        what = f"the RAPL zones in {links[0].parent} are links to {target}, which is not visible here"
        return SensorError(what, f"mount the target: {CONTAINER}")
    where = f"there is no {'zone in' if root.is_dir() else 'folder'} {root}" + ("" if str(root) == ROOT else f" ({ROOT_VARIABLE})")
    return SensorError(
        f"this machine has no RAPL counters, like most virtual machines and containers ({where})",
        f"on bare metal load the module with `sudo modprobe intel_rapl_msr`; in a container on bare metal: {CONTAINER}",
    )


def _millionth(path: Path) -> float | None:
    """Number in a file, in micro-units, in SI units; None if there is none or it is 0."""
    text = system_text(path)
    return int(text) / 1e6 if text and text.isdigit() and int(text) else None


def _domain_names(zones: Sequence[Zone]) -> dict[str, str]:
    """Domain by zone id: `package`, or `package:N` if there are several, with the same number for the zones inside."""
    packages = sorted((z for z in zones if z.is_package), key=lambda z: [int(n) for n in re.findall(r"\d+", z.name)] or [0])
    suffix = {zone.id: f":{index}" if len(packages) > 1 else "" for index, zone in enumerate(packages)}
    names: dict[str, str] = {}
    for zone in zones:
        name = zone.family + suffix.get(zone.id, suffix.get(zone.parent_id, ""))
        names[zone.id] = name if name not in names.values() else f"{zone.family}@{zone.id}"
    return names


def _mirrors(zones: Sequence[Zone]) -> list[tuple[Zone, Zone]]:
    """Pairs (first, mirror) of zones whose counters agreed at nearly every poll while they changed.

    Zen 1 and 2 show the counter of a socket on each die. Independent counters never agree to the microjoule, so mirrors are found even if
    some polls fall between their updates.
    """
    pairs = [(a, b) for i, a in enumerate(zones) for b in zones[i + 1 :]]
    agreed, values, polls, began = Counter[tuple[str, str]](), set[int](), 0, time.monotonic()
    while pairs and len(values) < MIRROR_VALUES and time.monotonic() - began < MIRROR_LIMIT_S:
        with contextlib.suppress(OSError, ValueError):
            values.add(zones[0].read_uj())
        agreed.update((a.id, b.id) for a, b in pairs if _agree(a, b))
        polls += 1
        if not agreed and polls > MIRROR_VALUES:
            return []
        time.sleep(MIRROR_GAP_S)
    mirrors: dict[str, tuple[Zone, Zone]] = {}
    for first, mirror in pairs:
        if len(values) > 1 and agreed[first.id, mirror.id] > 0.8 * polls and first.id not in mirrors:
            mirrors.setdefault(mirror.id, (first, mirror))
    return list(mirrors.values())


def _agree(first: Zone, other: Zone) -> bool:
    """Whether the other counter is between two reads of the first."""
    try:
        return first.read_uj() <= other.read_uj() <= first.read_uj()
    except (OSError, ValueError):
        return False


def _read_error(zone: Zone, error: OSError | ValueError) -> SensorError:
    """Reason why a counter cannot be read, with the least privilege that fixes it."""
    if isinstance(error, PermissionError):
        return SensorError(f"only root may read the RAPL counter {zone.id} ({zone.name}), the default since CVE-2020-8694", GRANT)
    if isinstance(error, FileNotFoundError):
        return SensorError(
            f"the RAPL zone {zone.id} ({zone.name}) has disappeared", "check that the module is loaded: lsmod | grep intel_rapl"
        )
    why = "it contains no number" if isinstance(error, ValueError) else error.strerror or error
    return SensorError(f"the RAPL counter {zone.id} ({zone.name}) failed: {why}", "see `dmesg`; the sample is missing")
