"""Windows measured by a peer as its users do; prints JSON of (start, end, joules of the first GPU), times on CLOCK_MONOTONIC.

python benchmarks/peer.py zeus|codecarbon WINDOWS SECONDS
python benchmarks/peer.py follow      Zeus, a window from each line `begin` on standard input to the next line `end`; prints each at once

Imports nothing of this project, to run in the peer's own virtual environment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

Window = tuple[float, float, float]


def zeus(windows: int, seconds: float) -> Iterator[Window]:
    """Zeus: begin_window, end_window."""
    from zeus.monitor import ZeusMonitor

    monitor = ZeusMonitor(gpu_indices=[0], cpu_indices=[])
    for index in range(windows):
        time.sleep(0.618 * index % 1)
        monitor.begin_window("window", sync_execution=False)
        start_s = time.monotonic()
        time.sleep(seconds)
        end_s = time.monotonic()
        yield start_s, end_s, monitor.end_window("window", sync_execution=False).gpu_energy[0]


def codecarbon(windows: int, seconds: float) -> Iterator[Window]:
    """CodeCarbon: one tracker per window; it counts kWh."""
    from codecarbon import OfflineEmissionsTracker

    for index in range(windows):
        time.sleep(0.618 * index % 1)
        tracker = OfflineEmissionsTracker(
            country_iso_code="DEU", gpu_ids=[0], measure_power_secs=1, save_to_file=False, log_level="critical"
        )
        tracker.start()
        start_s = time.monotonic()
        time.sleep(seconds)
        end_s = time.monotonic()
        tracker.stop()
        yield start_s, end_s, tracker.final_emissions_data.gpu_energy * 3.6e6


def follow() -> None:
    """Windows of Zeus that begin and end on request."""
    from zeus.monitor import ZeusMonitor

    monitor = ZeusMonitor(gpu_indices=[0], cpu_indices=[])
    print("ready", flush=True)
    start_s = 0.0
    for line in sys.stdin:
        if line.strip() == "begin":
            monitor.begin_window("window", sync_execution=False)
            start_s = time.monotonic()
        else:
            end_s = time.monotonic()
            joules = monitor.end_window("window", sync_execution=False).gpu_energy[0]
            print(json.dumps((start_s, end_s, joules)), flush=True)


if __name__ == "__main__":
    meters = {"zeus": zeus, "codecarbon": codecarbon}
    if sys.argv[1] == "follow":
        follow()
    else:
        print(json.dumps(list(meters[sys.argv[1]](int(sys.argv[2]), float(sys.argv[3])))))
