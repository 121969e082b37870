"""Figures of a case that generates text, from its table of requests and its tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from harness.analysis.interval import percentile
from harness.schema import Floats, Latency, Phase
from harness.schema.served import COMPLETED, FAILED, REQUEST_COLUMNS, SHORT, Percentiles, Slo, TokenFigures, TokenLoad

SAME_READ_S = 20e-6
"""Two texts of a request that are nearer than this came in one read: the time between their tokens is not known."""
FEWEST_READINGS = 3
PREFILL_MARGIN = 2.0
"""Factor by which prompts may take longer among the steps of other requests than alone."""
SAME_READ_SHARE = 0.01
"""Share of such texts above which no time between tokens is given."""

Source = Literal["metrics", "prefill", "log", "bound"]


class Requests:
    """The table of requests as arrays in seconds; NaN: unknown or not reached."""

    def __init__(self, table: np.ndarray) -> None:
        self.columns = dict(zip(REQUEST_COLUMNS, table, strict=True))
        self.status = self.columns["status"]
        self.ok = (self.status == COMPLETED) | (self.status == SHORT)

    def seconds(self, name: str) -> Floats:
        """A column of times or durations, in seconds."""
        return self.number(name) * 1e-9

    def number(self, name: str) -> Floats:
        """A column of numbers."""
        column = self.columns[name]
        return np.where(column < 0, np.nan, column.astype(np.float64))


def token_figures(
    table: np.ndarray,
    completions: np.ndarray,
    window: Phase | None,
    load: TokenLoad | None,
    facts: Mapping[str, Any],
    slo: Slo | None = None,
) -> TokenFigures | None:
    """Figures over the window; None for a case without a load, or without a window.

    Args:
        table: Table of requests, shape (columns, n).
        completions: Tokens, shape (3, n).
        window: The window.
        load: Load of the case; None: it answers queries.
        facts: Facts that the child reports.
        slo: Objectives of a request; None: there are none.
    """
    if load is None or window is None or not table.shape[1]:
        return None
    requests = Requests(table)
    due_s, first_s, end_s, tokens = (*map(requests.seconds, ("due_ns", "first_ns", "end_ns")), requests.number("output_tokens"))
    ended = (end_s >= window.start_s) & (end_s <= window.end_s)
    done = ended & requests.ok
    due = (due_s >= window.start_s) & (due_s <= window.end_s)
    estimated = bool(facts.get("tokens_estimated", False))
    several = done & (tokens > 1)
    ttft_s, e2e_s, tpot_s = first_s - due_s, end_s - due_s, (end_s - first_s) / np.maximum(tokens - 1, 1)
    batch = _batch(requests, window, load, facts)
    return TokenFigures(
        requests=int(done.sum()),
        failed=int((ended & (requests.status == FAILED)).sum()),
        short=int((ended & (requests.status == SHORT)).sum()),
        requests_per_s=float(done.sum()) / window.duration_s,
        input_tokens=_mean(requests.number("prompt_tokens")[done]),
        output_tokens=_mean(tokens[done]) or 0.0,
        concurrency=_mean_number(requests.seconds("sent_ns"), end_s, window),
        batch=batch.number,
        batch_source=batch.source,
        batch_u=batch.u,
        offered=float(done.sum() / due.sum()) if load.rate_per_s is not None and due.any() else None,
        cached_share=_cached_share(requests, done),
        ttft=_percentiles(ttft_s[done]),
        tpot=_percentiles(tpot_s[several]),
        itl=None if estimated else _between_tokens(requests, completions, window),
        e2e=_percentiles(e2e_s[done]),
        goodput_per_s=_goodput(ended & (requests.status == COMPLETED), ttft_s, np.where(tokens > 1, tpot_s, 0.0), e2e_s, slo, window),
        estimated=estimated,
        **_client(facts),
    )


def latency_of(figures: TokenFigures | None, table: np.ndarray, window: Phase | None) -> Latency | None:
    """The time per output token of each request as the latency of the case; None if answers have a single token."""
    if figures is None or figures.tpot is None or window is None:
        return None
    requests = Requests(table)
    first_s, end_s, tokens = requests.seconds("first_ns"), requests.seconds("end_ns"), requests.number("output_tokens")
    of_window = requests.ok & (end_s >= window.start_s) & (end_s <= window.end_s) & (tokens > 1)
    each = ((end_s - first_s) / (tokens - 1))[of_window]
    p95 = percentile(each, 95)
    return Latency(
        queries=len(each),
        mean_s=float(np.mean(each)),
        p50_s=figures.tpot.p50_s,
        p90_s=figures.tpot.p90_s,
        p95_s=p95,
        p99_s=figures.tpot.p99_s,
    )


def _percentiles(each: Floats) -> Percentiles | None:
    each = each[np.isfinite(each)]
    p50, p90, p99 = (percentile(each, p) for p in (50, 90, 99)) if len(each) else (None, None, None)
    return None if p50 is None else Percentiles(p50_s=p50, p90_s=p90, p99_s=p99)


def _goodput(complete: np.ndarray, ttft_s: Floats, tpot_s: Floats, e2e_s: Floats, slo: Slo | None, window: Phase) -> float | None:
    """Requests per second of the window that were complete and met every objective; an unknown time does not meet one."""
    if slo is None:
        return None
    limits = ((ttft_s, slo.max_ttft_s), (tpot_s, slo.max_tpot_s), (e2e_s, slo.max_e2e_s))
    met = [each <= limit for each, limit in limits if limit is not None]
    return float((complete & np.all(met, axis=0)).sum()) / window.duration_s


def _mean(values: Floats) -> float | None:
    """Mean of the known values; None if one is unknown or there is none."""
    return float(np.mean(values)) if len(values) and np.isfinite(values).all() else None


def _mean_number(begin_s: Floats, end_s: Floats, window: Phase) -> float:
    """Mean number of intervals that are open in the window; one without an end is open until after it."""
    begin_s, end_s = np.nan_to_num(begin_s, nan=np.inf), np.nan_to_num(end_s, nan=np.inf)
    overlaps = np.minimum(end_s, window.end_s) - np.maximum(begin_s, window.start_s)
    return float(np.sum(np.maximum(overlaps, 0.0)) / window.duration_s)


class Batch(NamedTuple):
    """Mean number of requests that the model worked on.

    Attributes:
        number: The mean; None if unknown.
        source: How it is known.
        u: Standard uncertainty of the mean, of readings alone.
    """

    number: float | None = None
    source: Source | None = None
    u: float = 0.0


def _batch(requests: Requests, window: Phase, load: TokenLoad, facts: Mapping[str, Any]) -> Batch:
    """Requests that the model worked on; those that wait in the server's queue do not count.

    A server whose own report is above what the times of its requests allow is not believed.
    """
    reported = _batch_reported(requests, window, facts)
    alone_s = facts.get("alone_s")
    if load.concurrency is None or not alone_s:
        return reported
    bound = _batch_bound(requests, window, load.concurrency, float(alone_s))
    return Batch(bound, "bound") if reported.number is None or bound < reported.number else reported


def _batch_reported(requests: Requests, window: Phase, facts: Mapping[str, Any]) -> Batch:
    """By the log of a library in this process, where nothing waits, the prefill durations that the server reports, or readings of its metrics."""
    first_s, end_s = requests.seconds("first_ns"), requests.seconds("end_ns")
    if facts.get("batching"):
        return Batch(_mean_number(requests.seconds("sent_ns"), end_s, window), "log")
    prefill_s, begun = requests.seconds("prefill_ns"), np.isfinite(first_s)
    if begun.any() and np.isfinite(prefill_s[begun & requests.ok]).all():
        return Batch(_mean_number(np.where(begun, first_s - np.nan_to_num(prefill_s), np.nan), end_s, window), "prefill")
    running = [number for t_s, number in facts.get("server_running", ()) if window.start_s <= t_s <= window.end_s]
    if len(running) >= FEWEST_READINGS:
        return Batch(float(np.mean(running)), "metrics", float(np.std(running, ddof=1) / np.sqrt(len(running))))
    return Batch()


def _batch_bound(requests: Requests, window: Phase, concurrency: int, alone_s: float) -> float:
    """Upper bound of the number of requests that the model works on, from times alone.

    A request is worked on from its first text to its end, and before it at most twice as long as the prompts of all streams take one after the
    other: what it waits longer is a queue.
    """
    sent_s, first_s, end_s = (requests.seconds(name) for name in ("sent_ns", "first_ns", "end_ns"))
    begin_s = np.maximum(sent_s, first_s - PREFILL_MARGIN * concurrency * alone_s)
    return _mean_number(np.where(np.isfinite(first_s), begin_s, np.nan), end_s, window)


def _cached_share(requests: Requests, done: np.ndarray) -> float | None:
    cached, prompt = requests.number("cached_tokens")[done], requests.number("prompt_tokens")[done]
    if not len(cached) or not (np.isfinite(cached) & np.isfinite(prompt)).all() or not prompt.sum():
        return None
    return float(cached.sum() / prompt.sum())


def _between_tokens(requests: Requests, completions: np.ndarray, window: Phase) -> Percentiles | None:
    """Times between two tokens of a request; None where several tokens came at once."""
    begin_s, end_s, count = completions[0] * 1e-9, completions[1] * 1e-9, completions[2]
    later = ~np.isin(completions[0], requests.columns["sent_ns"])
    inside = later & (begin_s >= window.start_s) & (end_s <= window.end_s)
    gaps_s = (end_s - begin_s)[inside]
    if not len(gaps_s) or (count[inside] > 1).mean() > SAME_READ_SHARE or (gaps_s < SAME_READ_S).mean() > SAME_READ_SHARE:
        return None
    return _percentiles(gaps_s)


def _client(facts: Mapping[str, Any]) -> dict[str, float | None]:
    """CPU time of the load generator, and the server's own count relative to ours."""
    cpu_s, span_s, tokens = (facts.get(name) for name in ("client_cpu_s", "client_span_s", "client_tokens"))
    counted, reported = facts.get("counted_tokens"), facts.get("server_tokens")
    return {
        "client_cores": cpu_s / span_s if cpu_s is not None and span_s else None,
        "client_s_per_token": cpu_s / tokens if cpu_s is not None and tokens else None,
        "server_ratio": reported / counted if reported is not None and counted else None,
    }
