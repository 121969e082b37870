"""Costs of offered machines as text."""

from __future__ import annotations

from dataclasses import replace

from harness.report.costs import cost_lines
from tests import generating
from tests.decide.machines import OFFERS, machine


def idling(run, idle_w):
    """The same run, each domain idling at that power."""
    records = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"idle_w": idle_w}) for m in r.measurements)}) for r in run.records
    ]
    return replace(run, records=tuple(records))


def test_the_better_machine_depends_on_idle_power_and_throughput_too():
    """With mostly idle hours 3 % between idle powers with gains of 5 % is not separated, a half is; likewise throughput."""
    offers = OFFERS.model_copy(
        update={"duty_cycle": 0.01, "offers": [o.model_copy(update={"capital_cost": 1000.0}) for o in OFFERS.offers]}
    )

    def by_carbon(other):
        return next(line for line in cost_lines([machine(), other], offers) if "by g CO2e" in line)

    assert "not separated" in by_carbon(idling(machine("box-2", seed=1), 2.06))
    assert "A is better" in by_carbon(idling(machine("box-2", seed=1), 3.0))
    slow = machine("box-2", seed=1)
    rates = [r.model_copy(update={"throughput_per_s": 30_000.0 * (1 + 0.3 * (k % 5 - 2))}) for k, r in enumerate(slow.records)]
    assert "not separated" in by_carbon(replace(slow, records=tuple(rates)))


def test_site_and_machines_are_stated():
    """Grid with country and year, duty cycle, price, and embodied carbon that is not given for every machine."""
    text = "\n".join(cost_lines([machine(), machine("box-2")], OFFERS))
    assert "FRA, 2022, 56 g" in text and "PUE 1.2" in text and "0.3 EUR/kWh" in text
    assert "embodied carbon not given for every machine, so not counted" in text


def test_a_million_output_tokens_and_their_break_even():
    """Units of the case, not inferences."""
    runs = [generating.sweep(), generating.other(1.3)]
    text = "\n".join(cost_lines(runs, generating.offers(runs)))
    assert "A million output tokens in service:" in text and "tok./s per W" in text
    assert "output tokens [" in text and "inference" not in text


def test_both_units_have_a_table_each():
    """In a run that has both."""
    runs = [generating.mixed(), generating.other(1.3, generating.mixed())]
    text = "\n".join(cost_lines(runs, generating.offers(runs)))
    assert "A million inferences in service:" in text and "A million output tokens in service:" in text
