"""The end of the warm-up of a load that generates text."""

import pytest

from harness.errors import EngineError
from harness.schema.served import COMPLETED
from harness.serving.log import End, TokenLog
from harness.worker.warmup import STEP_NS, Warmup

SECOND = 1_000_000_000


def ended_at(rates, streams=1, until_s=100.0, limit_s=50.0):
    """Second in which the warm-up ends for a load with this token rate in each second, one request a second and stream."""
    log = TokenLog()
    warmup = Warmup(log, streams, 0, limit_s)
    for second in range(int(until_s)):
        rate = rates(second)
        numbers = [log.sent(second * SECOND, second * SECOND, rate) for _ in range(streams)]
        for step in range(rate):
            t_ns = second * SECOND + step * SECOND // rate
            if warmup.is_over(t_ns):
                return t_ns / SECOND, warmup
            log.tokens(numbers[0], t_ns, 1)
        for number in numbers:
            log.ended(number, (second + 1) * SECOND - 1, End(COMPLETED))
    return None, warmup


def test_a_constant_rate_is_steady_after_two_halves():
    """Each half has two mean durations of a request."""
    t_s, warmup = ended_at(lambda second: 20)
    assert t_s == pytest.approx(4.0, abs=2 * STEP_NS / SECOND)
    assert warmup.steady
    assert warmup.request_s == pytest.approx(1.0)


def test_a_falling_rate_is_not_steady():
    """While the rate falls, as that of a card that is heating up, the warm-up goes on."""
    t_s, warmup = ended_at(lambda second: max(20, 200 - 20 * second))
    assert t_s > 9
    assert warmup.steady


def test_it_ends_at_the_limit_unsteady():
    """A load that never settles is measured all the same, and reported as unsteady."""
    t_s, warmup = ended_at(lambda second: 10 if second % 8 < 4 else 100, limit_s=3.0)
    assert t_s == pytest.approx(3.0, abs=0.5)
    assert not warmup.steady


def test_a_stream_without_a_request_at_the_limit_is_an_error():
    """A window over streams that are still in their first request would show the start of the load."""
    log = TokenLog()
    warmup = Warmup(log, 2, 0, 5.0)
    log.ended(log.sent(0, 0, 1), SECOND, End(COMPLETED))
    log.sent(0, 0, 1)
    assert not warmup.is_over(2 * SECOND)
    with pytest.raises(EngineError, match="not every one of 2 streams"):
        warmup.is_over(6 * SECOND)
