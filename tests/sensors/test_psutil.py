"""Conditions of the CPU, above all the foreign load."""

from __future__ import annotations

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from harness.errors import SensorError
from harness.sensors import psutil as module
from harness.sensors.psutil import Psutil, _family, _Rate


@pytest.fixture
def sensor():
    opened = Psutil()
    opened.domains = {domain.name: domain for domain in opened.open()}
    return opened


def test_conditions_are_no_energy(sensor):
    """None has a kind, so none enters a sum of energies."""
    assert {"cpu_load", "foreign_load", "memory_available"} <= set(sensor.domains)
    assert all(domain.kind is None for domain in sensor.domains.values())
    assert sensor.domains["memory_available"].unit == "bytes" and sensor.read("memory_available") > 1e6


def test_loads_are_available_from_the_first_read(sensor):
    """A share of the machine, and cores."""
    assert 0 <= sensor.read("cpu_load") < 1.5  # a busy kernel counts in ticks
    assert isinstance(sensor.read("foreign_load"), float)


def busy(seconds):
    """A process that uses this CPU time."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass"]
    )


def test_the_measured_process_is_not_foreign(sensor, monkeypatch):
    """With a constant total of the machine, the foreign total decreases by the child's CPU time."""
    monkeypatch.setattr(sensor, "_busy", lambda: 100.0)
    monkeypatch.setattr(time, "process_time", lambda: 1.0)
    with busy(0.2) as child:
        sensor.watch(child.pid)
        first = sensor._foreign_busy()
        child_s = sensor._cpu_seconds(child.pid)
        assert first == pytest.approx(99.0 - child_s, abs=0.05)
        while sensor._psutil.Process(child.pid).status() != "zombie":
            time.sleep(0.01)
        assert sensor._foreign_busy() <= 99.0 - 0.15
        sensor.watch(None)
    assert sensor._foreign_busy() == pytest.approx(99.0)


def test_descendants_of_the_child_are_not_foreign():
    """Worker processes of an engine are found without a scan of all processes."""
    code = "import subprocess, sys, time; p = subprocess.Popen(['sleep', '30']); print(p.pid, flush=True); time.sleep(30)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        grandchild = int(child.stdout.readline())
        try:
            if not (module.Path(f"/proc/{child.pid}/task/{child.pid}/children")).exists():
                pytest.skip("this kernel does not list children")
            assert _family(child.pid) == [child.pid, grandchild]
        finally:
            subprocess.run(["kill", str(grandchild), str(child.pid)], check=True)


def test_a_child_that_has_ended_has_no_foreign_load(sensor):
    """Its share of the load is unknown until the next child."""
    with busy(0) as child:
        pass
    sensor.watch(child.pid)
    assert sensor._pid is None
    sensor._pid = child.pid
    time.sleep(0.06)
    with pytest.raises(SensorError):
        sensor.read("foreign_load")


def test_a_rate_over_a_too_short_interval_is_the_previous_one(monkeypatch):
    """The next rate covers both intervals."""
    clock = SimpleNamespace(now=0.0)
    total = SimpleNamespace(value=0.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    rate = _Rate(lambda: total.value)
    clock.now, total.value = 1.0, 0.5
    assert rate.read() == 0.5
    clock.now, total.value = 1.01, 0.51
    assert rate.read() == 0.5
    clock.now, total.value = 2.0, 2.5
    assert rate.read() == 2.0
