"""Findings on text generation."""

import pytest

from harness.energy.token_findings import examine_tokens
from harness.schema.served import TokenFigures, TokenLoad

CLOSED = TokenLoad(concurrency=8, input_tokens=16, output_tokens=48)
GOOD = TokenFigures(
    requests=1000,
    failed=0,
    short=0,
    requests_per_s=50.0,
    input_tokens=16.0,
    output_tokens=48.0,
    concurrency=8.0,
    batch=7.9,
    cached_share=0.0,
)


def codes(facts=None, load=CLOSED, **changes):
    return [finding.code for finding in examine_tokens(GOOD.model_copy(update=changes), load, facts or {})]


def test_a_good_load_has_no_finding():
    """Nor has one whose batch and cache are unknown."""
    assert codes() == []
    assert codes(batch=None, cached_share=None) == []
    assert codes(batch=6.7, batch_u=0.1) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"failed": 5}, "requests_failed"),
        ({"failed": 11}, "too_many_requests_failed"),
        ({"short": 1}, "answers_short"),
        ({"cached_share": 0.02}, "prompt_cache_used"),
        ({"batch": 6.7}, "batch_not_reached"),
        ({"estimated": True}, "tokens_estimated"),
        ({"server_ratio": 1.02}, "tokens_disagree"),
        ({"server_ratio": 0.98}, "tokens_disagree"),
        ({"requests": 0}, "window_has_no_request"),
    ],
)
def test_each_departure_has_its_finding(changes, code):
    """With those that it implies."""
    assert code in codes(**changes)


def test_a_static_batch_has_a_remedy_of_its_own():
    """No server is there to get more slots."""
    assert codes({"batching": "static"}, batch=6.1) == ["static_batches"]


def test_too_many_failures_invalidate_the_energy():
    """The sentence names the most frequent reason."""
    (finding,) = examine_tokens(GOOD.model_copy(update={"failed": 30}), CLOSED, {"request_errors": {"timeout": 2, "500 Internal": 28}})
    assert finding.invalid
    assert "30 of 1030 requests failed (500 Internal)" in finding.sentence


def test_an_overloaded_server():
    """Of a rate; a closed load waits for its answers."""
    rate = TokenLoad(rate_per_s=5.0, input_tokens=16, output_tokens=48)
    assert codes(load=rate, offered=0.9) == ["rate_not_reached"]
    assert codes(load=rate, offered=0.96) == []


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"tokens_unknown": 3, "requests_ended": 100}, "tokens_unknown"),
        ({"usage_disagreements": 20, "requests_ended": 1000}, "tokens_disagree"),
        ({"server": "external"}, "server_external"),
        ({"server_host": "10.0.0.7"}, "server_elsewhere"),
        ({"lm_eval_failed": "it has no task x", "lm_eval_remedy": "list them"}, "not_evaluated"),
        ({"killed": True, "stop_s": 10.0}, "server_killed"),
        ({"shm_left": ["/dev/shm/psm_1"]}, "server_left_files"),
    ],
)
def test_what_the_child_reports(facts, code):
    """Facts of the server and of its counts."""
    assert codes(facts) == [code]
