"""Selection of the best case under constraints, with the runner-up, the rejected cases and whether the lead is separated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from harness.analysis.interval import FIXED, Interval
from harness.analysis.select import Choice, choose, leads, nearest_miss
from harness.decide.limits import OF_TEXT, Constraints, Miss, misses, percentile_of
from harness.errors import HarnessError
from harness.frame.rows import Row, rows_of
from harness.frame.settings import is_text, timing_of
from harness.schema import evidence

if TYPE_CHECKING:
    import pandas as pd

Compute = Literal["latency", "macs", "ttft", "e2e"]
COLUMNS = {"latency": "latency_p50_s", "macs": "macs", "ttft": "ttft_p50_s", "e2e": "e2e_p50_s"}
UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


class Weights(NamedTuple):
    """Weights of the cost (latency or multiply-accumulates) and of the energy."""

    compute: float = 1.0
    energy: float = 1.0

    @property
    def share(self) -> float:
        """Share of the cost in the sum of both."""
        return self.compute / (self.compute + self.energy)


@dataclass(frozen=True)
class Selection:
    """Selection among comparable cases: one model on one machine, with energies of one kind of evidence.

    Attributes:
        rows: Rows of `cases` that can be chosen.
        out: Rows that are excluded: failed, invalid, or without an energy.
        dense: Row that scores are relative to; None if no dense case has cost and energy.
        compute: Quantity of the cost.
        weights: Weights of cost and energy.
        limits: Constraints.
        choice: Choice by index into `rows`; None if nothing can be scored.
        missed: Constraints that each row does not satisfy.
        leads: Lead of the choice over each row; NaN for rejected rows.
        nearest: Row with the smallest shortfall if there is no choice, otherwise None.
        percentiles: Percentile that each limit of generated text is compared with; empty for cases that answer queries.
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
    percentiles: Mapping[str, str] = field(default_factory=dict)

    @property
    def best(self) -> Row | None:
        """Chosen row; None if there is no choice."""
        return self.rows[self.choice.best] if self.choice and self.choice.best is not None else None

    @property
    def unseparated(self) -> list[int]:
        """Rows from which the choice is not separated."""
        best = self.choice.best if self.choice else None
        return [i for i, lead in enumerate(self.leads) if i != best and not np.isnan(lead.value) and not lead.low > 0]


def select(
    tables: dict[str, pd.DataFrame], limits: Constraints, weights: Weights, compute: Compute = "latency", q: float = FIXED
) -> list[Selection]:
    """Minimise w1*cost + w2*energy, relative to dense, among cases that satisfy all constraints at 95 % confidence.

    Args:
        tables: Tables of one run, by name.
        limits: Constraints, each compared with a bound of the 95 % interval.
        weights: Weights of cost and energy, not both 0.
        compute: Quantity of the cost: median latency per query (of text TPOT), multiply-accumulates per inference, or of text TTFT or the duration.
        q: `interval.FIXED`, or `STOPPED` after a stopping rule.

    Returns:
        One selection for each group of comparable cases.

    Raises:
        HarnessError: The weights are not valid, the run has no case, or a limit is for generated text and no case generates any.
    """
    if min(weights) < 0 or not np.isfinite(weights).all() or sum(weights) <= 0:
        raise HarnessError(
            f"weights {weights.compute:g},{weights.energy:g} are not valid", "use --weights two numbers that are not negative, one above 0"
        )
    rows = rows_of(tables["cases"])
    if not rows:
        raise HarnessError("the run has no case that ran", "complete it: `harness run --resume RUN`")
    usable = [row for row in rows if row["status"] == "ok" and row["valid"] and row["energy_j"] is not None]
    if any(getattr(limits, name) is not None for name in OF_TEXT) and not any(map(is_text, rows)):
        raise HarnessError(
            "--max-ttft, --max-tpot and --max-e2e limit cases that generate text, and the run has none",
            "use --max-latency-p99 for the latency of a query",
        )
    groups: dict[tuple[Any, ...], list[Row]] = {_peers(row): [] for row in usable}
    for row in usable:
        groups[_peers(row)].append(row)
    lost = [row for row in rows if row not in usable]
    if not groups:
        return [_selection([], lost, limits, weights, compute, tables, q)]
    # An excluded case is listed once, with the first group of its model.
    first = {members[0]["model"]: key for key, members in reversed(groups.items())}
    out = {key: [row for row in lost if first.get(row["model"]) == key] for key in groups}
    return [_selection(members, out[key], limits, weights, compute, tables, q) for key, members in groups.items()]


def _peers(row: Row) -> tuple[Any, ...]:
    """Key of comparable cases; measured and modelled energies never are, nor cases timed in different ways."""
    timing = timing_of(row)
    return row["model"], row["quality_metric"], row["environment_id"], evidence(row["energy_kind"]), timing


def _selection(
    rows: list[Row], out: list[Row], limits: Constraints, weights: Weights, compute: Compute, tables: dict[str, pd.DataFrame], q: float
) -> Selection:
    column = COLUMNS[compute]
    dense = next((row for row in rows if row["case_id"] == row["baseline_case_id"] and row[column]), None)
    percentiles = {name: percentile_of(rows, stem) for name, stem in OF_TEXT.items()} if any(map(is_text, rows)) else {}
    missed = [misses(row, limits, percentiles) for row in rows]
    shortfalls = np.array([[sum(miss.shortfall for miss in each)] for each in missed]).reshape(-1, 1)
    choice, lead = None, [UNKNOWN] * len(rows)
    if dense is not None:
        costs = [[np.nan if row[column] is None else row[column] / dense[column], row["energy_j"] / dense["energy_j"]] for row in rows]
        allowed = np.array([not each for each in missed], dtype=np.bool_)
        choice = choose(np.array(costs), allowed, weights.share)
        if choice.best is not None:
            lead = _leads(rows, dense, choice, allowed, compute, weights, tables, q)
    nearest = nearest_miss(shortfalls) if choice is None or choice.best is None else None
    return Selection(rows, out, dense, compute, weights, limits, choice, missed, lead, nearest, percentiles)


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
    """Leads over the launches of each allowed case; cost and energy of one launch are kept together for their correlation."""
    assert choice.best is not None
    members = [i for i in range(len(rows)) if allowed[i] and not np.isnan(choice.scores[i])]
    launches = [_scores(rows[i], dense, compute, weights.share, tables["runs"]) for i in members]
    if not all(map(len, launches)):
        return [UNKNOWN] * len(rows)
    domains = dict(iter(tables["domains"].groupby("case_id")))
    shared = np.array([(1 - weights.share) * _shared_u(rows[i], rows[choice.best], dense, domains) for i in members])
    by_row = dict(zip(members, leads(launches, members.index(choice.best), shared, q), strict=True))
    return [by_row.get(i, UNKNOWN) for i in range(len(rows))]


def _scores(row: Row, dense: Row, compute: Compute, share: float, runs: pd.DataFrame) -> np.ndarray:
    """Scores of the valid launches with an energy; multiply-accumulates are the same in all."""
    own = runs[(runs["case_id"] == row["case_id"]) & runs["valid"].fillna(False) & runs["energy_j"].notna()]
    if compute != "macs":
        own = own[own[COLUMNS[compute]].notna()]
        first = own[COLUMNS[compute]].to_numpy(dtype=np.float64) / dense[COLUMNS[compute]]
    else:
        first = np.full(len(own), (row["macs"] or np.nan) / dense["macs"])
    second = own["energy_j"].to_numpy(dtype=np.float64) / dense["energy_j"]
    scores: np.ndarray = share * (first if share else 0.0) + (1 - share) * second
    return scores


def _shared_u(row: Row, best: Row, dense: Row, domains: Mapping[Any, pd.DataFrame]) -> float:
    """Standard uncertainty of the difference of two relative energies from the offset and the gains that they share.

    To first order one of them moves the difference by u_i/D - u_b/D - (e_i - e_b)/D u_D/D; a gain that moves all alike by nothing.
    """
    moves = [_moves_j(each, domains) for each in (row, best, dense)]
    difference = (row["energy_j"] - best["energy_j"]) / dense["energy_j"]
    names = dict.fromkeys(name for each in moves for name in each)
    u_row, u_best, u_dense = (np.array([each.get(name, 0.0) for name in names]) for each in moves)
    return float(np.linalg.norm(u_row - u_best - difference * u_dense) / dense["energy_j"])


def _moves_j(row: Row, domains: Mapping[Any, pd.DataFrame]) -> dict[str, float]:
    """Change of a case's energy by one standard uncertainty of the offset and of each known gain, in joules."""
    own = domains[row["case_id"]]
    known = own[own["in_scope"] & own["gain"].notna() & own["energy_j"].notna()]
    gains = {str(name): float(gain * joules) for name, gain, joules in zip(known["domain"], known["gain"], known["energy_j"], strict=True)}
    return {"the offset": row["u_offset_j"] or 0.0, **gains}
