"""CodeCarbon's model, offline: what it gives here, and that it says `modelled`."""

from __future__ import annotations

import logging
import time

import pytest

from harness.errors import HarnessError
from harness.sensors import codecarbon as module
from harness.sensors.codecarbon import CodeCarbon, grid


@pytest.fixture(scope="module")
def sensor():
    opened = CodeCarbon()
    opened.domains = {domain.name: domain for domain in opened.open()}
    return opened


def test_both_domains_are_modelled_means_without_a_gain(sensor):
    """A model has no honest gain, so no absolute interval can be made of it."""
    assert set(sensor.domains) == {"package", "dram"}
    for domain in sensor.domains.values():
        assert (domain.kind, domain.quantity, domain.unit, domain.gain) == ("modelled", "mean_power", "W", None)


def test_power_lies_between_a_tenth_of_the_design_power_and_all_of_it(sensor):
    """P = TDP (0.1 + 0.9 load^3)."""
    tdp_w = sensor.domains["package"].detail["tdp_w"]
    time.sleep(0.06)
    assert 0.1 * tdp_w <= sensor.read("package") <= tdp_w
    assert sensor.read("dram") > 0


def test_the_cube_of_the_load(sensor, monkeypatch):
    """At half load 0.1 + 0.9 / 8 of the design power; with no load a tenth."""
    tdp_w = sensor.domains["package"].detail["tdp_w"]
    for load, share in ((50.0, 0.2125), (0.0, 0.1), (100.0, 1.0)):
        monkeypatch.setattr(sensor._cpu._cpu_load_meter, "percent", lambda load=load: load)
        time.sleep(0.06)
        assert sensor.read("package") == pytest.approx(tdp_w * share)


def test_a_cpu_of_the_table_has_its_design_power_for_each_socket(monkeypatch):
    """The name that Linux tells is enough; an unknown one is given 4 W a thread, and says so."""
    util = pytest.importorskip("codecarbon.core.util")
    monkeypatch.setattr(util, "count_physical_cpus", lambda: 2)
    monkeypatch.setattr(util, "count_cpus", lambda: 16)
    monkeypatch.setattr(module, "_cpu_name", lambda: "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz")
    assert module._tdp()[1:] == (2 * 65, "CodeCarbon's table")
    monkeypatch.setattr(module, "_cpu_name", lambda: "Nobody's CPU")
    assert module._tdp()[1:] == (64, "unknown CPU: 4 W a thread")


def test_an_interval_too_short_to_see_the_load_repeats_the_reading(sensor, monkeypatch):
    """The kernel counts in ticks: over a millisecond the load is 0 or 1, and its cube would be power from noise."""
    time.sleep(0.06)
    before = sensor.read("package")
    monkeypatch.setattr(sensor._cpu._cpu_load_meter, "percent", lambda: 100.0)
    assert sensor.read("package") == before


def test_it_leaves_no_file_and_no_log_line(tmp_path, monkeypatch, capfd):
    """Nothing on stderr, nothing in the folder, although the CPU may be unknown to it."""
    monkeypatch.chdir(tmp_path)
    CodeCarbon().open()
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("codecarbon").level == logging.CRITICAL


def test_the_grid_tells_the_year_of_its_data():
    """Carbon figures age: the year stands beside them."""
    found = grid("fra")
    assert found.country == "FRA" and 10 < found.g_per_kwh < 200
    assert found.year is not None and found.year.isdigit()
    assert "CodeCarbon" in found.source


def test_a_country_that_is_not_in_the_table_is_an_error():
    """No world average in its stead."""
    with pytest.raises(HarnessError, match="XXX"):
        grid("XXX")
