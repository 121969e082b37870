"""Replay of a stored trace."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import SensorError
from harness.schema import Domain
from harness.sensors.replay import VARIABLE, Replay, Track


def stored(tmp_path, rows, domains):
    """Path of a trace as a run stores it."""
    (tmp_path / "run" / "traces").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text(json.dumps({"domains": [domain.model_dump() for domain in domains]}))
    path = tmp_path / "run" / "traces" / "a.parquet"
    columns = dict(zip(("domain", "start_s", "end_s", "value"), map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), path)
    return path


def test_it_is_not_opened_without_the_variable(monkeypatch):
    """No simulated figures by accident."""
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(SensorError, match="HARNESS_REPLAY is not set"):
        Replay().open()


def test_a_csv_file_is_the_power_of_the_package(tmp_path, monkeypatch):
    """Always simulated."""
    path = tmp_path / "trace.csv"
    path.write_text("time,watts\n10.0,20\n11.0,20\n12.0,20\n")
    monkeypatch.setenv(VARIABLE, str(path))
    sensor = Replay()
    (domain,) = sensor.open()
    assert (domain.name, domain.quantity, domain.kind) == ("package", "power", "simulated")
    assert sensor.read("package") == 20


def test_a_trace_of_a_run_is_simulated(tmp_path, monkeypatch):
    """A counter stays a counter; conditions have no kind."""
    domains = [
        Domain(name="package", sensor="rapl", quantity="energy", unit="J", kind="counter", wrap_j=100.0, gain=0.05),
        Domain(name="cpu_load", sensor="psutil", quantity="load", unit="1"),
        Domain(name="dram", sensor="rapl", quantity="energy", unit="J", kind="counter"),
    ]
    rows = [("package", 5.0, 5.0, 7.0), ("cpu_load", 5.0, 5.1, 0.5), ("package", 6.0, 6.0, 9.0), ("cpu_load", 6.0, 6.1, 0.5)]
    monkeypatch.setenv(VARIABLE, str(stored(tmp_path, rows, domains)))
    sensor = Replay()
    opened = {domain.name: domain for domain in sensor.open()}
    assert set(opened) == {"package", "cpu_load"}, "a domain without readings is not offered"
    assert opened["package"].kind == "simulated" and opened["package"].wrap_j is None
    assert opened["cpu_load"].kind is None
    assert sensor.read("package") == 7.0 and sensor.read("cpu_load") == 0.5


def test_a_counter_continues_after_the_end_of_its_trace():
    """After three rounds it has three times the energy, and it never decreases."""
    track = Track.of(np.array([3.0, 4.0, 5.0]), np.array([10.0, 12.0, 16.0]), counter=True)
    values = [track.at(t) for t in np.arange(0, 9, 0.25)]
    assert track.at(0.0) == 10 and track.at(1.5) == 12 and track.at(6.0) == 22
    assert (np.diff(values) >= 0).all()


def test_a_wrap_in_the_trace_is_undone():
    """The stored counter wrapped to 0 at 10 J."""
    track = Track.of(np.array([0.0, 1.0, 2.0]), np.array([8.0, 1.0, 3.0]), counter=True, wrap_j=10.0)
    assert [track.at(t) for t in (0.5, 1.5, 2.5, 3.5)] == [8, 11, 13, 13]


def test_a_power_repeats_without_failed_reads():
    """It keeps its last valid reading."""
    track = Track.of(np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, np.nan, 7.0, 9.0]), counter=False)
    assert [track.at(t) for t in (0.0, 1.5, 2.5, 3.5, 4.6)] == [5, 5, 7, 9, 5]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "time,watts\n1,x\n", "time,watts\n1,2\n", "time,watts\n1,2\n2\n"])
def test_an_invalid_file_is_an_error(tmp_path, monkeypatch, text):
    """Also one with a single row, whose period is unknown."""
    path = tmp_path / "trace.csv"
    path.write_text(text)
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(SensorError, match="cannot be replayed"):
        Replay().open()


def test_a_parquet_file_outside_a_run_is_refused(tmp_path, monkeypatch):
    """Without the run's domains a counter cannot be distinguished from a power."""
    path = stored(tmp_path, [("package", 0.0, 0.0, 1.0), ("package", 1.0, 1.0, 2.0)], [])
    (tmp_path / "run" / "run.json").unlink()
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(SensorError, match="cannot be replayed"):
        Replay().open()
