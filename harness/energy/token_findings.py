"""Findings on a case that generates text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.energy.codes import finding
from harness.schema import Finding
from harness.schema.served import TokenFigures, TokenLoad

FAILED_SHARE = 0.01
"""Share of failed requests above which a case is not compared."""
CACHED_SHARE = 0.01
BATCH_SHARE = 0.85
"""Share of the requests in progress that the model must work on."""
OFFERED_SHARE = 0.95
"""Share of the due requests that must be completed."""
COUNT_SHARE = 0.01
"""Relative difference between two counts of tokens above which they disagree."""


def examine_tokens(figures: TokenFigures | None, load: TokenLoad, facts: Mapping[str, Any]) -> list[Finding]:
    """Findings on the requests, the tokens and the server of a launch.

    Args:
        figures: Figures of the launch; None: it has none.
        load: Load of the case.
        facts: Facts that the child reports.
    """
    findings = list(_of_server(facts))
    if figures is None or not figures.requests:
        return [finding("window_has_no_request"), *findings]
    return [*_of_requests(figures, load, facts), *_of_count(figures, facts), *findings]


def _of_requests(figures: TokenFigures, load: TokenLoad, facts: Mapping[str, Any]) -> Iterator[Finding]:
    ended = figures.requests + figures.failed
    if figures.failed:
        errors = facts.get("request_errors") or {}
        why = max(errors, key=lambda error: errors[error]) if errors else "reason not reported"
        values = {"failed": figures.failed, "requests": ended, "why": why}
        if figures.failed / ended > FAILED_SHARE:
            yield finding("too_many_requests_failed", **values, limit=FAILED_SHARE)
        else:
            yield finding("requests_failed", **values)
    if figures.short:
        yield finding("answers_short", short=figures.short, requests=figures.requests)
    if figures.cached_share is not None and figures.cached_share > CACHED_SHARE:
        yield finding("prompt_cache_used", share=figures.cached_share)
    asked = load.concurrency if load.concurrency is not None else figures.concurrency
    if figures.batch is not None and figures.batch + 2 * figures.batch_u < BATCH_SHARE * asked:
        code = "static_batches" if facts.get("batching") == "static" else "batch_not_reached"
        yield finding(code, batch=figures.batch, asked=float(asked))
    if figures.offered is not None and figures.offered < OFFERED_SHARE:
        yield finding("rate_not_reached", share=figures.offered, least=OFFERED_SHARE)


def _of_count(figures: TokenFigures, facts: Mapping[str, Any]) -> Iterator[Finding]:
    if unknown := facts.get("tokens_unknown"):
        yield finding("tokens_unknown", count=unknown, requests=facts.get("requests_ended", unknown))
    if figures.estimated:
        yield finding("tokens_estimated")
    disagreeing, ended = facts.get("usage_disagreements", 0), facts.get("requests_ended", 0)
    if ended and disagreeing / ended > COUNT_SHARE:
        yield finding("tokens_disagree", what=f"the usage of {disagreeing} of {ended} answers is not the number of tokens in their stream")
    if figures.server_ratio is not None and abs(figures.server_ratio - 1) > COUNT_SHARE:
        yield finding("tokens_disagree", what=f"the server's metrics count {figures.server_ratio:.3f} times the tokens of the answers")


def _of_server(facts: Mapping[str, Any]) -> Iterator[Finding]:
    if facts.get("server") == "external":
        yield finding("server_external")
    if host := facts.get("server_host"):
        yield finding("server_elsewhere", host=host)
    if facts.get("killed"):
        yield finding("server_killed", seconds=float(facts.get("stop_s", 0.0)))
    if why := facts.get("lm_eval_failed"):
        yield finding("not_evaluated", why=why, how=facts.get("lm_eval_remedy") or "read its output")
    if left := facts.get("shm_left"):
        yield finding("server_left_files", names=", ".join(left))
