"""Columns of cases that generate text; empty for all others."""

from __future__ import annotations

from collections.abc import Iterator

from harness.frame.column import ONE, Column, bool_, bounds, float_, int_, text_

_NO_TEXT = "the unit is not output_token, or it was not measured"
_NO_ENERGY = "the unit is not output_token, or energy_j is empty"
_NO_INPUT = f"{_NO_TEXT}, or the server does not report the length of prompts"
_NO_PREFILL = f"{_NO_ENERGY}, input_tokens is empty, or answers have more than one token"
LATENCIES = {
    "ttft": "time from the due time of a request to its first text",
    "tpot": "time per output token after the first, (end - first text) / (tokens - 1)",
    "itl": "time between two tokens of a request",
    "e2e": "duration of a request from its due time",
}
"""Latencies of text generation by the stem of their columns."""
_EMPTY = {
    "tpot": ", or answers have a single token",
    "itl": ", or several tokens arrived in one read, or were estimated",
}


def _latencies() -> Iterator[Column]:
    for stem, meaning in LATENCIES.items():
        empty = _NO_TEXT + _EMPTY.get(stem, "")
        yield float_(f"{stem}_p50_s", f"{meaning}: median, mean over launches, in seconds", empty)
        yield from bounds(f"{stem}_p50", "_s", "over launches, in seconds", f"{empty}; {ONE}")
        for p, least in ((90, 36), (99, 368)):
            few = f"{empty}, or a launch has fewer than {least} {'values' if stem == 'itl' else 'requests'}"
            yield float_(f"{stem}_p{p}_s", f"{meaning}: {p}th percentile, mean over launches, in seconds", few)
            yield from bounds(f"{stem}_p{p}", "_s", "over launches, in seconds", f"{few}; {ONE}")


TOKEN_CASES = (
    float_("energy_j_per_output_token", "energy_j: gross, the processing of prompts included, in joules", _NO_ENERGY),
    float_("energy_j_per_request", "energy_j times output_tokens, in joules", _NO_ENERGY),
    float_("energy_wh_per_1000_requests", "energy_j_per_request of 1,000 requests, in watt-hours", _NO_ENERGY),
    float_(
        "energy_j_per_total_token",
        "energy_j_per_request over input_tokens + output_tokens, in joules; only to compare with others who divide by both",
        f"{_NO_ENERGY}, or input_tokens is empty",
    ),
    float_(
        "prefill_j_per_input_token",
        "energy_j_per_request over input_tokens of a case whose answers have one token: of the processing of prompts, in joules",
        _NO_PREFILL,
    ),
    *bounds("prefill", "_j_per_input_token", "repeatability on this sensor, in joules", f"{_NO_PREFILL}; {ONE}"),
    text_(
        "cost_only",
        "why the quality has no meaning for the variant, so that its figures are costs alone: weights that are random, or were quantized before",
        "no finding cost_only, or the unit is not output_token",
    ),
    float_("input_tokens", "mean length of a prompt in tokens, as the server reports it", _NO_INPUT),
    float_("output_tokens", "mean number of generated tokens per request", _NO_TEXT),
    text_(
        "load",
        "concurrency (c) or rate (r) that the suite asks for, and mean lengths in tokens: c4/in16/out48",
        "the unit is not output_token",
    ),
    int_("concurrency_asked", "requests in progress that the suite asks for", "the scenario is not closed"),
    float_("rate_asked_per_s", "mean arrivals of requests per second that the suite asks for", "the scenario is not poisson"),
    float_("concurrency", "requests in progress, mean over the window", _NO_TEXT),
    float_("batch", "requests that the model worked on, mean over the window", f"{_NO_TEXT}, or unknown"),
    float_("requests_per_s", "requests completed per second", _NO_TEXT),
    float_("goodput_per_s", "requests per second that met all objectives in `slo` of the suite", "the suite has no `slo`"),
    *_latencies(),
    float_("failed_requests_share", "share of the requests that failed, 0 to 1", _NO_TEXT),
    float_("short_answers_share", "share of the answers with fewer tokens than asked, 0 to 1", _NO_TEXT),
    float_("offered_share", "requests completed over requests due", "the scenario is not poisson"),
    float_("cached_share", "share of the prompts' tokens that came from a cache, 0 to 1", f"{_NO_TEXT}, or not reported"),
    bool_("tokens_estimated", "whether the tokens of whole requests were spread over the chunks of their text", _NO_TEXT),
    float_("server_token_ratio", "tokens by the server's own metrics over tokens counted", f"{_NO_TEXT}, or the server has no such metric"),
    float_("client_cores", "CPU cores that the load generator used", f"{_NO_TEXT}, or the model is in the same process"),
    float_(
        "client_s_per_token", "CPU time of the load generator per token, in seconds", f"{_NO_TEXT}, or the model is in the same process"
    ),
    float_("ramp_energy_j", "energy of the domains in energy_j during the warm-up, of one launch, in joules", _NO_ENERGY),
    float_("drain_energy_j", "energy of the domains in energy_j after the window, until the last request ended, in joules", _NO_ENERGY),
    float_("mean_logprob", "mean log-likelihood of the greedy tokens on the fixed prompts, in nats", f"{_NO_TEXT}, or not reported"),
    float_(
        "agreement_noise_floor",
        "agreement of the baseline with a second round of itself at the same concurrency",
        f"{_NO_TEXT}, or no baseline",
    ),
)

TOKEN_RUNS = (
    float_("requests_per_s", "requests completed per second", _NO_TEXT),
    float_("input_tokens", "mean length of a prompt in tokens", _NO_INPUT),
    float_("output_tokens", "mean number of generated tokens per request", _NO_TEXT),
    float_("concurrency", "requests in progress, mean over the window", _NO_TEXT),
    float_("batch", "requests that the model worked on, mean over the window", f"{_NO_TEXT}, or unknown"),
    float_("ttft_p50_s", "median of the time to the first text, in seconds", _NO_TEXT),
    float_("tpot_p50_s", "median of the time per output token, in seconds", f"{_NO_TEXT}, or answers have a single token"),
    float_("e2e_p50_s", "median of the duration of a request, in seconds", _NO_TEXT),
)
