"""A stored trace played again as if it were measured now, to try a suite or a report without a sensor: always `simulated`."""

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
    """One domain of the trace: times from 0, finite values, and how long a round of it lasts."""

    t_s: Floats
    value: Floats
    round_s: float
    counter: bool

    @classmethod
    def of(cls, t_s: Floats, value: Floats, counter: bool, wrap_j: float | None = None) -> Track:
        """From readings in time order; those that failed are left out, wraps of a counter undone."""
        good = np.isfinite(t_s) & np.isfinite(value)
        if good.sum() < 2:
            raise ValueError("it has fewer than two readings")
        t_s, value = t_s[good] - t_s[good][0], value[good]
        if counter and wrap_j:
            value = value + wrap_j * np.cumsum(np.diff(value, prepend=value[0]) < -wrap_j / 2)
        return cls(t_s, value, float(t_s[-1] + np.median(np.diff(t_s))), counter)

    def at(self, t_s: float) -> float:
        """The reading that stood at a time: the trace begins again at its end, a counter going on from where it was."""
        rounds, within = divmod(t_s, self.round_s)
        shown = float(self.value[np.searchsorted(self.t_s, within, side="right") - 1])
        return shown + rounds * float(self.value[-1] - self.value[0]) if self.counter else shown


class Replay(Sensor):
    """Plays the file that HARNESS_REPLAY names: a trace of a run (Parquet), or a CSV of `time,watts`, which becomes `package`."""

    spec: ClassVar = SensorSpec(name="replay", summary="a stored trace, named by HARNESS_REPLAY; always simulated", rank=0)

    def open(self) -> Sequence[Domain]:
        """Read the trace."""
        name = os.environ.get(VARIABLE)
        if not name:
            raise SensorError("no replay was asked for", f"name a trace in the environment variable {VARIABLE} to play one")
        path = Path(name)
        userfiles.check_regular(path, "trace", limit_bytes=userfiles.RUN_BYTES, error=SensorError)
        try:
            tracks, domains = _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise SensorError(
                f"{VARIABLE}={name} cannot be played: {type(error).__name__}: {error}",
                "it must be a trace of a run (Parquet, in the run's folder), or a CSV with the columns time,watts",
            ) from None
        self._tracks, self._began_s = tracks, time.monotonic()
        return [
            domain.model_copy(
                update={"sensor": "replay", "kind": domain.kind and "simulated", "wrap_j": None, "detail": {"file": path.name}}
            )
            for domain in domains
        ]

    def read(self, domain: str) -> float:
        """What the trace says for now."""
        return self._tracks[domain].at(time.monotonic() - self._began_s)


def _read_csv(path: Path) -> tuple[Mapping[str, Track], Sequence[Domain]]:
    with path.open(newline="") as file:
        rows = [(float(row["time"]), float(row["watts"])) for row in csv.DictReader(file)]
    t_s, watts = np.array(rows).T
    domain = Domain(name="package", sensor="replay", quantity="power", unit="W", kind="simulated")
    return {"package": Track.of(t_s, watts, counter=False)}, [domain]


def _header_text(path: Path) -> str:
    """The text of a run's `run.json`; an OSError where it is not there, a SensorError where it is no regular file."""
    if not path.exists():
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return userfiles.read_text(path, "run's header", limit_bytes=userfiles.RUN_BYTES, error=SensorError)


def _read_parquet(path: Path) -> tuple[Mapping[str, Track], Sequence[Domain]]:
    """A trace with the domains of its run: without them nobody could tell a counter from a gauge."""
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
        raise ValueError("none of its run's domains is in it")
    return tracks, [known[name] for name in tracks]
