"""The sampler waits for a tick of each counter that works, and no counter delays another."""

from __future__ import annotations

import time

import numpy as np

from harness.errors import SensorError
from harness.schema import Domain
from harness.sensors.sampler import Edge, Sampler, Stream
from tests.simulated import SimulatedCounter, constant


class Slow(SimulatedCounter):
    """A counter whose read takes far longer than the allowed width of a bracket."""

    def read(self, domain):
        """The energy when the read began."""
        value = super().read(domain)
        time.sleep(0.02)
        return value


class Failing(SimulatedCounter):
    """A counter with every second read failing."""

    reads = 0

    def read(self, domain):
        """The energy, or an error."""
        self.reads += 1
        if self.reads % 2:
            raise SensorError("the read failed")
        return super().read(domain)


def edge_of(*sensors):
    """Whether an edge was reached, and the sampler."""
    sampler = Sampler([(sensor, sensor.open()) for sensor in sensors])
    sampler.start()
    try:
        return sampler.edge().reached.wait(2.0), sampler
    finally:
        sampler.stop()


def clean_ticks(sampler, name):
    """Number of ticks with a bracket of at most 2 ms."""
    sample = sampler.trace().samples[name].finite()
    return sum(
        b != a and t1 - t0 <= 0.002 for a, b, t0, t1 in zip(sample.value, sample.value[1:], sample.t_s, sample.t_s[1:], strict=False)
    )


def test_a_slow_counter_does_not_spoil_the_edges_of_another():
    """Its own brackets are never narrow; the other one is polled as if it were alone."""
    reached, sampler = edge_of(Slow(constant(50), 0.05, name="slow"), SimulatedCounter(constant(50), 0.05, name="quick"))
    assert reached
    assert clean_ticks(sampler, "quick")


def test_a_failed_read_does_not_prevent_an_edge():
    """The read is repeated."""
    sensor = Failing(constant(50), 0.05)
    reached, sampler = edge_of(sensor)
    assert reached
    assert clean_ticks(sampler, "package")


def test_an_edge_does_not_wait_twice_for_a_stopped_counter():
    """Until it changes again."""
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


def test_the_counter_of_another_card_is_not_polled_quickly():
    """At an edge, domains that are not near the case are read as rarely as between edges."""
    own, other = SimulatedCounter(constant(50), 0.05, name="own"), SimulatedCounter(constant(50), 0.05, name="other")
    sampler = Sampler([(sensor, sensor.open()) for sensor in (own, other)], near={"own"})
    sampler.start()
    try:
        edge = sampler.edge(ticks=3)
        assert edge.reached.wait(2.0)
    finally:
        trace = sampler.stop()
    assert set(edge.brackets_s) == {"own"}
    assert len(trace.samples["own"].value) > 20
    assert len(trace.samples["other"].value) <= 4


class Costly(SimulatedCounter):
    """A counter whose read waits 10 ms for its device."""

    def read(self, domain):
        """The energy after a wait."""
        time.sleep(0.01)
        return super().read(domain)


def test_slow_polling_takes_a_bounded_share_of_the_time():
    """Sixteen domains with reads of 10 ms at 20 Hz would take 3.2 s of each second."""
    sensors = [Costly(constant(50), 0.05, name=f"gpu:{i}") for i in range(16)]
    sampler = Sampler([(sensor, sensor.open()) for sensor in sensors])
    sampler.start()
    began_s = time.monotonic()
    time.sleep(1.5)
    ended_s = time.monotonic()
    samples = sampler.stop().samples.values()
    busy_s = sum(float(np.sum((s.end_s - s.start_s)[(s.start_s > began_s) & (s.end_s < ended_s)])) for s in samples)
    assert busy_s / (ended_s - began_s) < 0.5


def test_an_edge_without_narrow_ticks_takes_the_narrowest_of_a_few():
    """It waits for more if even that is wider than allowed."""
    sensor = SimulatedCounter(constant(50), 0.05)
    stream = Stream(sensor, sensor.open()[0])
    edge, strict = Edge([stream], ticks=1), Edge([stream], ticks=1, allowed=lambda name: 0.005)
    for width_s in (0.02, 0.01, 0.03):
        stream.step_s = width_s
        edge.note(stream)
        strict.note(stream)
    assert not edge.reached.is_set()
    edge.note(stream)
    strict.note(stream)
    assert edge.reached.is_set()
    assert not strict.reached.is_set()
    stream.step_s = 0.004
    strict.note(stream)
    assert strict.reached.is_set()
    assert strict.brackets_s == {"package": [0.02, 0.01, 0.03, 0.03, 0.004]}


def test_a_last_edge_wider_than_allowed_waits_until_the_window_is_longer():
    """Reads of 12 ms allow brackets of 30 ms, which the window is too short for at first."""
    sensor = SimulatedCounter(constant(50), 0.1)
    stream = Stream(sensor, sensor.open()[0])
    stream._costs.extend([0.012] * 5)
    allowed_s = [0.02]
    edge = Edge([stream], ticks=1, allowed=lambda name: allowed_s[0])
    stream.step_s = 0.03
    edge.note(stream)
    assert not edge.reached.is_set()
    allowed_s = [0.04]
    edge.note(stream)
    assert edge.reached.is_set()


class Gauge(Costly):
    """A power reading that takes 10 ms."""

    def open(self):
        """One domain."""
        return [Domain(name="gauge", sensor="simulated", quantity="power", unit="W", kind="sampled")]


def test_a_slow_power_reading_is_not_starved_by_a_counter_that_does_not_tick():
    """It replaces the counter: read at least twice a second while an edge waits in vain."""
    gauge, still = Gauge(constant(50), 0.05), SimulatedCounter(constant(0), 0.05)
    sampler = Sampler([(sensor, sensor.open()) for sensor in (gauge, still)])
    sampler.start()
    try:
        assert not sampler.edge().reached.wait(1.5)
    finally:
        t_s = sampler.stop().samples["gauge"].t_s
    assert float(np.max(np.diff(t_s))) < 0.5


def test_a_power_with_slow_reads_has_enough_readings_in_a_window():
    """Together with sixteen domains with reads of 10 ms, whose periods are stretched eightfold."""
    gauge = Gauge(constant(50), 0.05)
    sampler = Sampler([(sensor, sensor.open()) for sensor in (gauge, *(Costly(constant(50), 0.05, name=f"gpu:{i}") for i in range(16)))])
    sampler.start()
    time.sleep(1.5)
    assert len(sampler.stop().samples["gauge"].t_s) >= 5


class Held(SimulatedCounter):
    """Counts the time for which a clock was limited."""

    def open(self):
        """One domain, read every hour."""
        return [Domain(name=self.name, sensor="simulated", quantity="duration", unit="s", poll_period_s=3600)]


def test_a_counter_of_time_is_read_at_the_edges():
    """Readings far outside the window would cover more than its load."""
    near, far = (Held(constant(1), 0.001, name=name) for name in ("near", "far"))
    sampler = Sampler([(sensor, sensor.open()) for sensor in (near, far)], near={"near"})
    sampler.read_gauges()
    samples = sampler.trace().samples
    assert (len(samples["near"].value), len(samples["far"].value)) == (1, 0)


class Link(SimulatedCounter):
    """A value that rarely changes."""

    def open(self):
        """One domain, read every 5 s."""
        return [Domain(name="link", sensor="simulated", quantity="count", unit="1", poll_period_s=5)]


def test_a_rarely_polled_domain_is_read_in_the_shortest_window():
    """The PCIe link, polled every 5 s, was unknown in a window of 1.5 s."""
    link = Link(constant(1), 0.001)
    sampler = Sampler([(link, link.open())])
    sampler.read_gauges()
    assert len(sampler.trace().samples["link"].value) == 1


def test_a_regular_counter_is_polled_only_around_its_ticks():
    """Its next tick is predicted, and the brackets stay as narrow."""
    sensor = SimulatedCounter(constant(50), 0.1)
    sampler = Sampler([(sensor, sensor.open())])
    sampler.start()
    try:
        sampler.watch_closely(1.0)
        time.sleep(1.1)
        before = len(sampler.trace().samples["package"].value)
        edge = sampler.edge(ticks=4)
        assert edge.reached.wait(3.0)
        after = len(sampler.trace().samples["package"].value)
    finally:
        sampler.stop()
    assert after - before < 0.5 * before, "the edges of four ticks take as long as half the watching"
