"""Processes on an NVIDIA card: the measured one, foreign ones and hidden ones."""

from __future__ import annotations

import os
import subprocess

import pytest

from harness.errors import SensorError
from harness.sensors.nvml_processes import exists, is_ours
from tests.sensors.conftest import by_name


def test_processes_on_the_card_are_ours_foreign_or_hidden(driver):
    """Own processes descend from the measured one; an id that does not exist here is hidden: in a container the driver reports the host's."""
    with subprocess.Popen(["sleep", "30"]) as ours, subprocess.Popen(["sleep", "30"], start_new_session=True) as second:
        try:
            sensor = driver(process_pids=f"{ours.pid} 1 999999999", process_memory_bytes=3e8)
            sensor.open()
            sensor.watch(ours.pid)
            assert (sensor.read("gpu:0 foreign_processes"), sensor.read("gpu:0 hidden_processes")) == (1, 1)
            assert sensor.read("gpu:0 child_memory") == 3e8
            assert is_ours(second.pid, None) and not is_ours(1, ours.pid)
        finally:
            ours.kill()
            second.kill()


@pytest.mark.parametrize(
    ("pids", "memory", "expected"),
    [("", 0, None), ("999999999", 1e9, None), ("1 999999999", 1e9, None), ("1", 1e9, 0.0), (f"{os.getpid()}", -1, None)],
    ids=["none", "hidden", "one hidden", "foreign", "own without memory"],
)
def test_memory_of_an_unnamed_process_is_missing(driver, pids, memory, expected):
    """Not 0, since it may be among the hidden ones or the driver lists none; 0 only if every process is named."""
    sensor = driver(process_pids=pids, process_memory_bytes=memory)
    assert "gpu:0 child_memory" in by_name(sensor)
    if expected is None:
        with pytest.raises(SensorError, match="does not name the measured process"):
            sensor.read("gpu:0 child_memory")
    else:
        assert sensor.read("gpu:0 child_memory") == expected


def test_an_old_driver_lists_processes_by_the_older_call(driver):
    """Pynvml raises an error that is not an NVMLError for the call without a version."""
    sensor = driver(processes_v3=0, pids=2)
    assert "gpu:0 foreign_processes" in by_name(sensor)
    assert sensor.describe()[0]["pids"] == [1000, 1001]


def test_existing_process_ids():
    """A thread's id and an id below 1 are not processes; a process of another user is one."""
    assert exists(os.getpid()) and exists(1)
    assert not exists(999999999) and not exists(0) and not exists(-1)
