"""The lock, the sensors, the environment and the free memory of the machine."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import venvs
from harness.energy.scope import for_card, near_domains
from harness.environment import control_groups, environment
from harness.errors import StoreError
from harness.schema import Catalogue, Domain, Environment, PluginSpec, Suite
from harness.sensors.base import Sensor
from harness.sensors.probe import open_sensors, probe

Sensors = Sequence[tuple[Sensor, Sequence[Domain]]]


@contextlib.contextmanager
def opened_sensors(catalogue: Catalogue, suite: Suite) -> Iterator[tuple[Sensors, dict[str, str], dict[str, Any]]]:
    """Open every readable sensor, and probe those that the suite depends on.

    Yields:
        The sensors with their domains, the reason for each unavailable one, and the results of the probe.
    """
    sensors, unavailable = open_sensors(catalogue, {case.card for case in suite.cases if case.card})
    try:
        sensors, probed = probe(sensors, near=near_suite(sensors, suite))
        yield sensors, unavailable, probed
    finally:
        for sensor, _ in sensors:
            sensor.close()


def near_suite(sensors: Sensors, suite: Suite) -> frozenset[str]:
    """Names of the domains that the figures of any case of the suite depend on."""
    domains = [domain for _, each in sensors for domain in each]
    devices = {(case.device, case.card) for case in suite.cases} | {("cpu", None)}
    return frozenset().union(*(near_domains(for_card(domains, card), device, suite.domains) for device, card in devices))


@contextlib.contextmanager
def machine_lock(run_id: str, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the machine for one run, since two at a time disturb each other.

    The operating system releases the lock when its owner dies.

    Args:
        run_id: Shown to a run that waits for this one.
        waiting: Called with the owner of the lock before the wait.

    Raises:
        StoreError: The lock file cannot be opened.
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
            f"cannot lock the machine (harness-machine.lock in the temporary folder): {error.strerror or error}",
            "if the file belongs to another user, ask them, or remove it when no run is active",
        ) from None
    try:
        with contextlib.suppress(OSError):
            owner.write_text(json.dumps({"pid": os.getpid(), "run": run_id, "since": datetime.now(UTC).isoformat(timespec="seconds")}))
        yield
    finally:
        with contextlib.suppress(OSError):
            owner.unlink()  # another user could not overwrite it
        lock.release()


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text())
        return f"run {owner['run']} of process {owner['pid']}, since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"


def environment_here(catalogue: Catalogue, sensors: Sensors) -> Environment:
    """The machine, and the versions of all packages that plug-ins may use."""
    engines = {f"{name} {device}": spec.at(device) for name, spec in catalogue.engines.items() for device in spec.devices}
    families = (engines, catalogue.sensors, catalogue.variants, catalogue.workloads, catalogue.formats, catalogue.frameworks)
    specs: list[PluginSpec] = [spec for family in families for spec in family.values()]
    specs += [program for spec in catalogue.engines.values() for program in spec.every_program()]
    separate = {
        package: version
        for spec in specs
        if (name := venvs.used(spec))
        for package, version in venvs.versions(name, spec.packages).items()
        if version
    }
    packages = {package for spec in specs for package in spec.packages}
    return environment([device for sensor, _ in sensors for device in sensor.describe()], packages, separate)


def available_memory_bytes() -> int:
    """Memory available without swapping, in the machine and its control groups."""
    import psutil

    groups = zip(*(control_groups(f"memory.{name}") for name in ("max", "current", "stat")), strict=False)
    left = [
        int(most) - int(now) + int(dict(zip(stat[::2], stat[1::2], strict=True))["inactive_file"])  # reclaimed by the kernel
        for (most,), (now,), stat in groups
        if most != "max"
    ]
    return min([int(psutil.virtual_memory().available), *left])
