"""State of a case's device in each launch: temperature and clock at the start and in the window, limits of the clock, power limit."""

from __future__ import annotations

from collections.abc import Iterable

from harness.energy.clock_limits import card_of
from harness.frame.results import Result, known, mean, rails
from harness.frame.rows import Row
from harness.schema import Record

START = ("start_temperature_degc", "start_sm_clock_hz")
SHARES = {"power_capped_share": "power_capped", "throttled_share": "slowed"}
"""Columns of shares of the window, and the condition of the card that each is."""


def launch_state(result: Result, record: Record) -> Row:
    """Columns of one launch; a column that the device does not report is empty."""
    thermometers = [d.name for d in result.domains if d.quantity == "temperature" and d.device == result.case.device]
    thermometers = [name for name in thermometers if not name.endswith(" memory_temperature")]
    clocks = [f"{card} sm_clock" for card in _cards(result)]
    return {
        "start_temperature_degc": _mean(record.start_conditions.get(name) for name in thermometers),
        "start_sm_clock_hz": _mean(record.start_conditions.get(name) for name in clocks),
        "temperature_degc": _mean(record.conditions.get(name) for name in thermometers),
        "sm_clock_hz": _mean(record.conditions.get(name) for name in clocks),
        **{column: _mean(record.conditions.get(f"{card} {name}") for card in _cards(result)) for column, name in SHARES.items()},
    }


def case_state(result: Result) -> Row:
    """Means of the columns over the completed launches that have them, and the power limit of the card."""
    launches = [launch_state(result, record) for record in result.ok]
    means = {name: _mean(row[name] for row in launches) for name in launches[0]} if launches else {}
    limit_w, default_w = power_limits(result)
    return {**means, "power_limit_w": limit_w, "power_limit_share": limit_w / default_w if limit_w and default_w else None}


def power_limits(result: Result) -> tuple[float | None, float | None]:
    """(enforced, default) power limit of the case's accelerator at the start of the run, in watts; None if not reported."""
    environment = result.environment
    facts = next((d for d in environment.devices if d.get("domain") in _cards(result)), {}) if environment else {}
    return facts.get("power_limit_w"), facts.get("power_limit_default_w")


def _cards(result: Result) -> list[str]:
    """Cards of the case's accelerator; empty for the CPU."""
    return list(dict.fromkeys(card_of(d.name) for d in rails(result.domains) if d.device == result.case.device and d.device != "cpu"))


def _mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are known; None if none is."""
    return mean(known(values))
