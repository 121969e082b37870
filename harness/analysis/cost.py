"""Energy, money and carbon per inference in service, from the energy, throughput and price of a machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

HOURS_PER_YEAR = 8766.0
"""Hours in 365.25 days."""
J_PER_KWH = 3.6e6
MILLION = 1e6
SCAN = 60
"""Number of points in an input's range between which a change of ranking is searched."""


@dataclass(frozen=True)
class Service:
    """A machine in service, and its site.

    Attributes:
        energy_j: Gross energy per inference under load, J.
        throughput_per_s: Inferences per second under load.
        idle_w: Idle power with the model loaded, W; None: not measured.
        duty_cycle: Share of the hours under load, above 0 and up to 1; in the rest it is idle and not switched off.
        price_per_kwh: Price of electricity.
        pue: Ratio of the facility's energy to that of the machine, 1 or more.
        psu_efficiency: AC-to-DC efficiency, for sensors on the DC side; 1 if the sensor is on the AC side, or to ignore it.
        lifetime_years: Time over which capital and embodied carbon are spread evenly.
        capital: Purchase price; None: not given.
        g_per_kwh: Carbon intensity of the grid; None: not given.
        embodied_g: CO2e of manufacturing the machine, g; None: not given.
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
        """Inferences per second and watt under load, which are inferences per joule."""
        return 1 / self.energy_j

    @property
    def total_j(self) -> float | None:
        """Energy per inference with its share of the idle hours, e + P0 (1 - u) / (u X); None if idle power counts and was not measured."""
        if self.duty_cycle == 1:
            return self.energy_j
        waiting_s = (1 - self.duty_cycle) / (self.duty_cycle * self.throughput_per_s)
        return None if self.idle_w is None else self.energy_j + self.idle_w * waiting_s

    @property
    def kwh_per_million(self) -> float | None:
        """Energy of the facility, total_j / 3.6 x PUE / eta_psu (measurement.md, section 7)."""
        return None if self.total_j is None else self.total_j * MILLION / J_PER_KWH * self.pue / self.psu_efficiency

    @property
    def lifetime_inferences(self) -> float:
        """Inferences before it is replaced."""
        return self.lifetime_years * HOURS_PER_YEAR * 3600 * self.throughput_per_s * self.duty_cycle

    @property
    def electricity_per_million(self) -> float | None:
        """Cost of electricity."""
        return None if self.kwh_per_million is None else self.kwh_per_million * self.price_per_kwh

    @property
    def money_per_million(self) -> float | None:
        """Energy x price + capex per hour / (3600 x throughput x utilisation) x 1e6; None without a capital."""
        if self.electricity_per_million is None or self.capital is None:
            return None
        return self.electricity_per_million + self.capital / self.lifetime_inferences * MILLION

    @property
    def carbon_per_million_g(self) -> float | None:
        """SCI = (E I + M) / R (ISO/IEC 21031:2024), R a million inferences; without M if not given, None without a grid."""
        if self.kwh_per_million is None or self.g_per_kwh is None:
            return None
        return self.kwh_per_million * self.g_per_kwh + (self.embodied_g or 0.0) / self.lifetime_inferences * MILLION


@dataclass(frozen=True)
class BreakEven:
    """Number of inferences from which the machine with the higher price costs less in total.

    Attributes:
        inferences: N* = d capital / d(running cost per inference); None if nothing is saved.
        low: N* at the largest saving within the bounds; None: no bounds, or certainly no saving.
        high: N* at the smallest saving; None: no bounds, or the saving is not separated from 0.
    """

    inferences: float | None
    low: float | None = None
    high: float | None = None


def break_even(capital: float, saving: float, bounds: tuple[float, float] | None = None) -> BreakEven:
    """N* = d capital / d(money per inference).

    Args:
        capital: Difference of the purchase prices, above 0.
        saving: Running cost saved per inference.
        bounds: Lower and upper bound of the saving; None: unknown, as for modelled energies.
    """
    low, high = (capital / b if b > 0 else None for b in (bounds[1], bounds[0])) if bounds else (None, None)
    return BreakEven(capital / saving if saving > 0 else None, low, high)


def sign_change(difference: Callable[[float], float], low: float, high: float, now: float) -> float | None:
    """The value of an input, nearest to its current one, at which a difference changes its sign; None if it does not within the range.

    Args:
        difference: Difference of two costs as a continuous function of the input.
        low: Start of the range, above 0.
        high: End of the range.
        now: Current value, may be 0.
    """
    from scipy.optimize import brentq

    points = np.unique([*np.geomspace(low, high, SCAN), now])
    signs = np.sign([difference(float(x)) for x in points])
    here = np.sign(difference(now))
    changes = [i for i in range(len(points) - 1) if signs[i] != signs[i + 1] and here in (signs[i], signs[i + 1])]
    roots = [float(brentq(difference, points[i], points[i + 1])) for i in changes]
    return min(roots, key=lambda x: abs(np.log(x / now)) if now else x, default=None)
