"""CodeCarbon's model, offline: its values and bounds, always `modelled`."""

from __future__ import annotations

import logging
import time

import pytest

from harness.errors import HarnessError
from harness.sensors import codecarbon as module
from harness.sensors.codecarbon import CodeCarbon, grid, load
from harness.sensors.design_power import W_PER_THREAD, Cpus
from harness.text import estimate_text


@pytest.fixture(scope="module")
def sensor():
    opened = CodeCarbon()
    opened.domains = {domain.name: domain for domain in opened.open()}
    return opened


def test_both_domains_are_modelled_means_without_a_gain(sensor):
    """A model has no gain, so it gets no absolute interval."""
    assert set(sensor.domains) == {"package", "dram"}
    for domain in sensor.domains.values():
        assert (domain.kind, domain.quantity, domain.unit, domain.gain) == ("modelled", "mean_power", "W", None)


def test_power_is_between_a_tenth_of_the_design_power_and_all_of_it(sensor):
    """P = TDP (0.1 + 0.9 load^3)."""
    tdp_w = sensor.domains["package"].detail["tdp_w"]
    time.sleep(0.06)
    assert 0.1 * tdp_w <= sensor.read("package") <= tdp_w
    assert sensor.read("dram") > 0


def test_power_follows_the_cube_of_the_load(sensor, monkeypatch):
    """At half load 0.1 + 0.9 / 8 of the design power; with no load a tenth."""
    tdp_w = sensor.domains["package"].detail["tdp_w"]
    for used, share in ((0.5, 0.2125), (0.0, 0.1), (1.0, 1.0)):
        monkeypatch.setattr(module, "load", lambda *_, used=used: used)
        time.sleep(0.06)
        assert sensor.read("package") == pytest.approx(tdp_w * share)


def test_a_virtual_machine_has_a_share_with_bounds(monkeypatch):
    """Sixteen virtual CPUs, each reported as a socket of a 240 W processor, do not draw 3,840 W."""
    monkeypatch.setattr(module, "cpus_here", lambda: Cpus("Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", 16, 16, 1, "KVM"))
    monkeypatch.setattr(module, "load", lambda *_: 1.0)
    detail = next(domain for domain in CodeCarbon().open() if domain.name == "package").detail
    assert (detail["tdp_w"], detail["low_w"], detail["high_w"]) == (64, 8, 240)
    assert "KVM: its share of the host's CPU is not known" in detail["tdp_source"]


def test_both_domains_have_bounds(sensor):
    """The modelled power is between them at any load, and the text shows them."""
    for domain in sensor.domains.values():
        most_w = domain.detail.get("tdp_w") or domain.detail["power_w"]
        assert 0 < domain.detail["low_w"] <= most_w <= domain.detail["high_w"]
        assert estimate_text(domain.detail).startswith("an estimate: ")
    assert sensor.describe()[0]["high_w"] == sensor.domains["package"].detail["high_w"]


TIMES = {"user": 10.0, "nice": 1.0, "system": 4.0, "idle": 80.0, "iowait": 2.0, "irq": 0.5, "softirq": 0.5, "steal": 3.0, "guest": 5.0}


@pytest.mark.parametrize(
    ("spent", "share"),
    [
        ({"user": 1, "idle": 1}, 0.5),
        ({"user": 1, "system": 1, "nice": 1, "irq": 0.5, "softirq": 0.5}, 1.0),
        ({"user": 1, "steal": 3}, 0.25),
        ({"user": 2, "guest": 2, "idle": 2}, 0.5),
        ({"user": 1, "iowait": 3}, 0.25),
        ({"user": 1, "idle": 1, "iowait": -1}, 0.5),
        ({}, 0.0),
    ],
)
def test_load_is_the_busy_share_of_the_time(spent, share):
    """Stolen time is idle, time of own guests counts once, and a field that decreases counts as 0."""
    after = {name: value + spent.get(name, 0) for name, value in TIMES.items()}
    assert load(TIMES, after) == pytest.approx(share)


def test_an_unknown_cpu_has_codecarbons_fallback():
    """Fails if the library changes its fallback."""
    cpu = pytest.importorskip("codecarbon.core.cpu")
    assert cpu.DEFAULT_POWER_PER_CORE == W_PER_THREAD


def test_a_too_short_interval_repeats_the_reading(sensor, monkeypatch):
    """The kernel counts in ticks: over a millisecond the load is 0 or 1, and the cube amplifies the noise."""
    time.sleep(0.06)
    before = sensor.read("package")
    monkeypatch.setattr(module, "load", lambda *_: 0.987)
    assert sensor.read("package") == before


def test_opening_writes_no_file_and_no_log(tmp_path, monkeypatch, capfd):
    """Nothing on stderr and nothing in the folder, although the CPU may be unknown."""
    monkeypatch.chdir(tmp_path)
    CodeCarbon().open()
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("codecarbon").level == logging.CRITICAL


def test_grid_has_the_year_of_its_data():
    """Carbon intensities age."""
    intensity = grid("fra")
    assert intensity.country == "FRA" and 10 < intensity.g_per_kwh < 200
    assert intensity.year is not None and intensity.year.isdigit()
    assert "CodeCarbon" in intensity.source


def test_an_unknown_country_is_an_error():
    """Not the mean of the world."""
    with pytest.raises(HarnessError, match="XXX"):
        grid("XXX")
