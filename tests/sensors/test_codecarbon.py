"""CodeCarbon's model, offline: what it gives here, and that it says `modelled`."""

from __future__ import annotations

import logging
import time

import pytest

from harness.errors import HarnessError
from harness.sensors import codecarbon as module
from harness.sensors.codecarbon import CodeCarbon, grid, load
from harness.sensors.design_power import W_PER_THREAD, Cpus
from harness.text import guess_text


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
    for used, share in ((0.5, 0.2125), (0.0, 0.1), (1.0, 1.0)):
        monkeypatch.setattr(module, "load", lambda *_, used=used: used)
        time.sleep(0.06)
        assert sensor.read("package") == pytest.approx(tdp_w * share)


def test_a_virtual_machine_is_charged_a_share_with_its_bounds(monkeypatch):
    """Sixteen virtual CPUs, each shown as a socket of a 240 W processor, are not 3,840 W: no reading leaves the bounds that are named."""
    monkeypatch.setattr(module, "cpus_here", lambda: Cpus("Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", 16, 16, 1, "KVM"))
    monkeypatch.setattr(module, "load", lambda *_: 1.0)
    detail = next(domain for domain in CodeCarbon().open() if domain.name == "package").detail
    assert (detail["tdp_w"], detail["low_w"], detail["high_w"]) == (64, 8, 240)
    assert "KVM: its share of the host's CPU is not known" in detail["tdp_source"]


def test_the_bounds_are_named_for_both_domains(sensor):
    """The model lies between them whatever the load, and they are said with the figure."""
    for domain in sensor.domains.values():
        most_w = domain.detail.get("tdp_w") or domain.detail["power_w"]
        assert 0 < domain.detail["low_w"] <= most_w <= domain.detail["high_w"]
        assert guess_text(domain.detail).startswith("a guess: ")
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
def test_the_load_is_the_share_of_time_that_was_used(spent, share):
    """Stolen time is another guest's, that of our own guests is counted once, and a field that goes back is none."""
    after = {name: value + spent.get(name, 0) for name, value in TIMES.items()}
    assert load(TIMES, after) == pytest.approx(share)


def test_the_model_uses_codecarbons_own_figure_for_an_unknown_cpu():
    """If the library changes its fallback, this says so."""
    cpu = pytest.importorskip("codecarbon.core.cpu")
    assert cpu.DEFAULT_POWER_PER_CORE == W_PER_THREAD


def test_an_interval_too_short_to_see_the_load_repeats_the_reading(sensor, monkeypatch):
    """The kernel counts in ticks: over a millisecond the load is 0 or 1, and its cube would be power from noise."""
    time.sleep(0.06)
    before = sensor.read("package")
    monkeypatch.setattr(module, "load", lambda *_: 0.987)
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
