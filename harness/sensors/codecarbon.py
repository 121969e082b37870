"""CodeCarbon's model of CPU and RAM power, for machines where nothing measures them, and its table of carbon intensities."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import HarnessError, SensorError
from harness.schema import Domain, Grid, SensorSpec
from harness.sensors.base import Sensor

SHORTEST_S = 0.05
"""Load is counted in kernel ticks of 4 or 10 ms: over less than this it is noise, and the cube in the model turns noise into power."""


class CodeCarbon(Sensor):
    """P = TDP (0.1 + 0.9 load^3), load of the WHOLE machine, and a flat power for each guessed memory module: a model, no measurement.

    A busy neighbour raises it. Validation elsewhere found errors up to 40 % (arXiv 2509.22092), so it has no gain and no absolute interval.
    """

    spec: ClassVar = SensorSpec(
        name="codecarbon", summary="modelled power of CPU and RAM, where nothing measures it", packages=("codecarbon",), rank=90
    )
    period_s = 0.5

    def open(self) -> Sequence[Domain]:
        """Look up the CPU's thermal design power; offline, and without a file or a log line."""
        from codecarbon.external.logger import logger

        logger.setLevel(logging.CRITICAL)
        from codecarbon.external.hardware import CPU, MODE_CPU_LOAD
        from codecarbon.external.ram import RAM

        model, tdp_w, source = _tdp()
        self._facts = {"model": "TDP (0.1 + 0.9 load^3)", "cpu": model, "tdp_w": tdp_w, "tdp_source": source}
        self._cpu = CPU.from_utils("", MODE_CPU_LOAD, model, tdp_w)
        self._cpu.start()
        self._ram_w = float(RAM(tracking_mode="machine").total_power().W)
        if self._ram_w <= 0:
            raise SensorError(
                "CodeCarbon could not tell how much memory this machine has", "nothing stands in for it: CPU and RAM have no figure"
            )
        time.sleep(SHORTEST_S)
        self._cpu_w, self._read_s = float(self._cpu.total_power().W), time.monotonic()
        ram = {"model": "flat power for each guessed memory module"}
        return [
            Domain(name="package", sensor="codecarbon", quantity="mean_power", unit="W", kind="modelled", detail=self._facts),
            Domain(name="dram", sensor="codecarbon", quantity="mean_power", unit="W", kind="modelled", detail=ram),
        ]

    def read(self, domain: str) -> float:
        """Modelled mean power since the reading before, W; over an interval too short to see the load, the reading before again."""
        if domain == "dram":
            return self._ram_w
        now = time.monotonic()
        if now - self._read_s >= SHORTEST_S:
            self._cpu_w, self._read_s = float(self._cpu.total_power().W), now
        return self._cpu_w

    def describe(self) -> Sequence[dict[str, Any]]:
        """The CPU as the model knows it."""
        return [{"domain": "package", **self._facts}, {"domain": "dram", "power_w": self._ram_w}]


def grid(country: str) -> Grid:
    """Carbon intensity of a country's electricity, from the table that CodeCarbon brings; no network.

    Args:
        country: ISO 3166 alpha-3.

    Raises:
        HarnessError: The table has no such country, or no figure for it.
    """
    country = country.upper()
    table = json.loads((_package_folder() / "data" / "private_infra" / "global_energy_mix.json").read_text(encoding="utf-8"))
    entry = table.get(country, {})
    if entry.get("carbon_intensity") is None:
        raise HarnessError(
            f"there is no carbon intensity for the country {country!r}", "give its ISO 3166 alpha-3 code, such as FRA or USA"
        )
    year = entry.get("year")
    return Grid(
        country=country,
        g_per_kwh=entry["carbon_intensity"],
        year=None if year is None else str(year),
        source="Our World in Data, as packaged by CodeCarbon",
    )


def _package_folder() -> Path:
    """Where CodeCarbon lies, without importing it."""
    spec = find_spec("codecarbon")
    if spec is None or not spec.submodule_search_locations:
        raise HarnessError("CodeCarbon is not installed, so there is no table of carbon intensities", "pip install codecarbon")
    return Path(spec.submodule_search_locations[0])


def _tdp() -> tuple[str, float, str]:
    """(CPU, thermal design power of all sockets in W, where that is from).

    CodeCarbon's own lookup first asks py-cpuinfo for the name, which takes a second; here Linux is asked.
    """
    from codecarbon.core.cpu import DEFAULT_POWER_PER_CORE, TDP
    from codecarbon.core.util import count_cpus, count_physical_cpus, detect_cpu_model

    model = _cpu_name() or detect_cpu_model() or "unknown"
    watts = TDP.__new__(TDP)._get_cpu_power_from_registry(model)  # the constructor would ask py-cpuinfo
    if watts:
        return model, float(watts * count_physical_cpus()), "CodeCarbon's table"
    # All threads of all sockets are in the count, so it is not multiplied by sockets.
    return model, float(DEFAULT_POWER_PER_CORE * count_cpus()), f"unknown CPU: {DEFAULT_POWER_PER_CORE} W a thread"


def _cpu_name() -> str | None:
    """The processor's name on Linux; null elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
