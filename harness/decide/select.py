"""The tables of a run, limits and weights -> the case to take, the runner-up, who was refused and why, and whether the lead is separated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from harness.analysis.interval import FIXED, Interval
from harness.analysis.select import Choice, choose, leads, nearest_miss
from harness.decide.limits import Constraints, Miss, misses
from harness.errors import HarnessError
from harness.schema import evidence

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Compute = Literal["latency", "macs"]
COLUMNS = {"latency": "latency_p50_s", "macs": "macs"}


class Weights(NamedTuple):
    """w1 of n (latency or multiply-accumulates), w2 of energy."""

    compute: float = 1.0
    energy: float = 1.0

    @property
    def share(self) -> float:
        """Of n in both."""
        return self.compute / (self.compute + self.energy)


@dataclass(frozen=True)
class Selection:
    """The answer for cases that may be compared: one model on one machine, with energies of one kind of evidence.

    Attributes:
        rows: Of the table `cases`, those that may be chosen.
        out: Those that are never chosen: failed, invalid, or without an energy.
        dense: What the scores are relative to; null where no dense case has both figures.
        compute: What n is.
        weights: As asked for.
        limits: As asked for.
        choice: By index into `rows`; null where nothing can be scored.
        missed: Of each row the limits that it misses.
        leads: Of each row by how much the choice leads it; NaN of those that are not allowed.
        nearest: Where there is no choice, the row that misses by least.
    """

    rows: list[Row]
    out: list[Row]
    dense: Row | None
    compute: Compute
    weights: Weights
    limits: Constraints
    choice: Choice | None
    missed: list[list[Miss]]
    leads: list[Interval]
    nearest: int | None

    @property
    def best(self) -> Row | None:
        """The row that was chosen."""
        return self.rows[self.choice.best] if self.choice and self.choice.best is not None else None

    @property
    def unseparated(self) -> list[int]:
        """Those that the choice is not shown to lead."""
        best = self.choice.best if self.choice else None
        return [i for i, lead in enumerate(self.leads) if i != best and not np.isnan(lead.value) and not lead.low > 0]


def select(
    tables: dict[str, pd.DataFrame], limits: Constraints, weights: Weights, compute: Compute = "latency", q: float = FIXED
) -> list[Selection]:
    """The constrained optimum: minimise w1 n + w2 E, both over dense, among the cases that keep every limit.

    Args:
        tables: What `frame.tables` gives of one run.
        limits: Each is kept only where the bound of the interval keeps it.
        weights: Not both 0.
        compute: What n is: the median latency of a query, or multiply-accumulates of an inference.
        q: `interval.FIXED` or `STOPPED`: how the launches were ended.

    Returns:
        One for each group that may be compared.

    Raises:
        HarnessError: The weights are no weights, or the run has no case.
    """
    if min(weights) < 0 or not np.isfinite(weights).all() or sum(weights) <= 0:
        raise HarnessError(
            f"weights {weights.compute:g},{weights.energy:g} order nothing", "give two numbers of which none is below 0 and one above"
        )
    rows = _rows(tables["cases"])
    if not rows:
        raise HarnessError("the run has no case that ran", "let it run first: `harness run --resume RUN`")
    usable = [row for row in rows if row["status"] == "ok" and row["valid"] and row["energy_j"] is not None]
    groups: dict[tuple[Any, ...], list[Row]] = {_peers(row): [] for row in usable}
    for row in usable:
        groups[_peers(row)].append(row)
    lost = [row for row in rows if row not in usable]
    if not groups:
        return [_selection([], lost, limits, weights, compute, tables, q)]
    # A case that never ran belongs to its model: it is named beside the first group of that model.
    named: set[str] = set()
    found = []
    for members in groups.values():
        model = members[0]["model"]
        out = [] if model in named else [row for row in lost if row["model"] == model]
        named.add(model)
        found.append(_selection(members, out, limits, weights, compute, tables, q))
    return found


def _rows(frame: pd.DataFrame) -> list[Row]:
    from harness.frame.rows import rows_of

    return rows_of(frame)


def _peers(row: Row) -> tuple[Any, ...]:
    """What must agree: a measured energy never stands beside a modelled one."""
    return row["model"], row["quality_metric"], row["environment_id"], evidence(row["energy_kind"])


def _selection(
    rows: list[Row], out: list[Row], limits: Constraints, weights: Weights, compute: Compute, tables: dict[str, pd.DataFrame], q: float
) -> Selection:
    column = COLUMNS[compute]
    dense = next((row for row in rows if row["case_id"] == row["baseline_case_id"] and row[column]), None)
    missed = [misses(row, limits) for row in rows]
    blank = [Interval(float("nan"), float("nan"), float("nan"))] * len(rows)
    shortfalls = np.array([[sum(miss.shortfall for miss in each)] for each in missed]).reshape(-1, 1)
    if dense is None:
        return Selection(rows, out, None, compute, weights, limits, None, missed, blank, nearest_miss(shortfalls))
    costs = np.array(
        [[np.nan if row[column] is None else row[column] / dense[column], row["energy_j"] / dense["energy_j"]] for row in rows]
    )
    allowed = np.array([not each for each in missed], dtype=np.bool_)
    choice = choose(costs, allowed, weights.share)
    shown = blank if choice.best is None else _leads(rows, dense, choice, allowed, compute, weights, tables, q)
    return Selection(
        rows, out, dense, compute, weights, limits, choice, missed, shown, None if choice.best is not None else nearest_miss(shortfalls)
    )


def _leads(
    rows: Sequence[Row],
    dense: Row,
    choice: Choice,
    allowed: np.ndarray,
    compute: Compute,
    weights: Weights,
    tables: dict[str, pd.DataFrame],
    q: float,
) -> list[Interval]:
    """Over the launches of each case that is allowed; n and E of one launch stand together, so that their correlation is kept."""
    assert choice.best is not None
    blank = Interval(float("nan"), float("nan"), float("nan"))
    members = [i for i in range(len(rows)) if allowed[i] and not np.isnan(choice.scores[i])]
    launches = [_scores(rows[i], dense, compute, weights.share, tables["runs"]) for i in members]
    if not all(map(len, launches)):
        return [blank] * len(rows)
    domains = dict(iter(tables["domains"].groupby("case_id")))
    shared = np.array([(1 - weights.share) * _shared(rows[i], rows[choice.best], dense, domains) for i in members])
    found = dict(zip(members, leads(launches, members.index(choice.best), shared, q), strict=True))
    return [found.get(i, blank) for i in range(len(rows))]


def _scores(row: Row, dense: Row, compute: Compute, share: float, runs: pd.DataFrame) -> np.ndarray:
    """Of each valid launch that has an energy; the multiply-accumulates are the same in all."""
    own = runs[(runs["case_id"] == row["case_id"]) & runs["valid"].fillna(False) & runs["energy_j"].notna()]
    if compute == "latency":
        own = own[own["latency_p50_s"].notna()]
        first = own["latency_p50_s"].to_numpy(dtype=np.float64) / dense["latency_p50_s"]
    else:
        first = np.full(len(own), (row["macs"] or np.nan) / dense["macs"])
    second = own["energy_j"].to_numpy(dtype=np.float64) / dense["energy_j"]
    scores: np.ndarray = share * (first if share else 0.0) + (1 - share) * second
    return scores


def _shared(row: Row, best: Row, dense: Row, domains: Mapping[Any, pd.DataFrame]) -> float:
    """Standard uncertainty of the difference of two relative energies from what the energies of a run share: the offset, the gain of each domain.

    To first order one of them moves the difference by u_i/D - u_b/D - (e_i - e_b)/D u_D/D; a gain that moves all alike by nothing.
    """
    moves = [_moves_j(each, domains) for each in (row, best, dense)]
    difference = (row["energy_j"] - best["energy_j"]) / dense["energy_j"]
    names = dict.fromkeys(name for each in moves for name in each)
    of, against, whole = ([each.get(name, 0.0) for name in names] for each in moves)
    return float(np.linalg.norm(np.array(of) - np.array(against) - difference * np.array(whole)) / dense["energy_j"])


def _moves_j(row: Row, domains: Mapping[Any, pd.DataFrame]) -> dict[str, float]:
    """By how much one standard uncertainty of the offset and of the gain of each domain moves the energy of a case, J; a gain that is not known by nothing."""
    own = domains[row["case_id"]]
    known = own[own["in_scope"] & own["gain"].notna() & own["energy_j"].notna()]
    gains = {str(name): float(gain * joules) for name, gain, joules in zip(known["domain"], known["gain"], known["energy_j"], strict=True)}
    return {"the offset": row["u_offset_j"] or 0.0, **gains}
