"""Energy from tick to tick against the truth: null engine, parent and child as in a run, counters of known waveform, 200 windows and more."""

from __future__ import annotations

import numpy as np

from harness.channel import Order
from harness.runner import Bench, run
from harness.schema import PROFILES, Limits, Task
from tests.simulated import SimulatedCounter, constant, ramp, sine, square
from tests.test_handshake import CASE, child_task

WAVES = {
    "constant": constant(100),
    "square 0.3 s": square(20, 180, 0.3),
    "ramp 0.7 s": ramp(10, 200, 0.7),
    "sine 0.1 s": sine(100, 80, 0.1),
    "bursts 0.5 s": square(15, 250, 0.5, 0.1),
}
PERIODS_S = (0.02, 0.1, 0.25)


def rows(repetitions: int = 15, window_s: float = 1.5) -> list[dict[str, object]]:
    """Relative error of the energy of each window, worst by update period."""
    profile = PROFILES["quick"].model_copy(update={"window_s": window_s, "idle_s": 0.3})
    errors: dict[float, list[float]] = {u: [] for u in PERIODS_S}
    rng = np.random.default_rng(0)
    for repetition in range(repetitions):
        sensors = [
            SimulatedCounter(wave, u, phase_s=float(rng.uniform(0, 10)), name=f"{name}/{u}")
            for u in PERIODS_S
            for name, wave in WAVES.items()
        ]
        bench = Bench([(s, s.open()) for s in sensors], profile, Limits(), "run", "environment", None)
        record = run(Task(case=CASE, repetition=repetition), Order("harness.measure", child_task(), simulated=True), bench).record
        for sensor in sensors:
            found = next(m for m in record.measurements if m.phase == "steady" and m.domain == sensor.name)
            if found.gross_j is None:
                errors[sensor.update_period_s].append(float("nan"))
            else:
                errors[sensor.update_period_s].append(abs(found.gross_j / sensor.truth_j(found.start_s, found.end_s) - 1))
    return [
        {
            "update period": f"{u * 1000:.0f} ms",
            "windows": len(e),
            "without a number": int(np.isnan(e).sum()),
            "median error": f"{np.nanmedian(e):.4%}",
            "worst error": f"{np.nanmax(e):.4%}",
        }
        for u, e in errors.items()
    ]


if __name__ == "__main__":
    from tabulate import tabulate

    print(tabulate(rows(), headers="keys", tablefmt="github"))
