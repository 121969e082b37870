"""A run on a made-up timeline and the log of a meter over it, whose energies are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.schema import Domain, Measurement, Meter, Phase, Sample, StoredRun, Trace
from harness.store import Store, read_run
from tests import factories

UTC_MINUS_MONOTONIC_S = 1.7e9
IDLE_W, LOAD_W = 100.0, 180.0
RATE_PER_S = 1000.0
CARD = Domain(
    name="gpu:0", sensor="nvml", quantity="power", unit="W", kind="sampled", device="gpu", gain=0.07, detail={"uuid": "GPU-1"}
)  # fmt: skip


COUNT = 4


def starts(count: int = COUNT, seed: int = 1) -> list[float]:
    """Times at which each repetition begins on the monotonic clock, unevenly spaced."""
    return (50 + np.cumsum(np.random.default_rng(seed).uniform(14.0, 19.0, count))).tolist()


def loads(begins: Sequence[float], length_s: float = 6.0) -> list[tuple[float, float]]:
    """Spans of the load, half a second longer than the window at both edges."""
    return [(t + 2.5, t + 3.5 + length_s) for t in begins]


def power_w(begins: Sequence[float], load_w: float = LOAD_W) -> Callable[[np.ndarray], np.ndarray]:
    """True power as a function of monotonic times."""

    def at(t_s: np.ndarray) -> np.ndarray:
        busy = np.any([(t_s >= a) & (t_s < b) for a, b in loads(begins)], axis=0)
        return np.where(busy, load_w, IDLE_W)

    return at


def phases(t: float, length_s: float = 6.0) -> tuple[Phase, ...]:
    """Idle, steady inside the load, and idle."""
    return (
        Phase(name="idle", start_s=t, end_s=t + 2.0),
        Phase(name="steady", start_s=t + 3.0, end_s=t + 3.0 + length_s),
        Phase(name="idle", start_s=t + 5.0 + length_s, end_s=t + 7.0 + length_s),
    )


def stored(
    folder: Path, count: int = COUNT, sensor: Callable[[float], float] | None = None, domain: Domain = CARD, **suite: Any
) -> StoredRun:
    """A stored run with its completions.

    Args:
        folder: Folder of the results.
        count: Number of repetitions.
        sensor: Reading of an on-board sensor for a true power; None for no sensor.
        domain: Domain of that sensor.
        suite: Fields of the suite.
    """
    case = factories.case(batch_size=2)
    domains = (domain,) if sensor else ()
    run = factories.stored([case], [], domains, **suite)
    store = Store.create(folder, run.header)
    for k, t in enumerate(starts(count)):
        own = []
        for phase in phases(t) if sensor else ():
            watts = sensor(LOAD_W if phase.name == "steady" else IDLE_W)
            own.append(
                factories.measurement(domain, 1.0, 1.0).model_copy(
                    update={"phase": phase.name, "start_s": phase.start_s, "end_s": phase.end_s, "gross_j": watts * phase.duration_s}
                )
            )
        record = factories.record(
            case, {}, repetition=k, phases=phases(t), measurements=tuple(own), utc_minus_monotonic_s=UTC_MINUS_MONOTONIC_S, trace=None
        )
        ends = np.arange(t + 2.5, t + 9.5, 2 / RATE_PER_S) * 1e9
        completions = np.array([ends[:-1], ends[1:], np.ones(len(ends) - 1)]).astype(np.int64)
        store.append(record, Trace({}, {}), completions, np.zeros(0))
    return read_run(store.folder)


def log_text(
    begins: Sequence[float],
    period_s: float = 0.1,
    ahead_s: float = 0.0,
    write: Callable[[float], str] = lambda t: f"{t:.3f}",
    load_w: float = LOAD_W,
    header: str = "timestamp,power_w",
    margin_s: float = 20.0,
) -> str:
    """The log of a meter over the whole run.

    Args:
        begins: Starts of the repetitions.
        period_s: Time between two rows.
        ahead_s: Time by which its clock is ahead.
        write: Writes a Unix time as text.
        load_w: Power under load.
        header: The first line.
        margin_s: Time before the first repetition and after the last.
    """
    t_s = np.arange(begins[0] - margin_s, begins[-1] + 14 + margin_s, period_s) + 0.037
    watts = power_w(begins, load_w)(t_s)
    return "\n".join([header, *(f"{write(t + UTC_MINUS_MONOTONIC_S + ahead_s)},{w}" for t, w in zip(t_s, watts, strict=True))]) + "\n"


def sample(text: str) -> Sample:
    """The rows of a log with Unix times."""
    rows = np.array([[float(cell) for cell in line.split(",")] for line in text.splitlines()[1:]])
    return Sample(rows[:, 0], rows[:, 0], rows[:, 1])


def log_file(folder: Path, **how: Any) -> Path:
    """The log of a meter over a stored run, `how` as for `log_text`."""
    path = folder / "wall.csv"
    path.write_text(log_text(starts(), **how))
    return path


def local_text(t_s: float) -> str:
    """A Unix time two hours ahead of UTC, without a zone."""
    return datetime.fromtimestamp(t_s + 7200, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def steady(meter: Meter) -> list[Measurement]:
    """Measurements of the steady phases."""
    return [m for reading in meter.readings for m in reading.measurements if m.phase == "steady"]
