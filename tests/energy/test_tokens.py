"""Figures of text generation from requests whose times are known."""

import numpy as np
import pytest

from harness.energy.tokens import latency_of, token_figures
from harness.schema import Phase
from harness.schema.served import COMPLETED, FAILED, SHORT, Slo, TokenLoad
from harness.serving.log import End, TokenLog

SECOND = 1_000_000_000
WINDOW = Phase(name="steady", start_s=10.0, end_s=30.0)
CLOSED = TokenLoad(concurrency=2, input_tokens=8, output_tokens=10)


def streams(log: TokenLog, number=2, seconds=40, tokens=10, first_s=0.25, step_s=0.05, wait_s=0.0, fail=(), **end):
    """Requests of one second each, back to back in each stream: `wait_s` in a queue, a first token, then one every `step_s`."""
    for second in range(seconds):
        for _ in range(number):
            sent = second * SECOND
            request = log.sent(sent, sent, tokens)
            for k in range(tokens):
                log.tokens(request, round(sent + (wait_s + first_s + k * step_s) * 1e9), 1)
            ended = round(sent + (wait_s + first_s + (tokens - 1) * step_s) * 1e9)
            failed = second in fail
            values = {"prompt_tokens": 8, "cached_tokens": 0, "output_tokens": None if failed else tokens, **end}
            log.ended(request, ended, End(FAILED if failed else COMPLETED, **values), error="500" if failed else None)
    return log


def figures(log, load=CLOSED, facts=None, slo=None):
    return token_figures(log.requests(), log.completions(), WINDOW, load, facts or {}, slo)


def test_latencies_and_rates_of_known_requests():
    """Each request: first token after 0.25 s, ten tokens 50 ms apart, prompt of 8 tokens; two in each of 20 seconds."""
    log = streams(TokenLog())
    it = figures(log)
    assert (it.requests, it.failed, it.short) == (40, 0, 0)
    assert it.requests_per_s == pytest.approx(2.0)
    assert (it.input_tokens, it.output_tokens) == (8.0, 10.0)
    assert it.ttft.p50_s == pytest.approx(0.25)
    assert it.tpot.p50_s == pytest.approx(0.05)
    assert it.itl.p50_s == pytest.approx(0.05)
    assert it.e2e.p50_s == pytest.approx(0.7)
    assert it.e2e.p99_s is None
    assert it.concurrency == pytest.approx(1.4)
    assert it.cached_share == 0.0
    assert latency_of(it, log.requests(), WINDOW).p50_s == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("slo", "per_s"),
    [
        (None, None),
        (Slo(max_ttft_s=0.26), 2.0),
        (Slo(max_ttft_s=0.24), 0.0),
        (Slo(max_tpot_s=0.051, max_e2e_s=0.71), 2.0),
        (Slo(max_tpot_s=0.051, max_e2e_s=0.69), 0.0),
        (Slo(max_tpot_s=0.049), 0.0),
    ],
)
def test_goodput_counts_the_requests_that_met_every_objective(slo, per_s):
    """Two requests a second with a first text after 0.25 s, 50 ms per token and 0.7 s in all; None without objectives."""
    found = figures(streams(TokenLog()), slo=slo).goodput_per_s
    assert found is None if per_s is None else found == pytest.approx(per_s)


def test_goodput_leaves_out_failed_and_short_answers():
    """They are not what was asked, however fast they are; a single token has no time per token to miss."""
    slo = Slo(max_tpot_s=1.0)
    assert figures(streams(TokenLog(), fail=(12, 13)), slo=slo).goodput_per_s == pytest.approx(36 / 20)
    log = TokenLog()
    for second in range(40):
        request = log.sent(second * SECOND, second * SECOND, 1 if second % 2 else 2)
        log.tokens(request, second * SECOND + SECOND // 4, 1)
        log.ended(request, second * SECOND + SECOND // 4, End(COMPLETED if second % 2 else SHORT, output_tokens=1, prompt_tokens=8))
    assert figures(log, slo=slo).goodput_per_s == pytest.approx(0.5)


def test_a_failed_request_is_no_request_and_no_token():
    """Its end is counted apart, and its tokens are not among the completions."""
    log = streams(TokenLog(), fail=(12, 13))
    it = figures(log)
    assert (it.requests, it.failed) == (36, 4)
    assert log.completions()[2].sum() == (80 - 4) * 10


def test_the_time_to_the_first_token_begins_when_the_request_was_due():
    """A late client does not hide a queue: the due time counts, not the time of sending."""
    log = TokenLog()
    for second in range(40):
        request = log.sent(second * SECOND, second * SECOND + SECOND // 5, 1)
        log.tokens(request, second * SECOND + SECOND // 2, 1)
        log.ended(request, second * SECOND + SECOND // 2, End(COMPLETED, output_tokens=1, prompt_tokens=8))
    it = figures(log, TokenLoad(rate_per_s=1.0, input_tokens=8, output_tokens=1))
    assert it.ttft.p50_s == pytest.approx(0.5)
    assert it.tpot is None
    assert latency_of(it, log.requests(), WINDOW) is None
    assert it.offered == pytest.approx(1.0, abs=0.06)


def test_a_queue_is_seen_by_the_prefill_that_the_server_reports():
    """Of two requests in progress for 0.95 s each, 0.45 s are a wait, so the model works on fewer at once."""
    queued = figures(streams(TokenLog(), wait_s=0.25, prefill_s=0.25))
    assert queued.concurrency == pytest.approx(1.9)
    assert queued.batch == pytest.approx(1.4)
    assert queued.batch_source == "prefill"
    assert figures(streams(TokenLog())).batch is None
    metrics = figures(streams(TokenLog()), facts={"server_running": [[float(t), 1.0 + t % 2] for t in range(40)]})
    assert (metrics.batch, metrics.batch_source) == (pytest.approx(1.48, abs=0.03), "metrics")
    assert metrics.batch_u == pytest.approx(0.5 / 20**0.5, rel=0.1)


def test_a_queue_of_a_silent_server_is_seen_by_its_times():
    """Of 0.5 s to the first token at most 2 x 2 x 0.05 s are work; a server that reports more requests is not believed."""
    late = streams(TokenLog(), wait_s=0.25)
    for facts in ({"alone_s": 0.05}, {"alone_s": 0.05, "server_running": [[float(t), 2.0] for t in range(40)]}):
        assert (figures(late, facts=facts).batch, figures(late, facts=facts).batch_source) == (pytest.approx(1.3), "bound")
    assert figures(streams(TokenLog()), facts={"alone_s": 0.25}).batch == pytest.approx(1.4)


def test_no_time_between_tokens_that_came_in_one_read():
    """Two tokens of a request at one time are no evidence of when they were generated."""
    assert figures(streams(TokenLog(), step_s=0.0)).itl is None
    assert figures(streams(TokenLog()), facts={"tokens_estimated": True}).itl is None


def test_the_client_and_the_servers_own_count():
    """CPU time over the span and over its tokens; the server's tokens over ours."""
    facts = {"client_cpu_s": 0.4, "client_span_s": 20.0, "client_tokens": 400.0, "counted_tokens": 800, "server_tokens": 824}
    it = figures(streams(TokenLog()), facts=facts)
    assert it.client_cores == pytest.approx(0.02)
    assert it.client_s_per_token == pytest.approx(1e-3)
    assert it.server_ratio == pytest.approx(1.03)


def test_what_is_unknown_is_none():
    """Without usage there is no mean input length, without a load or a window there are no figures."""
    log = streams(TokenLog(), prompt_tokens=None, cached_tokens=None)
    assert figures(log).input_tokens is None
    assert figures(log).cached_share is None
    assert token_figures(log.requests(), log.completions(), None, CLOSED, {}) is None
    assert token_figures(log.requests(), log.completions(), WINDOW, None, {}) is None
    assert token_figures(np.zeros((10, 0), dtype=np.int64), np.zeros((3, 0)), WINDOW, CLOSED, {}) is None
