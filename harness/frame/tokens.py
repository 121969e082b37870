"""Columns of a case that generates text."""

from __future__ import annotations

from collections.abc import Callable

from harness.frame.results import Result, known, mean
from harness.frame.rows import Row
from harness.frame.token_columns import LATENCIES
from harness.frame.with_interval import with_interval
from harness.schema import Record
from harness.schema.served import Percentiles, TokenFigures

WH_PER_1000_J = 1000 / 3600
MEANS = (
    "input_tokens",
    "output_tokens",
    "concurrency",
    "batch",
    "requests_per_s",
    "goodput_per_s",
    "cached_share",
    "client_cores",
    "client_s_per_token",
)
"""Columns that are the mean over launches of a figure of the same name."""
OF_RUN = ("requests_per_s", "input_tokens", "output_tokens", "concurrency", "batch")
"""Columns of `runs` that are a figure of the same name."""


def token_row(result: Result, energy_j: float | None) -> Row:
    """Columns of `cases`; empty for a case that answers queries.

    Args:
        result: The case.
        energy_j: Its energy per output token in joules; None: it has none.
    """
    load = result.case.load
    if load is None:
        return {}
    figures = known(record.tokens for record in result.ok)
    row: Row = {
        "load": load.text,
        "concurrency_asked": load.concurrency,
        "rate_asked_per_s": load.rate_per_s,
        **{name: mean(getattr(each, name) for each in figures) for name in MEANS},
        **_latencies(result, figures),
        "failed_requests_share": _share(figures, lambda each: each.failed, lambda each: each.requests + each.failed),
        "short_answers_share": _share(figures, lambda each: each.short, lambda each: each.requests),
        "offered_share": mean(each.offered for each in figures),
        "tokens_estimated": any(each.estimated for each in figures) if figures else None,
        "server_token_ratio": mean(each.server_ratio for each in figures),
        "cost_only": _cost_only(result),
        "mean_logprob": _fact(result, "mean_logprob"),
        "agreement_noise_floor": _fact(result.baseline, "repeat_agreement") if result.baseline else None,
    }
    return row | (_energies(result, energy_j, row) if energy_j is not None and figures else {})


def token_launch(record: Record) -> Row:
    """Columns of `runs`."""
    figures = record.tokens
    if figures is None:
        return {}
    medians = {f"{stem}_p50_s": each.p50_s for stem in ("ttft", "tpot", "e2e") if (each := getattr(figures, stem))}
    return {name: getattr(figures, name) for name in OF_RUN} | medians


def _energies(result: Result, energy_j: float, row: Row) -> Row:
    per_request_j = energy_j * row["output_tokens"]
    total = None if row["input_tokens"] is None else row["input_tokens"] + row["output_tokens"]
    return {
        "energy_j_per_output_token": energy_j,
        "energy_j_per_request": per_request_j,
        "energy_wh_per_1000_requests": per_request_j * WH_PER_1000_J,
        "energy_j_per_total_token": per_request_j / total if total else None,
        **_prefill(result),
        "ramp_energy_j": mean(_phase_j(result, record, "warmup") for record, _ in result.launches),
        "drain_energy_j": mean(_phase_j(result, record, "drain") for record, _ in result.launches),
    }


def _prefill(result: Result) -> Row:
    """Energy per input token of a case whose answers have a single token; empty for any other."""
    values = [_prefill_j(energy.energy_j, record.tokens) for record, energy in result.launches]
    return with_interval("prefill", "j_per_input_token", values, result.q)


def _prefill_j(energy_j: float | None, figures: TokenFigures | None) -> float | None:
    if energy_j is None or figures is None or not figures.input_tokens or figures.output_tokens != 1:
        return None
    return energy_j / figures.input_tokens


def _cost_only(result: Result) -> str | None:
    """Why the quality has no meaning for the variant, by the finding of that name; None without one."""
    return next((str(f.values.get("why")) for record in result.ok for f in record.warnings if f.code == "cost_only"), None)


def _phase_j(result: Result, record: Record, phase: str) -> float | None:
    """Energy of the summed domains in one phase of a launch, in joules; None if one is unknown."""
    names = (result.scope or "").split("+")
    joules = [m.gross_j for m in record.measurements if m.phase == phase and m.domain in names]
    return sum(known(joules)) if len(known(joules)) == len(names) else None


def _latencies(result: Result, figures: list[TokenFigures]) -> Row:
    row: Row = {}
    for stem in LATENCIES:
        each: list[Percentiles | None] = [getattr(launch, stem) for launch in figures]
        for p in ("p50", "p90", "p99"):
            row |= with_interval(f"{stem}_{p}", "s", [getattr(one, f"{p}_s") if one else None for one in each], result.q)
    return row


def _share(figures: list[TokenFigures], part: Callable[[TokenFigures], int], total_of: Callable[[TokenFigures], int]) -> float | None:
    total = sum(map(total_of, figures))
    return sum(map(part, figures)) / total if total else None


def _fact(result: Result, name: str) -> float | None:
    """A fact of the first launch that has it."""
    return next((value for record in result.ok if isinstance(value := record.engine_facts.get(name), float)), None)
