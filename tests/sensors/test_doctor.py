"""Diagnosis of working, implausible and unreadable sensors."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness import plugins, venvs
from harness.errors import SensorError
from harness.schema import Catalogue, Domain, SensorSpec
from harness.sensors import doctor
from harness.sensors.base import Sensor
from tests.simulated import SimulatedCounter, constant


def examined(sensor, seconds):
    return doctor.examine(Catalogue({}, {sensor.spec.name: sensor.spec}, {}, {}), seconds)


@pytest.fixture
def examine(monkeypatch):
    """A function that examines a sensor as the only plug-in."""

    def of(sensor, seconds=1.0):
        monkeypatch.setattr(plugins, "load", lambda family, name: lambda: sensor)
        return {d.domain or d.sensor: d for d in examined(sensor, seconds).findings}

    return of


def test_a_counter_has_a_period_and_an_error(examine):
    """Brackets of half a millisecond on a window of 1.5 s are errors of some hundredths of a percent."""
    diagnosis = examine(SimulatedCounter(constant(50), update_period_s=0.01))["package"]
    assert diagnosis.readable and diagnosis.kind == "simulated" and diagnosis.why_not is None
    assert diagnosis.update_period_s == pytest.approx(0.01, rel=0.2)
    assert 0 < diagnosis.expected_error < 0.001


def test_a_stuck_counter_has_a_warning_and_no_error(examine):
    """Without a tick nothing is known about its windows."""

    class Stuck(SimulatedCounter):
        def open(self):
            return [domain.model_copy(update={"update_period_s": None}) for domain in super().open()]

    diagnosis = examine(Stuck(constant(0), update_period_s=0.01), seconds=0.1)["package"]
    assert diagnosis.expected_error is None and diagnosis.update_period_s is None
    assert "stuck" in diagnosis.note


def test_disagreement_of_counter_and_power_is_a_warning(examine):
    """Either of them may be wrong."""

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

    diagnosis = examine(Both(constant(50), update_period_s=0.01), seconds=0.3)["package"]
    assert diagnosis.counter_vs_power == pytest.approx(0.2, abs=0.05)
    assert "differ by more than 5 %" in diagnosis.note


def test_an_unreadable_sensor_has_a_fix(examine):
    """The hint of the error."""

    class RootOnly(Sensor):
        spec = SensorSpec(name="root-only")

        def open(self):
            raise SensorError("only root may read it", "add a udev rule")

        def read(self, domain):
            raise AssertionError

    diagnosis = examine(RootOnly())["root-only"]
    assert (diagnosis.readable, diagnosis.domain, diagnosis.why_not, diagnosis.fix) == (
        False,
        None,
        "only root may read it",
        "add a udev rule",
    )


def test_left_out_domains_are_listed(examine):
    """An unreadable zone of a sensor with a readable one."""

    class Partly(SimulatedCounter):
        def describe(self):
            return [{"domain": "package"}, {"domain": "dram", "left_out": "may not be read\nadd a udev rule"}]

    diagnoses = examine(Partly(constant(5), update_period_s=0.01))
    assert diagnoses["package"].readable
    assert (diagnoses["dram"].readable, diagnoses["dram"].why_not, diagnoses["dram"].fix) == (False, "may not be read", "add a udev rule")


def test_a_model_is_not_measured_and_has_no_error(examine):
    """The uncertainty of a model is unknown."""

    class Model(Sensor):
        spec = SensorSpec(name="model")

        def open(self):
            return [Domain(name="package", sensor="model", quantity="mean_power", unit="W", kind="modelled")]

        def read(self, domain):
            return 1.0

    diagnosis = examine(Model())["package"]
    assert diagnosis.expected_error is None and "not measured" in diagnosis.note


def test_machine_has_advice(monkeypatch):
    """On the governor, virtualisation and instructions for int8."""
    environment = doctor.environment.environment()
    changed = environment.model_copy(update={"governor": "powersave", "virtual": "KVM", "cpu_flags": ("avx2",)})
    monkeypatch.setattr(doctor.environment, "environment", lambda: changed)
    here = doctor.machine()
    assert here.int8_flags == ("avx2",) and here.governor == "powersave"
    assert len(here.advice) == 3
    changed = environment.model_copy(update={"governor": "performance", "virtual": None, "cpu_flags": ("avx2", "avx512_vnni", "amx_int8")})
    assert doctor.machine().advice == () and doctor.machine().int8_flags == ("avx2", "avx512_vnni", "amx_int8")


def test_text_and_json_have_the_same_facts():
    """An absent value is null in JSON and a dash in the table."""
    examination = doctor.Examination(
        doctor.Machine("powersave", None, "KVM", ("avx2",), ("set it",)),
        (
            doctor.Diagnosis("nvml", "gpu:0", True, kind="counter", update_period_s=0.1, expected_error=0.0003, counter_vs_power=-0.021),
            doctor.Diagnosis("codecarbon", "package", True, kind="modelled", note="not measured"),
            doctor.Diagnosis("psutil", "cpu_load", True),
            doctor.Diagnosis("rapl", None, False, why_not="only root may read it", fix="add a udev rule"),
        ),
        window_s=7.0,
    )
    text = doctor.to_text(examination)
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
    parsed = json.loads(doctor.to_json(examination))
    assert parsed["machine"]["turbo"] is None and parsed["findings"][1]["expected_error"] is None
    assert parsed["findings"][0]["update_period_s"] == 0.1


@pytest.mark.parametrize(("poll_s", "bracket_s"), [(0.0, 0.0004), (0.003, 0.0064)])
def test_expected_error_of_a_counter(poll_s, bracket_s):
    """sqrt(2) (d / sqrt 3) / T with d half the bracket: from the start of one poll to the end of the next, so a slow read counts twice."""
    domain = SimulatedCounter(constant(50), update_period_s=0.1).open()[0]
    expected = 2**0.5 * (bracket_s / 2) / 3**0.5 / 1.5
    assert doctor._expected_error(domain, {"poll_s": poll_s}, 1.5) == pytest.approx(expected)


def test_environments_are_listed_with_how_to_set_them_up():
    """In the table and in JSON; nothing to do for one that is installed."""
    here = venvs.VirtualEnvironment("torch", "/box/.venv-torch", False, True, ("engine torch",), (), "make torch")
    away = venvs.VirtualEnvironment("acme", "/box/.venv-acme", False, False, ("engine acme", "format acme"), (), "pip install acme")
    partly = replace(away, name="half", in_ours=("format acme",))
    ours = replace(away, name="ours", in_ours=away.plugins)
    examination = doctor.Examination(doctor.Machine(None, None, None, (), ()), (), 1.5, (here, away, partly, ours))
    text = doctor.to_text(examination)
    assert "yes, /box/.venv-torch" in text and "engine acme, format acme" in text
    assert "no; ours has those of format acme" in text and "no; ours has the libraries" in text
    assert text.count("-> pip install acme") == 2 and "make torch" not in text
    assert json.loads(doctor.to_json(examination))["environments"][1]["plugins"] == ["engine acme", "format acme"]
    assert "Environments" not in doctor.to_text(replace(examination, environments=()))
