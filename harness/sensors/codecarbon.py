"""CodeCarbon's model of CPU and RAM power, for machines without counters, and its table of carbon intensities."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import HarnessError, SensorError
from harness.schema import Domain, Grid, SensorSpec
from harness.sensors.base import Sensor
from harness.sensors.design_power import cpus_here, design_power, look_up

USED, UNUSED = ("user", "nice", "system", "irq", "softirq"), ("idle", "iowait", "steal")
SHORTEST_S = 0.05
"""Shortest interval of a load: the kernel counts in ticks of 4 or 10 ms, and the model's cube turns their noise into power."""
MIN_RAM_W_PER_GIB = 0.03
"""An idle module of 64 GiB draws some 2 W."""
MAX_RAM_FACTOR = 2.0
"""A module draws up to 10 W under load; the model has 5 W (both: vendors' power calculators for DDR4 and DDR5)."""


class CodeCarbon(Sensor):
    """Modelled power: P_full (0.1 + 0.9 load^3) with the load of the WHOLE machine, and a constant power per assumed memory module.

    The formula is that of CodeCarbon's methodology (mode `cpu_load`); P_full is the CPUs' thermal design power, or an estimate with bounds
    (`design_power`). Foreign load raises the power. Validations found errors of up to 40 % (arXiv 2509.22092), so there is no gain and no
    absolute interval.
    """

    spec: ClassVar = SensorSpec(
        name="codecarbon", summary="modelled power of CPU and RAM, where nothing measures it", packages=("codecarbon",), rank=90
    )
    period_s = 0.5

    def open(self) -> Sequence[Domain]:
        """Look up the CPU's thermal design power, offline and without writing files or logs."""
        cpus = cpus_here()
        self._power = design_power(cpus, look_up(_package_folder() / "data" / "hardware" / "cpu_power.csv", cpus.name))
        self._ram_w, memory_gib = _ram()
        self._facts: dict[str, dict[str, Any]] = {
            "package": {
                "model": "P_full (0.1 + 0.9 load^3)",
                "cpu": cpus.name or "unknown",
                "tdp_w": self._power.watts,
                "tdp_source": self._power.source,
                **_bounds(self._power.watts, self._power.low_w, self._power.high_w),
            },
            "dram": {
                "model": "constant power per assumed memory module",
                "power_w": self._ram_w,
                **_bounds(self._ram_w, MIN_RAM_W_PER_GIB * memory_gib, MAX_RAM_FACTOR * self._ram_w),
            },
        }
        self._times, self._read_s = _cpu_times(), time.monotonic()
        time.sleep(SHORTEST_S)
        self._cpu_w = self._modelled_w()
        return [
            Domain(name=name, sensor="codecarbon", quantity="mean_power", unit="W", kind="modelled", detail=facts)
            for name, facts in self._facts.items()
        ]

    def read(self, domain: str) -> float:
        """Modelled mean power in W since the previous reading; the previous reading if the interval is too short for a load."""
        if domain == "dram":
            return self._ram_w
        if time.monotonic() - self._read_s >= SHORTEST_S:
            self._cpu_w = self._modelled_w()
        return self._cpu_w

    def describe(self) -> Sequence[dict[str, Any]]:
        """Inputs of the model for CPU and memory."""
        return [{"domain": name, **facts} for name, facts in self._facts.items()]

    def _modelled_w(self) -> float:
        """CPU power in W at the load since the previous call."""
        before, self._times, self._read_s = self._times, _cpu_times(), time.monotonic()
        return self._power.watts * (0.1 + 0.9 * load(before, self._times) ** 3)


def load(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Busy share of the CPUs' time between two readings, 0 to 1; 0 if no time passed.

    Time that a hypervisor gave to other guests (steal) counts as idle; time of own guests is part of `user` (proc_stat(5)).

    Args:
        before: Seconds since boot by field, summed over all CPUs.
        after: Later values of the same fields.
    """
    spent = {name: max(0.0, after[name] - before.get(name, 0.0)) for name in after}  # iowait may decrease
    used_s, all_s = (sum(spent.get(name, 0.0) for name in names) for names in (USED, (*USED, *UNUSED)))
    return min(1.0, used_s / all_s) if all_s > 0 else 0.0


def _cpu_times() -> Mapping[str, float]:
    import psutil

    times: Mapping[str, float] = psutil.cpu_times()._asdict()
    return times


def _bounds(value: float, low: float, high: float) -> dict[str, float]:
    """Bounds for `Domain.detail`, widened to contain the modelled value."""
    return {"low_w": min(low, value), "high_w": max(high, value)}


def _ram() -> tuple[float, float]:
    """Modelled power of the memory in W, and its size in GiB."""
    import psutil
    from codecarbon.external.ram import RAM

    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    watts = float(RAM(tracking_mode="machine").total_power().W)
    if watts <= 0:
        raise SensorError(
            "CodeCarbon cannot determine the size of the memory",
            "there is no other model: import the log of a power meter (harness import-meter)",
        )
    return watts, psutil.virtual_memory().total / 2**30


def grid(country: str) -> Grid:
    """Carbon intensity of a country's electricity, from the table in CodeCarbon's package.

    Args:
        country: ISO 3166 alpha-3 code.

    Raises:
        HarnessError: The table has no value for the country.
    """
    country = country.upper()
    table = json.loads((_package_folder() / "data" / "private_infra" / "global_energy_mix.json").read_text(encoding="utf-8"))
    entry = table.get(country, {})
    if entry.get("carbon_intensity") is None:
        raise HarnessError(f"there is no carbon intensity for the country {country!r}", "use the ISO 3166 alpha-3 code, such as FRA or USA")
    year = entry.get("year")
    return Grid(
        country=country,
        g_per_kwh=entry["carbon_intensity"],
        year=None if year is None else str(year),
        source="Our World in Data, as packaged by CodeCarbon",
    )


def _package_folder() -> Path:
    """Folder of CodeCarbon's package, found without importing it."""
    spec = find_spec("codecarbon")
    if spec is None or not spec.submodule_search_locations:
        raise HarnessError("the table of carbon intensities is part of CodeCarbon, which is not installed", "pip install codecarbon")
    return Path(spec.submodule_search_locations[0])
