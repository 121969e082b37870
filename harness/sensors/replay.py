"""Replay of a stored trace, to try a suite or a report without a sensor; always `simulated`."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness import userfiles
from harness.errors import SensorError
from harness.schema import Domain, Floats, SensorSpec
from harness.sensors.base import Sensor

VARIABLE = "HARNESS_REPLAY"


@dataclass(frozen=True)
class Track:
    """Readings of one domain: times from 0, finite values, and the duration of one round."""

    t_s: Floats
    value: Floats
    round_s: float
    counter: bool

    @classmethod
    def of(cls, t_s: Floats, value: Floats, counter: bool, wrap_j: float | None = None) -> Track:
        """Track of readings in time order, without failed ones and without the wraps of a counter."""
        valid = np.isfinite(t_s) & np.isfinite(value)
        if valid.sum() < 2:
            raise ValueError("it has fewer than two readings")
        t_s, value = t_s[valid] - t_s[valid][0], value[valid]
        if counter and wrap_j:
            value = value + wrap_j * np.cumsum(np.diff(value, prepend=value[0]) < -wrap_j / 2)
        return cls(t_s, value, float(t_s[-1] + np.median(np.diff(t_s))), counter)

    def at(self, t_s: float) -> float:
        """Reading at a time; after its end the trace repeats, and a counter continues from its last value."""
        rounds, within = divmod(t_s, self.round_s)
        value = float(self.value[np.searchsorted(self.t_s, within, side="right") - 1])
        return value + rounds * float(self.value[-1] - self.value[0]) if self.counter else value


class Replay(Sensor):
    """Replays the file in HARNESS_REPLAY: a trace of a run (Parquet), or a CSV file with `time,watts` for `package`."""

    spec: ClassVar = SensorSpec(name="replay", summary="a stored trace (HARNESS_REPLAY); always simulated", rank=0)

    def open(self) -> Sequence[Domain]:
        """Read the trace."""
        name = os.environ.get(VARIABLE)
        if not name:
            raise SensorError(f"{VARIABLE} is not set", f"to replay a trace, set {VARIABLE} to its path")
        path = Path(name)
        userfiles.check_regular(path, "trace", limit_bytes=userfiles.RUN_BYTES, error=SensorError)
        try:
            tracks, domains = _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise SensorError(
                f"{VARIABLE}={name} cannot be replayed: {type(error).__name__}: {error}",
                "use a trace of a run (Parquet, in the run's folder) or a CSV file with the columns time,watts",
            ) from None
        self._tracks, self._began_s = tracks, time.monotonic()
        return [
            domain.model_copy(
                update={"sensor": "replay", "kind": domain.kind and "simulated", "wrap_j": None, "detail": {"file": path.name}}
            )
            for domain in domains
        ]

    def read(self, domain: str) -> float:
        """Value of the trace at the current time."""
        return self._tracks[domain].at(time.monotonic() - self._began_s)


def _read_csv(path: Path) -> tuple[Mapping[str, Track], Sequence[Domain]]:
    with path.open(newline="") as file:
        rows = [(float(row["time"]), float(row["watts"])) for row in csv.DictReader(file)]
    t_s, watts = np.array(rows).T
    domain = Domain(name="package", sensor="replay", quantity="power", unit="W", kind="simulated")
    return {"package": Track.of(t_s, watts, counter=False)}, [domain]


def _header_text(path: Path) -> str:
    """Text of a run's `run.json`; raises OSError if there is none, SensorError if it is not a regular file."""
    if not path.exists():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return userfiles.read_text(path, "run's header", limit_bytes=userfiles.RUN_BYTES, error=SensorError)


def _read_parquet(path: Path) -> tuple[Mapping[str, Track], Sequence[Domain]]:
    """Tracks and domains of a trace, with its run's header, which distinguishes counters from power readings."""
    import pyarrow.parquet as pq

    header: dict[str, Any] = json.loads(_header_text(path.parent.parent / "run.json"))
    known = {entry["name"]: Domain(**entry) for entry in header["domains"]}
    table = pq.read_table(path)
    names = np.array(table.column("domain").to_pylist())
    middle_s = (table.column("start_s").to_numpy() + table.column("end_s").to_numpy()) / 2
    value = table.column("value").to_numpy()
    tracks = {
        name: Track.of(middle_s[names == name], value[names == name], domain.quantity == "energy", domain.wrap_j)
        for name, domain in known.items()
        if np.isfinite(value[names == name]).sum() > 1
    }
    if not tracks:
        raise ValueError("it has no readings of its run's domains")
    return tracks, [known[name] for name in tracks]
