"""Temperatures, clocks, limits and power limit of the card of a case."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from harness import frame
from tests.factories import COUNTERS, case, record, stored
from tests.frame.helpers import on_a_card, row


def test_the_state_of_the_card_is_in_both_tables():
    """At the start of each launch and in its window; the memory's thermometer is another."""
    run = on_a_card()
    for found in (row(run), frame.runs([run]).iloc[0]):
        assert (found.start_temperature_degc, found.start_sm_clock_hz) == (45, 0.2e9)
        assert (found.temperature_degc, found.sm_clock_hz) == (61, 1.9e9)
        assert (found.power_capped_share, found.throttled_share) == (0.5, 0)


def test_a_power_limit_below_the_default_is_a_share():
    """In W, and relative to the default; unknown of a card that does not report it."""
    found = row(on_a_card())
    assert found.power_limit_w == 250 and found.power_limit_share == pytest.approx(250 / 450)
    found = row(on_a_card(limits_w=(None, 450.0)))
    assert pd.isna(found.power_limit_w) and pd.isna(found.power_limit_share)
    assert pd.isna(row(on_a_card(limits_w=(250.0, None))).power_limit_share)


def test_the_limit_is_that_of_the_chosen_card():
    """A case on one of two cards."""
    run = on_a_card()
    card = run.header.suite.cases[0].model_copy(update={"card": "GPU-B"})
    other = run.header.domains[0].model_copy(update={"name": "gpu:1", "device": "gpu:1", "detail": {"uuid": "GPU-B"}})
    devices = (*run.header.environments[0].devices, {"domain": "gpu:1", "power_limit_w": 400.0, "power_limit_default_w": 400.0})
    environment = run.header.environments[0].model_copy(update={"devices": devices})
    suite = run.header.suite.model_copy(update={"cases": (card,)})
    header = run.header.model_copy(update={"environments": (environment,), "domains": (*run.header.domains, other), "suite": suite})
    found = row(replace(run, header=header))
    assert (found.power_limit_w, found.power_limit_share, found.device_uuid) == (400, 1, "GPU-B")


def test_a_case_on_the_cpu_has_its_temperature_only():
    """Clocks, limits and power limit are those of an accelerator."""
    thermometer = COUNTERS[0].model_copy(update={"name": "cpu_temperature", "quantity": "temperature", "unit": "degC", "kind": None})
    of = case()
    found = row(
        stored(
            [of], [record(of, start_conditions={"cpu_temperature": 40.0}, conditions={"cpu_temperature": 50.0})], (*COUNTERS, thermometer)
        )
    )
    assert (found.start_temperature_degc, found.temperature_degc) == (40, 50)
    assert found[["sm_clock_hz", "start_sm_clock_hz", "power_capped_share", "throttled_share", "power_limit_w"]].isna().all()


def test_an_older_record_has_no_start():
    """Empty, not 0."""
    of = case()
    assert pd.isna(row(stored([of], [record(of)])).start_temperature_degc)
