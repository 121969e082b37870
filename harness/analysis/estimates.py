"""Estimates of one objective from the launches or per-sample losses of many cases, with tests between pairs of cases."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.analysis.paired import as_good_and_better
from harness.schema import Floats

Bools = NDArray[np.bool_]
Indices = NDArray[np.int64]

ALPHA_AS_GOOD = 0.05
"""One-sided error of non-inferiority."""


@dataclass(frozen=True)
class Estimates:
    """One objective of n cases, smaller is better.

    Energy and latency are means of logarithms, so that the margin is relative; a quality to be maximised is negated.

    Attributes:
        mean: Estimates, shape (n,); NaN for unknown: such a case dominates nothing and is dominated by nothing.
        u: Standard errors of the mean, 0 if exact, shape (n,).
        nu: Degrees of freedom of u, may be infinite, shape (n,).
        margin: Largest difference that is still as good.
        common: Effect on each case of one standard uncertainty of each of m errors that the cases share, such as the gain of a sensor, shape
            (n, m); equal effects cancel between two cases. None: there are none.
    """

    mean: Floats
    u: Floats
    nu: Floats
    margin: float
    common: Floats | None = None

    @classmethod
    def of_launches(cls, launches: Sequence[Sequence[float]], margin: float) -> Estimates:
        """From positive values of each case, compared by ratio, with a relative margin."""
        return cls.of_values([np.log(np.asarray(each, dtype=np.float64)) for each in launches], float(np.log1p(margin)))

    @classmethod
    def of_values(cls, launches: Sequence[Floats], margin: float) -> Estimates:
        """From values that are compared by difference.

        Args:
            launches: Values of each case, shape (R,) each; empty if nothing was measured.
            margin: Margin in the values' own unit.
        """
        array, count = padded([each[:, None] for each in launches])
        first, used = array[:, 0, 0], np.arange(array.shape[1]) < count[:, None]
        # Relative to the first launch, so that equal launches have exactly their value as mean, and no scatter by rounding.
        beyond = np.where(used, array[:, :, 0] - first[:, None], 0.0)
        shift = beyond.sum(axis=1) / np.maximum(count, 1)
        square = (np.where(used, beyond - shift[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(count - 1, 1)
        mean = np.where(count > 0, first + shift, np.nan)
        # The scatter of a single launch is unknown: an infinite standard error separates it from no other case.
        u = np.where(count > 1, np.sqrt(square / np.maximum(count, 1)), np.inf)
        return cls(mean, u, np.maximum(count - 1, 1).astype(np.float64), margin)

    def compare(self, rows: Indices, columns: Indices, alpha_better: float) -> tuple[Bools, Bools]:
        """Welch's t tests of some cases against others: (as good within the margin, better), each of shape (rows, columns)."""
        difference, u, nu = self._differences(rows, columns)
        return difference + _t(ALPHA_AS_GOOD, nu) * u <= self.margin, difference + _t(alpha_better, nu) * u < 0

    def _differences(self, rows: Indices, columns: Indices) -> tuple[Floats, Floats, Floats]:
        """Differences of rows minus columns, their standard errors and degrees of freedom, each of shape (rows, columns)."""
        variance = self.u**2
        total = variance[rows, None] + variance[None, columns]
        for effect in () if self.common is None else self.common.T:
            total = total + (effect[rows, None] - effect[None, columns]) ** 2
        with np.errstate(invalid="ignore", divide="ignore"):
            scatter = (variance**2 / self.nu)[rows, None] + (variance**2 / self.nu)[None, columns]
            degrees = np.where((scatter > 0) & np.isfinite(scatter), total**2 / scatter, np.inf)
        return self.mean[rows, None] - self.mean[None, columns], np.sqrt(total), degrees


@dataclass(frozen=True)
class PairedObjective:
    """An objective scored on the same samples for all cases, such as quality; smaller is better.

    Attributes:
        losses: Loss of each sample for each case, at least two samples, shape (samples,) each.
        margin: Largest difference that is still as good, in the loss's own unit.
    """

    losses: Sequence[Floats]
    margin: float

    @functools.cached_property
    def mean(self) -> Floats:
        """Mean loss of each case, shape (n,)."""
        return np.asarray(np.mean(self._stacked, axis=1))

    @functools.cached_property
    def u(self) -> Floats:
        """Standard error of each mean, shape (n,)."""
        return np.asarray(np.std(self._stacked, axis=1, ddof=1) / np.sqrt(self._stacked.shape[1]))

    @functools.cached_property
    def _stacked(self) -> Floats:
        return np.stack(self.losses)

    def compare(self, rows: Indices, columns: Indices, alpha_better: float) -> tuple[Bools, Bools]:
        """As `Estimates.compare`, by the tests of `paired.as_good_and_better`."""
        return as_good_and_better(self._stacked[rows], self._stacked[columns], self.margin, alpha_better)


def padded(launches: Sequence[Floats]) -> tuple[Floats, Indices]:
    """Launches of n cases in one array padded with 0, shape (n, largest R, k), and their numbers, shape (n,)."""
    count = np.array([len(each) for each in launches], dtype=np.int64)
    used = np.arange(int(count.max(initial=1))) < count[:, None]
    array = np.zeros((*used.shape, launches[0].shape[1] if launches else 1))
    if launches:
        array[used] = np.concatenate(launches)
    return array, count


def _t(alpha: float, nu: Floats) -> Floats:
    """Upper one-sided quantiles of t by a table, a thousand times faster; degrees of freedom are rounded down, to the safe side."""
    table = _t_table(alpha)
    rounded = np.clip(np.nan_to_num(nu, posinf=1e9), 1, 200).astype(np.int64)
    return np.where(np.isinf(nu), table[-1], table[rounded - 1])


@functools.cache
def _t_table(alpha: float) -> Floats:
    """Upper quantiles of t for 1 to 200 degrees of freedom, followed by that of the normal distribution."""
    from scipy.special import ndtri, stdtrit

    return np.append(-stdtrit(np.arange(1.0, 201.0), alpha), -float(ndtri(alpha)))
