"""Joules, throughput and the price of a machine -> joules, money and carbon of what it infers in service; the formulas alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

HOURS_PER_YEAR = 8766.0
"""Of 365.25 days."""
J_PER_KWH = 3.6e6
MILLION = 1e6
SCAN = 60
"""Points of an input's range between which a change of ranking is looked for."""


@dataclass(frozen=True)
class Service:
    """A machine at work: what it does, draws and costs, and the site it stands on.

    Attributes:
        energy_j: Gross, an inference, while it infers.
        throughput_per_s: Inferences a second while it infers.
        idle_w: While it waits, model loaded; null: not measured.
        duty_cycle: Share of the hours in which it infers, above 0 and up to 1; in the rest it is idle and not switched off.
        price_per_kwh: Of electricity.
        pue: Energy of the facility over that of the machine, 1 or more.
        psu_efficiency: AC to DC, for sensors on the DC side; 1: the sensor already sees the AC side, or it is not counted.
        lifetime_years: Over which capital and embodied carbon are spread evenly.
        capital: Purchase price; null: not given.
        g_per_kwh: Carbon intensity of the grid; null: not given.
        embodied_g: CO2e of making the machine; null: not given.
    """

    energy_j: float
    throughput_per_s: float
    idle_w: float | None
    duty_cycle: float
    price_per_kwh: float
    pue: float
    psu_efficiency: float
    lifetime_years: float
    capital: float | None = None
    g_per_kwh: float | None = None
    embodied_g: float | None = None

    @property
    def throughput_per_w(self) -> float:
        """Inferences a second and watt while it infers, which are inferences a joule."""
        return 1 / self.energy_j

    @property
    def total_j(self) -> float | None:
        """An inference with its share of the idle hours: e + P0 (1 - u) / (u X); null where idle counts and was not measured."""
        if self.duty_cycle == 1:
            return self.energy_j
        waiting_s = (1 - self.duty_cycle) / (self.duty_cycle * self.throughput_per_s)
        return None if self.idle_w is None else self.energy_j + self.idle_w * waiting_s

    @property
    def kwh_per_million(self) -> float | None:
        """Of the facility: total_j / 3.6 x PUE / eta_psu (measurement.md, section 7)."""
        return None if self.total_j is None else self.total_j * MILLION / J_PER_KWH * self.pue / self.psu_efficiency

    @property
    def lifetime_inferences(self) -> float:
        """What it infers before it is replaced."""
        return self.lifetime_years * HOURS_PER_YEAR * 3600 * self.throughput_per_s * self.duty_cycle

    @property
    def electricity_per_million(self) -> float | None:
        """Money for its energy."""
        return None if self.kwh_per_million is None else self.kwh_per_million * self.price_per_kwh

    @property
    def money_per_million(self) -> float | None:
        """Energy x price + capex per hour / (3600 x throughput x utilisation) x 1e6; null where the capital is not given."""
        if self.electricity_per_million is None or self.capital is None:
            return None
        return self.electricity_per_million + self.capital / self.lifetime_inferences * MILLION

    @property
    def carbon_per_million_g(self) -> float | None:
        """SCI = (E I + M) / R (ISO/IEC 21031:2024), R a million inferences; without M where that is not given, null without a grid."""
        if self.kwh_per_million is None or self.g_per_kwh is None:
            return None
        return self.kwh_per_million * self.g_per_kwh + (self.embodied_g or 0.0) / self.lifetime_inferences * MILLION


@dataclass(frozen=True)
class BreakEven:
    """From how many inferences on the machine that costs more to buy costs less in all.

    Attributes:
        inferences: N* = d capital / d(running cost an inference); null where nothing is saved.
        low: With the largest saving that the energies' bounds allow; null: no bounds, or nothing is saved for certain.
        high: With the smallest; null: no bounds, or the saving is not separated from 0.
    """

    inferences: float | None
    low: float | None = None
    high: float | None = None


def break_even(capital: float, saving: float, bounds: tuple[float, float] | None = None) -> BreakEven:
    """N* = d capital / d(money per inference).

    Args:
        capital: By how much the one costs more to buy, above 0.
        saving: By how much it costs less to run, money an inference.
        bounds: Of that saving, lower and upper; null: not known, as of modelled energies.
    """
    low, high = (capital / b if b > 0 else None for b in (bounds[1], bounds[0])) if bounds else (None, None)
    return BreakEven(capital / saving if saving > 0 else None, low, high)


def flip(difference: Callable[[float], float], low: float, high: float, now: float) -> float | None:
    """The value of an input, nearest to the one it has, at which a difference changes its sign; null where it does not in this range.

    Args:
        difference: Of two costs, as a function of the input, continuous.
        low: Where the range begins, above 0.
        high: Where it ends.
        now: The value the input has; below the range where it is 0.
    """
    from scipy.optimize import brentq

    points = np.unique([*np.geomspace(low, high, SCAN), now])
    signs = np.sign([difference(float(x)) for x in points])
    here = np.sign(difference(now))
    changes = [i for i in range(len(points) - 1) if signs[i] != signs[i + 1] and here in (signs[i], signs[i + 1])]
    roots = [float(brentq(difference, points[i], points[i + 1])) for i in changes]
    return min(roots, key=lambda x: abs(np.log(x / now)) if now else x, default=None)
