"""What the doctor says of sensors that work, that lie, and that may not be read."""

from __future__ import annotations

import json

import pytest

from harness import plugins
from harness.errors import SensorError
from harness.schema import Catalogue, Domain, SensorSpec
from harness.sensors import doctor
from harness.sensors.base import Sensor
from tests.simulated import SimulatedCounter, constant


def examined(sensor, seconds):
    return doctor.examine(Catalogue({}, {sensor.spec.name: sensor.spec}, {}, {}), seconds)


@pytest.fixture
def examine(monkeypatch):
    """Examine the sensor given as if it were the only plug-in."""

    def of(sensor, seconds=1.0):
        monkeypatch.setattr(plugins, "load", lambda family, name: lambda: sensor)
        return {d.domain or d.sensor: d for d in examined(sensor, seconds).findings}

    return of


def test_a_counter_is_readable_with_its_period_and_the_error_of_a_window(examine):
    """Poll gaps of half a millisecond on a window of 1.5 s are errors of some hundredths of a percent."""
    found = examine(SimulatedCounter(constant(50), update_period_s=0.01))["package"]
    assert found.readable and found.kind == "simulated" and found.why_not is None
    assert found.update_period_s == pytest.approx(0.01, rel=0.2)
    assert 0 < found.expected_error < 0.001


def test_a_stuck_counter_is_not_given_an_error_but_a_warning(examine):
    """No tick was seen: nothing is known of its windows."""

    class Stuck(SimulatedCounter):
        def open(self):
            return [domain.model_copy(update={"update_period_s": None}) for domain in super().open()]

    found = examine(Stuck(constant(0), update_period_s=0.01), seconds=0.1)["package"]
    assert found.expected_error is None and found.update_period_s is None
    assert "stuck" in found.note


def test_a_counter_and_its_power_that_disagree_are_a_warning(examine):
    """Whichever is wrong: the energy of neither is told without it."""

    class Both(SimulatedCounter):
        def open(self):
            counter = super().open()[0]
            gauge = {
                "name": "package power",
                "quantity": "power",
                "unit": "W",
                "counter": "package",
                "update_period_s": None,
                "wrap_j": None,
            }
            return [counter, counter.model_copy(update=gauge)]

        def read(self, domain):
            return 60.0 if domain == "package power" else super().read(domain)

    found = examine(Both(constant(50), update_period_s=0.01), seconds=0.3)["package"]
    assert found.counter_vs_power == pytest.approx(0.2, abs=0.05)
    assert "differ by more than 5 %" in found.note


def test_a_sensor_that_may_not_be_read_has_its_fix(examine):
    """The error's next step."""

    class Forbidden(Sensor):
        spec = SensorSpec(name="forbidden")

        def open(self):
            raise SensorError("only root may read it", "add a udev rule")

        def read(self, domain):
            raise AssertionError

    found = examine(Forbidden())["forbidden"]
    assert (found.readable, found.domain, found.why_not, found.fix) == (False, None, "only root may read it", "add a udev rule")


def test_what_a_sensor_leaves_out_is_told_too(examine):
    """A zone that may not be read, beside one that may."""

    class Partly(SimulatedCounter):
        def describe(self):
            return [{"domain": "package"}, {"domain": "dram", "left_out": "may not be read\nadd a udev rule"}]

    found = examine(Partly(constant(5), update_period_s=0.01))
    assert found["package"].readable
    assert (found["dram"].readable, found["dram"].why_not, found["dram"].fix) == (False, "may not be read", "add a udev rule")


def test_a_model_says_so_and_has_no_error(examine):
    """A model has no honest uncertainty."""

    class Model(Sensor):
        spec = SensorSpec(name="model")

        def open(self):
            return [Domain(name="package", sensor="model", quantity="mean_power", unit="W", kind="modelled")]

        def read(self, domain):
            return 1.0

    found = examine(Model())["package"]
    assert found.expected_error is None and "not measured" in found.note


def test_the_machine_is_told_with_advice(monkeypatch):
    """The governor, virtualisation and what int8 needs."""
    here = doctor.environment.environment()
    changed = here.model_copy(update={"governor": "powersave", "virtual": "KVM", "cpu_flags": ("avx2",)})
    monkeypatch.setattr(doctor.environment, "environment", lambda: changed)
    told = doctor.machine()
    assert told.int8_flags == ("avx2",) and told.governor == "powersave"
    assert len(told.advice) == 3
    changed = here.model_copy(update={"governor": "performance", "virtual": None, "cpu_flags": ("avx2", "avx512_vnni", "amx_int8")})
    assert doctor.machine().advice == () and doctor.machine().int8_flags == ("avx2", "avx512_vnni", "amx_int8")


def test_it_is_told_to_people_and_to_programs():
    """The same facts; what is absent is null, or a dash."""
    found = doctor.Examination(
        doctor.Machine("powersave", None, "KVM", ("avx2",), ("set it",)),
        (
            doctor.Diagnosis("nvml", "gpu:0", True, kind="counter", update_period_s=0.1, expected_error=0.0003, counter_vs_power=-0.021),
            doctor.Diagnosis("codecarbon", "package", True, kind="modelled", note="not measured"),
            doctor.Diagnosis("psutil", "cpu_load", True),
            doctor.Diagnosis("rapl", None, False, why_not="only root may read it", fix="add a udev rule"),
        ),
        window_s=7.0,
    )
    text = doctor.to_text(found)
    for words in (
        "error of 7 s",
        "100 ms",
        "0.03%",
        "-2.1%",
        "package: not measured",
        "Conditions\n  cpu_load",
        "rapl: only root",
        "-> add a udev rule",
        "-> set it",
    ):
        assert words in text
    told = json.loads(doctor.to_json(found))
    assert told["machine"]["turbo"] is None and told["findings"][1]["expected_error"] is None
    assert told["findings"][0]["update_period_s"] == 0.1


@pytest.mark.parametrize(("poll_s", "bracket_s"), [(0.0, 0.0004), (0.003, 0.0064)])
def test_expected_error_of_a_counter(poll_s, bracket_s):
    """sqrt(2) (d / sqrt 3) / T with d half the bracket: from the start of one poll to the end of the next, so a slow read counts twice."""
    domain = SimulatedCounter(constant(50), update_period_s=0.1).open()[0]
    expected = 2**0.5 * (bracket_s / 2) / 3**0.5 / 1.5
    assert doctor._expected_error(domain, {"poll_s": poll_s}, 1.5) == pytest.approx(expected)
