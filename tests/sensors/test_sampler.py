"""The sampler waits for a tick of each counter that can show one, and no counter keeps another from its own."""

from __future__ import annotations

import time

from harness.errors import SensorError
from harness.sensors.sampler import Sampler
from tests.simulated import SimulatedCounter, constant


class Slow(SimulatedCounter):
    """A counter whose read takes far longer than a tick may be uncertain."""

    def read(self, domain):
        """The energy when the read began."""
        value = super().read(domain)
        time.sleep(0.02)
        return value


class Failing(SimulatedCounter):
    """A counter of which each second read fails."""

    reads = 0

    def read(self, domain):
        """The energy, or an error."""
        self.reads += 1
        if self.reads % 2:
            raise SensorError("the read failed")
        return super().read(domain)


def edge_of(*sensors):
    """Whether an edge was reached, and the trace."""
    sampler = Sampler([(sensor, sensor.open()) for sensor in sensors])
    sampler.start()
    try:
        return sampler.edge().reached.wait(2.0), sampler
    finally:
        sampler.stop()


def clean_ticks(sampler, name):
    """How many steps two polls bracket within 2 ms."""
    sample = sampler.trace().samples[name].finite()
    return sum(
        b != a and t1 - t0 <= 0.002 for a, b, t0, t1 in zip(sample.value, sample.value[1:], sample.t_s, sample.t_s[1:], strict=False)
    )


def test_a_counter_that_is_slow_to_read_does_not_spoil_the_edges_of_another():
    """Its own are never clean; the other one's are polled as if it were not there."""
    reached, sampler = edge_of(Slow(constant(50), 0.05, name="slow"), SimulatedCounter(constant(50), 0.05, name="quick"))
    assert reached
    assert clean_ticks(sampler, "quick")


def test_one_read_that_fails_does_not_cost_a_counter_its_edge():
    """It is tried again."""
    sensor = Failing(constant(50), 0.05)
    reached, sampler = edge_of(sensor)
    assert reached
    assert clean_ticks(sampler, "package")


def test_an_edge_does_not_wait_twice_for_a_counter_that_stopped():
    """Until it moves again."""
    sensor = SimulatedCounter(constant(0), 0.02)
    sampler = Sampler([(sensor, sensor.open())])
    sampler.start()
    try:
        assert not sampler.edge().reached.wait(0.1)
        sampler.give_up()
        assert sampler.edge().reached.is_set()
        sensor.energy = constant(50)
        time.sleep(0.2)
        assert sampler.edge().reached.wait(2.0)
    finally:
        sampler.stop()
