"""Readings of the cards of the simulated driver for a probe."""

from __future__ import annotations

import pytest

from harness.errors import SensorError
from harness.sensors.card_readings import open_cards


def test_every_card_has_its_readings(driver):
    """With UUID, name and driver."""
    driver(devices=2, gpu1_high_w=300)
    with open_cards() as cards:
        assert [card.uuid for card in cards] == ["GPU-simulated-0", "GPU-simulated-1"]
        assert cards[1].read("instant") == pytest.approx(300) and cards[1].read("average") == pytest.approx(300)
        assert cards[0].refused == () and cards[0].driver_version == "simulated 1.0"
        assert cards[0].pids() == []


def test_a_refused_reading_is_left_out(driver):
    """An old card without the energy counter."""
    driver(counter=0, field_instant=0)
    with open_cards() as (card,):
        assert card.refused == ("counter", "instant") and "counter" not in card.readings


def test_a_failing_card_is_left_out_or_raises(driver):
    """It has no UUID to store a probe under; without any card the error has a remedy."""
    driver(devices=0)
    with pytest.raises(SensorError, match="no GPU can be read"), open_cards():
        pass


def test_a_read_that_fails_raises(driver):
    """It is never 0."""
    driver(error_at_s=1e9)
    with open_cards() as (card,):
        card.readings["counter"] = lambda: card._driver.nvml.nvmlDeviceGetHandleByIndex(7)
        with pytest.raises(SensorError):
            card.read("counter")
