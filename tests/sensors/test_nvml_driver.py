"""Calls of NVIDIA's library: every error has a remedy, and a failed field is not a number."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.errors import SensorError
from harness.sensors import nvml_driver
from harness.sensors.nvml_driver import ERRORS, Driver
from tests.sensors.conftest import by_name


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_each_error_has_a_sentence_and_a_remedy(driver, code):
    """Not only a code."""
    with pytest.raises(SensorError) as caught:
        driver(init_error=code).open()
    assert caught.value.what.startswith(ERRORS[code][0]) and f"error {code}" in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize(
    ("settings", "reading"),
    [
        ({}, "POWER_INSTANT"),
        ({"field_instant": 0}, "POWER_AVERAGE"),
        ({"field_instant": 0, "field_average": 0}, "nvmlDeviceGetPowerUsage"),
    ],
)
def test_a_failed_field_is_not_read_as_zero(driver, settings, reading):
    """NVML's call succeeds although the field failed; the next reading is used instead, also 150 W."""
    sensor = driver(**settings)
    assert by_name(sensor)["gpu:0 power"].detail["reading"] == reading
    assert sensor.read("gpu:0 power") == pytest.approx(150)


class NVMLError(Exception):
    """An error of a fake library."""

    def __init__(self, value):
        super().__init__(f"code {value}")
        self.value = value


def fake_driver(**functions):
    """A driver on a library with these functions."""
    return Driver(SimpleNamespace(NVMLError=NVMLError, NVMLLibraryMismatchError=KeyError, **functions))


def failing(code):
    """A function that fails with a code."""

    def function(*arguments):
        raise NVMLError(code)

    return function


def test_an_unknown_error_is_reported_with_its_text():
    """With the remedy of an unknown error."""
    with pytest.raises(SensorError, match=r"the NVIDIA driver reports: code 77 \(NVML error 77\)") as caught:
        fake_driver(newest=failing(77)).call("newest")
    assert caught.value.hint == ERRORS[999][1]


def test_optional_queries_are_none_if_unavailable():
    """Refused by the driver, or missing in this pynvml; the first available function is used."""
    driver = fake_driver(refused=failing(3), older=lambda handle: [1, 0], zero=lambda handle: 0)
    assert driver.get("refused") is None and driver.get("missing") is None
    assert driver.first(("missing", "refused", "older"), "card") == [1, 0]
    assert (driver.flag("older", "card"), driver.flag("zero", "card"), driver.flag("refused", "card")) == (True, False, None)
    assert (driver.clock_hz("zero", "card"), driver.clock_hz("refused")) == (0, None)


def test_failed_fields_are_left_out():
    """The call succeeds whatever happened to each field; a value is read from the member of its type."""
    fields = [
        SimpleNamespace(fieldId=1, nvmlReturn=0, valueType=1, value=SimpleNamespace(uiVal=7)),
        SimpleNamespace(fieldId=2, nvmlReturn=3, valueType=1, value=SimpleNamespace(uiVal=8)),
        SimpleNamespace(fieldId=3, nvmlReturn=0, valueType=0, value=SimpleNamespace(dVal=0.5)),
    ]
    assert fake_driver(nvmlDeviceGetFieldValues=lambda handle, numbers: fields).fields("card", (1, 2, 3)) == {1: 7, 3: 0.5}
    assert fake_driver(nvmlDeviceGetFieldValues=failing(13)).fields("card", (1,)) == {}


@pytest.mark.parametrize(("present", "driver", "warns"), [({"cpu"}, True, True), ({"cpu", "gpu"}, True, False), ({"cpu"}, False, False)])
def test_a_gpu_that_auto_leaves_out_has_a_warning(tmp_path, monkeypatch, present, driver, warns):
    """A container with CUDA and without the driver's library would silently run the suite on the CPU."""
    monkeypatch.setattr(nvml_driver, "DRIVER_FILES", (str(tmp_path if driver else tmp_path / "none"),))
    assert (nvml_driver.gpu_left_out(present) is not None) is warns
