"""The log of a load: tokens as completions, and the table of requests."""

import numpy as np
import pytest

from harness.schema.served import COMPLETED, CUT, FAILED, REQUEST_COLUMNS, SHORT
from harness.serving.log import End, TokenLog


def column(log: TokenLog, name: str) -> list[int]:
    return list(log.requests()[REQUEST_COLUMNS.index(name)])


def two_requests() -> TokenLog:
    """Two requests whose tokens arrive in turn."""
    log = TokenLog()
    for _ in range(2):
        log.sent(0, 10, 3)
    for t_ns, request in ((20, 0), (21, 1), (30, 0), (31, 1), (40, 0), (41, 1)):
        log.tokens(request, t_ns, 1)
    return log


def test_tokens_are_completions_since_the_text_before():
    """The first tokens of a request begin when it was sent, the others when the text before arrived."""
    log = two_requests()
    for request, t_ns in ((0, 40), (1, 41)):
        log.ended(request, t_ns, End(COMPLETED, output_tokens=3, prompt_tokens=7))
    start_ns, end_ns, count = log.completions()
    assert list(start_ns) == [10, 10, 20, 21, 30, 31]
    assert list(end_ns) == [20, 21, 30, 31, 40, 41]
    assert list(count) == [1] * 6
    assert column(log, "first_ns") == [20, 21]
    assert column(log, "prompt_tokens") == [7, 7]
    assert column(log, "cached_tokens") == [-1, -1]
    assert not log.estimated
    assert not log.disagreeing


def test_tokens_of_a_failed_request_leave():
    """Tokens of a request that failed are not counted, those of one that was cut off after the window are."""
    log = two_requests()
    log.ended(0, 45, End(FAILED), error="500")
    log.ended(1, 45, End(CUT))
    assert list(log.completions()[1]) == [21, 31, 41]
    assert column(log, "status") == [FAILED, CUT]
    assert log.errors == {"500": 1}


def test_chunks_are_scaled_to_the_usage():
    """A total that is known at the end only is spread over the chunks of text, and its sum is exact."""
    log = TokenLog()
    log.sent(0, 0, 10)
    for t_ns in (1, 2, 3):
        log.tokens(0, t_ns, 1)
    log.ended(0, 3, End(COMPLETED, output_tokens=10), estimated=True)
    assert log.estimated
    assert list(log.completions()[2]) == [3, 4, 3]


def test_a_usage_that_differs_is_counted():
    """Where the stream counts tokens, a different total is a disagreement and leaves the tokens as they were counted."""
    log = two_requests()
    log.ended(0, 40, End(COMPLETED, output_tokens=4))
    assert log.disagreeing == 1
    assert log.completions()[2].sum() == 6


def test_an_answer_with_fewer_tokens_is_short():
    """A complete answer with fewer tokens than asked has the status `SHORT`."""
    log = two_requests()
    log.ended(0, 40, End(COMPLETED, output_tokens=2), estimated=True)
    assert column(log, "status")[0] == SHORT
    assert log.mean_s() == pytest.approx(30e-9)
    assert not log.have_ended(2)
    assert log.have_ended(1)


def test_tokens_since_a_time():
    """Counted from the end, so that a long log costs nothing."""
    log = two_requests()
    assert log.count_since(31) == 3
    assert log.count_since(50) == 0
    assert log.last_ns == 41
    assert TokenLog().last_ns == -1


def test_nothing_was_logged():
    """Without requests the arrays are empty and have their shapes."""
    assert TokenLog().completions().shape == (3, 0)
    assert TokenLog().requests().shape == (len(REQUEST_COLUMNS), 0)
    assert TokenLog().requests().dtype == np.int64


def test_text_without_a_count_is_the_first_token_only():
    """Tokens without text do not begin the answer, and text whose tokens were counted before adds none."""
    log = TokenLog()
    log.sent(0, 0, 2)
    log.tokens(0, 5, 2, text=False)
    log.tokens(0, 7, 0)
    log.ended(0, 8, End(COMPLETED, output_tokens=2))
    assert column(log, "first_ns") == [7]
    assert list(log.completions()[1]) == [5] and log.completions()[2].sum() == 2
    assert not log.disagreeing


def test_a_request_without_a_total_is_scaled_like_the_others():
    """One that was cut off, or goes on, where the stream itself counts nothing; unknown as long as no total is known."""
    log = TokenLog()
    for number in range(3):
        log.sent(0, 0, 10)
        log.tokens(number, 1 + number, 1, relative=True)
    log.ended(1, 9, End(CUT))
    assert log.completions().shape == (3, 0)
    log.ended(0, 9, End(COMPLETED, output_tokens=10))
    assert log.estimated
    assert list(log.completions()[2]) == [10, 10, 10]
    assert column(log, "output_tokens") == [10, -1, -1]


def test_counts_that_do_not_follow_the_text_are_spread():
    """The total is kept, and every arrival has an equal share of it."""
    log = TokenLog()
    log.sent(0, 0, 8)
    for t_ns, count in ((1, 1), (2, 0), (3, 0), (4, 7)):
        log.tokens(0, t_ns, count)
    log.spread(0)
    log.ended(0, 4, End(COMPLETED, output_tokens=8), disagrees=True)
    assert list(log.completions()[2]) == [2, 2, 2, 2]
    assert log.estimated and log.disagreeing == 1


def test_errors_are_limited():
    """Errors that differ in a number each do not fill the record."""
    log = TokenLog()
    for number in range(30):
        log.sent(0, 0, 1)
        log.ended(number, 1, End(FAILED), error=f"request {number} is too long")
    assert len(log.errors) == 21 and log.errors["other errors"] == 10
