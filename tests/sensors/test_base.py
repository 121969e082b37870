"""The interface of a sensor: what a plug-in must define, and what it may leave out."""

from __future__ import annotations

import pytest

from harness.schema import Domain, SensorSpec
from harness.sensors.base import Sensor


class Thermometer(Sensor):
    """The smallest sensor."""

    spec = SensorSpec(name="thermometer")

    def open(self):
        return [Domain(name="room", sensor="thermometer", quantity="temperature", unit="degC")]

    def read(self, domain):
        return 21.0


def test_open_and_read_are_enough():
    """It describes no device, and watching a process and closing do nothing."""
    sensor = Thermometer()
    assert [sensor.read(domain.name) for domain in sensor.open()] == [21.0]
    assert sensor.describe() == () and sensor.period_s > 0
    sensor.watch(1)
    sensor.watch(None)
    sensor.close()


def test_a_sensor_without_read_is_abstract():
    """It fails before it is opened."""

    class Unreadable(Sensor):
        def open(self):
            return []

    with pytest.raises(TypeError, match="read"):
        Unreadable()
