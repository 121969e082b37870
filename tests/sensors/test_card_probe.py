"""Stored probes of cards, and what later runs take from them."""

from __future__ import annotations

import re

import pytest

from harness import plugins
from harness.errors import StoreError
from harness.run.timing import Timing
from harness.schema import PROFILES, Catalogue, Limits
from harness.sensors import card_probe, doctor
from harness.sensors.card_probe import CardProbe, save, stored_probe
from tests.sensors.conftest import by_name


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of the test's own."""
    monkeypatch.setenv("HARNESS_PROBES", str(tmp_path / "probes"))
    return tmp_path / "probes"


def probe_of(seen=True, **fields):
    """A probe of the simulated card."""
    return CardProbe(
        **{
            "uuid": "GPU-simulated-0", "name": "Simulated GPU", "driver": "simulated 1.0", "probed_utc": "2026-11-30T12:00:00+00:00",
            "harness_version": "1", "sees_all": {"counter": seen, "instant": False, "average": True},
            "spreads": {"counter": 0.01 if seen else 0.67, "instant": 0.6, "average": 0.01}, "tick_period_s": 0.12,
            "update_periods_s": {"instant": 0.3, "average": 0.1}, **fields,
        }
    )  # fmt: skip


def test_a_probe_is_stored_per_card():
    """And read again."""
    probe = probe_of()
    assert save(probe).name == "GPU-simulated-0.json"
    assert stored_probe("GPU-simulated-0", "simulated 1.0") == (probe, "probe of 2026-11-30, driver simulated 1.0")
    assert stored_probe("GPU-other", "simulated 1.0")[0] is None


def test_without_a_probe_the_constants_are_the_defaults():
    """The source states so, with the command."""
    probe, source = stored_probe("GPU-simulated-0", "simulated 1.0")
    assert probe is None and source == "default constants: this card was not probed (harness doctor --probe)"


def test_a_probe_of_another_driver_is_ignored_with_a_note(driver):
    """A driver may change what a counter does."""
    save(probe_of(seen=False, driver="570.1"))
    domain = by_name(driver())["gpu:0"]
    assert not domain.part_time
    assert "the probe of 2026-11-30 is of driver 570.1" in domain.detail["constants"]


@pytest.mark.parametrize("content", ["", "{", '{"uuid": 1}', "[]", "\0"])
def test_a_damaged_probe_is_ignored_with_a_note(folder, content):
    """It never stops a run."""
    folder.mkdir()
    (folder / "GPU-simulated-0.json").write_text(content)
    probe, source = stored_probe("GPU-simulated-0", "simulated 1.0")
    assert probe is None and "cannot be read" in source


@pytest.mark.parametrize("period_s", ["-1", "0", "NaN", "Infinity", "1e9"])
def test_an_update_period_that_no_probe_finds_is_damage(folder, period_s):
    """The least window and the poll rate follow from it."""
    path = save(probe_of())
    whole = path.read_text()
    for field in (f'"tick_period_s": {period_s}', f'"update_periods_s": {{"instant": {period_s}}}'):
        name = field.partition(":")[0]
        path.write_text(re.sub(rf"{name}: [^,{{]+|{name}: {{[^}}]*}}", field, whole))
        assert path.read_text() != whole
        probe, source = stored_probe("GPU-simulated-0", "simulated 1.0")
        assert probe is None and "cannot be read" in source


def test_a_probe_of_another_card_in_its_file_is_ignored(folder):
    """As after a copy of the folder."""
    save(probe_of())
    (folder / "GPU-simulated-0.json").rename(folder / "GPU-2.json")
    assert "another card" in stored_probe("GPU-2", "simulated 1.0")[1]


def test_a_folder_that_cannot_be_written(monkeypatch):
    """A sentence with the variable."""
    monkeypatch.setenv("HARNESS_PROBES", "/proc/none")
    with pytest.raises(StoreError, match="cannot be written"):
        save(probe_of())


def test_a_probe_without_a_load_does_not_replace_one_under_load():
    """Of the same driver; it replaces that of another driver."""
    save(probe_of())
    assert save(probe_of(sees_all={"counter": None})) is None
    assert save(probe_of(sees_all={"counter": None}, driver="600")) is not None


def test_a_counter_that_sees_all_is_used_as_it_is(driver):
    """With the probed update periods, and the source in its detail."""
    save(probe_of())
    domains = by_name(driver())
    assert (domains["gpu:0"].part_time, domains["gpu:0"].update_period_s) == (False, 0.12)
    assert domains["gpu:0"].detail["constants"] == "probe of 2026-11-30, driver simulated 1.0"
    assert domains["gpu:0 power"].poll_period_s == 0.15 and domains["gpu:0 power"].part_time
    assert Timing(tuple(domains.values()), "gpu", None, PROFILES["quick"], Limits()).shift_s is None


def test_a_counter_that_misses_part_of_a_load_is_part_time(driver):
    """The phase of the load is shifted by its update period, and the least window follows from it."""
    save(probe_of(seen=False))
    domains = by_name(driver())
    assert domains["gpu:0"].part_time and domains["gpu:0"].detail["missed_share"] == 0.67
    profile = PROFILES["quick"]
    timing = Timing(tuple(domains.values()), "gpu", None, profile, Limits())
    assert timing.shift_s == timing.tick_s == 0.12
    assert timing.window_s(0.001) == max(profile.window_s, profile.window_ticks * 0.12)


def test_an_average_that_misses_part_replaces_nothing_within_a_bound(driver):
    """Its integral then has no known uncertainty."""
    save(probe_of(sees_all={"counter": True, "average": False}))
    assert by_name(driver())["gpu:0 average power"].part_time
    assert not by_name(driver(uuid="GPU-new"))["gpu:0 average power"].part_time


@pytest.mark.parametrize(("period_s", "poll_s"), [(0.001, 0.02), (5.0, 0.5), (None, None)])
def test_polling_periods_are_bounded(period_s, poll_s):
    """A probe never makes a run poll without pause, or hardly ever."""
    constants = card_probe.power_constants(probe_of(update_periods_s={"instant": period_s}), "POWER_INSTANT")
    assert constants.get("poll_period_s") == poll_s


def test_the_doctor_shows_the_stored_probe(driver, monkeypatch):
    """In a section, and in JSON."""
    save(probe_of(seen=False))
    sensor = driver()
    monkeypatch.setattr(plugins, "load", lambda family, name: lambda: sensor)
    examined = doctor.examine(Catalogue({}, {"nvml": sensor.spec}, {}, {}), 0.3)
    text = doctor.to_text(examined)
    assert "counter ticks each 120 ms; sees all of a periodic load: no (spread 67.0%)" in text
    assert "misses part of a periodic load (up to 67%)" in text
    assert '"probed_utc": "2026-11-30T12:00:00+00:00"' in doctor.to_json(examined)
