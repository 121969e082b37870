"""Sensors and domains that are read, and the results of the probe."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

import pytest

from harness import plugins
from harness.errors import SensorError
from harness.schema import Catalogue, Domain, SensorSpec
from harness.sensors import probe as probe_module
from harness.sensors.base import Sensor
from harness.sensors.probe import disagreement, open_sensors, probe, sampler_cost
from tests.simulated import SimulatedCounter, constant, square


def fake(name: str, rank: int, domains: Sequence[Domain] = (), error: Exception | None = None) -> type[Sensor]:
    """A sensor that has these domains, or fails."""

    class Fake(Sensor):
        spec: ClassVar = SensorSpec(name=name, rank=rank)
        closed = False

        def open(self):
            if error:
                raise error
            return list(domains)

        def read(self, domain):
            return 1.0

        def close(self):
            type(self).closed = True

    return Fake


def power(name, kind="sampled", quantity="power"):
    return Domain(name=name, sensor="fake", quantity=quantity, unit="W", kind=kind)


@pytest.fixture
def open_these(monkeypatch):
    """A function that opens these fakes as if they were the catalogue's."""

    def of(*sensors):
        classes = {sensor.spec.name: sensor for sensor in sensors}
        monkeypatch.setattr(plugins, "load", lambda family, name: classes[name])
        return open_sensors(Catalogue({}, {name: sensor.spec for name, sensor in classes.items()}, {}, {}))

    return of


def names(opened):
    return {sensor.spec.name: [domain.name for domain in domains] for sensor, domains in opened}


def test_a_domain_is_read_by_the_lower_rank(open_these):
    """In any order of the catalogue."""
    opened, unavailable = open_these(fake("late", 9, [power("package"), power("system")]), fake("early", 1, [power("package")]))
    assert names(opened) == {"early": ["package"], "late": ["system"]} and unavailable == {}


def test_a_model_of_measured_parts_is_not_read(open_these):
    """A modelled `package` and measured `package:0` and `package:1` would count the CPU twice; modelled DRAM stays."""
    model = [power("package", "modelled", "mean_power"), power("dram", "modelled", "mean_power")]
    opened, _ = open_these(fake("model", 90, model), fake("measured", 1, [power("package:0"), power("package:1")]))
    assert names(opened) == {"measured": ["package:0", "package:1"], "model": ["dram"]}


def test_a_sensor_without_new_domains_is_closed(open_these):
    """With the reason."""
    late = fake("late", 9, [power("package", "modelled")])
    opened, unavailable = open_these(late, fake("early", 1, [power("package")]))
    assert names(opened) == {"early": ["package"]} and late.closed
    assert "already" in unavailable["late"]


def test_a_broken_sensor_does_not_affect_the_others(open_these):
    """Its error and hint are kept, also any exception of a plug-in."""
    opened, unavailable = open_these(
        fake("refused", 1, error=SensorError("may not be read", "ask for a group")),
        fake("broken", 2, error=RuntimeError("oops")),
        fake("good", 3, [power("package")]),
    )
    assert names(opened) == {"good": ["package"]}
    assert unavailable["refused"] == "may not be read\nask for a group"
    assert "RuntimeError: oops" in unavailable["broken"]


@pytest.mark.parametrize("period_s", [0.02, 0.05])
def test_the_update_period_of_a_counter_is_measured(period_s):
    """The median of 12 gaps between ticks; it is stored in the domain."""
    sensor = SimulatedCounter(constant(100), update_period_s=period_s)
    declared = [domain.model_copy(update={"update_period_s": None}) for domain in sensor.open()]
    [(_, [domain])], seen = probe([(sensor, declared)])
    assert domain.update_period_s == pytest.approx(period_s, rel=0.25)
    assert seen["package"]["ticks"] > 12 and seen["package"]["poll_s"] < 0.001
    assert seen["package"]["update_period_s"] == domain.update_period_s


def test_a_counter_that_does_not_tick_has_no_period():
    """None, within the time limit."""
    sensor = SimulatedCounter(constant(0), update_period_s=0.01)
    [(_, [domain])], seen = probe([(sensor, [d.model_copy(update={"update_period_s": None}) for d in sensor.open()])], seconds=0.1)
    assert domain.update_period_s is None and seen["package"]["ticks"] == 0


def test_an_unreadable_counter_has_an_error():
    """The probe goes on."""

    class Lost(SimulatedCounter):
        def read(self, domain):
            raise SensorError("the GPU is lost")

    sensor = Lost(constant(1), 0.01)
    _, seen = probe([(sensor, sensor.open())], seconds=5)
    assert seen["package"]["error"] == "the GPU is lost" and seen["package"]["poll_s"] is None


def test_a_few_failed_reads_do_not_end_the_probe():
    """The counter works: its period is measured and there is no error."""

    class Blinking(SimulatedCounter):
        reads = 0

        def read(self, domain):
            self.reads += 1
            if self.reads < 4:
                raise SensorError("it shows no number")
            return super().read(domain)

    sensor = Blinking(constant(100), 0.02)
    _, seen = probe([(sensor, sensor.open())])
    assert seen["package"]["error"] is None
    assert seen["package"]["ticks"] > 12


def test_an_exception_of_a_plug_in_is_an_error():
    """It does not end the run."""

    class Broken(SimulatedCounter):
        def read(self, domain):
            raise RuntimeError("oops")

    sensor = Broken(constant(1), 0.01)
    _, seen = probe([(sensor, sensor.open())], seconds=5)
    assert seen["package"]["error"] == "the sensor failed with RuntimeError: oops"


def test_models_and_conditions_are_not_probed():
    """So a machine without counters loses no time."""
    sensor = fake("model", 1)()
    given = [(sensor, [power("package", "modelled", "mean_power"), Domain(name="load", sensor="fake", quantity="load", unit="1")])]
    filled, seen = probe(given)
    assert seen == {} and filled == given


@pytest.mark.parametrize(
    ("settings", "apart"), [({"gauge_period_s": 0.02, "window_s": 0.02}, 0.0), ({"gain": 1.3, "counter_from_gauge": 0}, 0.0)]
)
def test_a_counter_and_its_power_agree(driver, settings, apart):
    """At constant power: within a few percent, with any gain that both share."""
    sensor = driver(**settings)
    _, seen = probe([(sensor, sensor.open())], seconds=1.0)
    assert disagreement(seen["gpu:0"]) == pytest.approx(apart, abs=0.03)
    assert seen["gpu:0"]["disagree"] is False
    assert seen["gpu:0"]["update_period_s"] == pytest.approx(0.1, rel=0.1)


def test_a_counter_and_its_power_disagree(driver):
    """A reading of a quarter of each period, under a load with the same period, is far off."""
    sensor = driver(wave="square", wave_period_s=0.1, duty=0.5, low_w=20, high_w=180, window_s=0.025)
    _, seen = probe([(sensor, sensor.open())], seconds=1.0)
    assert abs(disagreement(seen["gpu:0"])) > 0.3 and seen["gpu:0"]["disagree"] is True


def test_counters_of_several_periods_are_probed_together():
    """Each has its own period."""
    sensors = [SimulatedCounter(square(10, 90, 0.3), u, name=f"package:{i}") for i, u in enumerate((0.01, 0.03, 0.08))]
    filled, _ = probe([(sensor, sensor.open()) for sensor in sensors])
    periods = [domains[0].update_period_s for _, domains in filled]
    assert periods == pytest.approx([0.01, 0.03, 0.08], rel=0.3)


def test_cost_of_the_sampler():
    """Quick reads cost more than slow ones; without a counter there is no edge."""

    class Slow(SimulatedCounter):
        def read(self, domain):
            spin_until = time.monotonic() + 0.0002
            while time.monotonic() < spin_until:
                pass
            return super().read(domain)

    sensor = Slow(constant(100), update_period_s=0.02)
    cost = sampler_cost([(sensor, sensor.open())], 0.3)
    assert 0 < cost["slow_share"] < cost["edge_share"]
    gauge = fake("gauge", 1)()
    assert sampler_cost([(gauge, [power("package")])], 0.1)["edge_share"] is None


def test_facts_of_cards_come_from_sensors_of_other_devices(monkeypatch):
    """One that fails, and those of the CPU, give none."""
    opened = []

    class Cards(fake("cards", 1)):
        spec = SensorSpec(name="cards", devices=("gpu",))

        def describe(self):
            return [{"device": "gpu", "driver": "580.1"}]

    class Broken(Cards):
        def open(self):
            raise SensorError("no driver")

    classes = {"cards": Cards, "broken": Broken, "host": fake("host", 1)}
    monkeypatch.setattr(probe_module.plugins, "load", lambda family, name: opened.append(name) or classes[name])
    specs = {"cards": Cards.spec, "broken": SensorSpec(name="broken", devices=("gpu",)), "host": SensorSpec(name="host")}
    catalogue = Catalogue(engines={}, sensors=specs, variants={}, workloads={})
    assert probe_module.cards_present(catalogue) == [{"device": "gpu", "driver": "580.1"}]
    assert opened == ["cards", "broken"]


def test_the_devices_of_a_machine_are_its_cards_too(monkeypatch):
    """Each with the reason why no case can run there."""
    cards = [
        power("gpu:0").model_copy(update={"device": "gpu", "detail": {"uuid": "GPU-a"}}),
        power("gpu:1").model_copy(update={"device": "gpu:1", "detail": {"uuid": "GPU-b", "not_selectable": "hidden"}}),
    ]
    sensor = fake("cards", 1)
    monkeypatch.setattr(sensor, "open", lambda self: cards)
    monkeypatch.setattr(sensor, "spec", sensor.spec.model_copy(update={"devices": ("gpu",)}))
    monkeypatch.setattr(probe_module.plugins, "load", lambda family, name: sensor)
    present = probe_module.devices_present(Catalogue({}, {"cards": sensor.spec}, {}, {}))
    assert present == {"cpu": None, "gpu": None, "gpu:GPU-a": None, "gpu:1": None, "gpu:GPU-b": "hidden"}


@pytest.mark.parametrize(
    ("stored_s", "now_s", "used_s"),
    [(0.105, 0.1, 0.105), (0.05, 0.1, 0.1), (None, 0.1, 0.1), (0.1, None, None), (None, None, None)],
)
def test_a_stored_update_period_is_used_if_it_still_holds(stored_s, now_s, used_s):
    """It is of more ticks; a counter that now ticks at another rate has its new period, and one that does not tick none."""
    domain = power("gpu:0", quantity="energy").model_copy(update={"update_period_s": stored_s})
    assert probe_module._period_s(domain, {"gpu:0": now_s}) == used_s


def test_a_domain_that_was_not_polled_keeps_its_stored_period():
    """As a card on which no case runs."""
    domain = power("gpu:1", quantity="energy").model_copy(update={"update_period_s": 0.1})
    assert probe_module._period_s(domain, {"gpu:0": 0.2}) == 0.1


def test_a_stuck_counter_has_no_stored_period_either():
    """No tick is known of it now."""
    sensor = SimulatedCounter(constant(0), update_period_s=0.01)
    filled, _ = probe([(sensor, [sensor.open()[0].model_copy(update={"update_period_s": 0.1})])], seconds=0.2)
    assert filled[0][1][0].update_period_s is None
