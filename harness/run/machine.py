"""The machine to itself: the lock that keeps a second run waiting, the sensors opened and probed, the environment told."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.energy.scope import near_domains
from harness.environment import control_groups, environment
from harness.errors import StoreError
from harness.schema import Catalogue, Domain, Environment, Suite
from harness.sensors.base import Sensor
from harness.sensors.probe import open_sensors, probe

Sensors = Sequence[tuple[Sensor, Sequence[Domain]]]


@contextlib.contextmanager
def opened_sensors(catalogue: Catalogue, suite: Suite) -> Iterator[tuple[Sensors, dict[str, str], dict[str, Any]]]:
    """Every sensor that can be read here, closed again at the end; what the cases of the suite depend on is probed."""
    sensors, unavailable = open_sensors(catalogue)
    try:
        sensors, probed = probe(sensors, near=near_suite(sensors, suite))
        yield sensors, unavailable, probed
    finally:
        for sensor, _ in sensors:
            sensor.close()


def near_suite(sensors: Sensors, suite: Suite) -> frozenset[str]:
    """Names of the domains that the figures of some case of the suite depend on."""
    domains = [domain for _, each in sensors for domain in each]
    return frozenset().union(*(near_domains(domains, device, suite.domains) for device in {case.device for case in suite.cases} | {"cpu"}))


@contextlib.contextmanager
def machine_lock(run_id: str, waiting: Callable[[str], None]) -> Iterator[None]:
    """One run at a time on this machine, since two would spoil each other; the second waits.

    Args:
        run_id: Told to whoever waits for us.
        waiting: Told who owns the lock, before we wait.

    The operating system frees the lock when its owner dies, so that none is ever stale.
    """
    from filelock import FileLock, Timeout

    try:
        folder = Path(tempfile.gettempdir())
        lock, owner = FileLock(folder / "harness-machine.lock", mode=0o666), folder / "harness-machine.owner"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting(_owner(owner))
            lock.acquire(poll_interval=0.5)
    except OSError as error:
        raise StoreError(
            f"the lock of this machine, harness-machine.lock in the folder of temporary files, cannot be taken: {error.strerror or error}",
            "is it another user's? ask them, or remove it when no run is on",
        ) from None
    try:
        with contextlib.suppress(OSError):
            owner.write_text(json.dumps({"pid": os.getpid(), "run": run_id, "since": datetime.now(UTC).isoformat(timespec="seconds")}))
        yield
    finally:
        with contextlib.suppress(OSError):
            owner.unlink()  # another user could not write it anew
        lock.release()


def _owner(path: Path) -> str:
    try:
        said = json.loads(path.read_text())
        return f"run {said['run']} of process {said['pid']}, since {said['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"


def environment_here(catalogue: Catalogue, sensors: Sensors) -> Environment:
    """The machine and the versions of everything that the catalogue's plug-ins may use."""
    packages = sorted(
        {
            p
            for family in (catalogue.engines, catalogue.sensors, catalogue.variants, catalogue.workloads)
            for spec in family.values()
            for p in spec.packages
        }
    )
    return environment([device for sensor, _ in sensors for device in sensor.describe()], packages)


def available_memory_bytes() -> int:
    """What processes may still take without swapping: of the machine's memory, and of that of each control group around us."""
    import psutil

    groups = zip(*(control_groups(f"memory.{name}") for name in ("max", "current", "stat")), strict=False)
    left = [
        int(most) - int(now) + int(dict(zip(stat[::2], stat[1::2], strict=True))["inactive_file"])  # the kernel gives that back
        for (most,), (now,), stat in groups
        if most != "max"
    ]
    return min([int(psutil.virtual_memory().available), *left])
