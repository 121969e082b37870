"""Decides when the load on a model that generates text is steady."""

from __future__ import annotations

from harness.errors import EngineError
from harness.serving.log import TokenLog

AGREE = 0.1
"""Relative difference of the token rates of two halves up to which they agree."""
HALF_S = 1.0
"""Shortest half, s."""
HALF_REQUESTS = 2.0
"""Length of a half in mean durations of a request: lengths differ, and a shorter half shows that alone."""
STEP_NS = 250_000_000
"""Interval at which the rates are compared."""


class Warmup:
    """The warm-up of one load.

    Args:
        log: Log of the load.
        streams: Requests of which each must have ended: the concurrency, or 1.
        begin_ns: Start of the load, ns on CLOCK_MONOTONIC.
        limit_s: Time limit in seconds.

    Attributes:
        steady: Whether the rates agree; False at the time limit.
        request_s: Mean duration of a request so far, s.
    """

    def __init__(self, log: TokenLog, streams: int, begin_ns: int, limit_s: float) -> None:
        self._log, self._streams, self._begin_ns, self._limit_s = log, streams, begin_ns, limit_s
        self._next_ns = begin_ns
        self.steady = False
        self.request_s = 0.0

    def is_over(self, now_ns: int) -> bool:
        """Whether the window may begin.

        Raises:
            EngineError: At the time limit some stream has not finished a request.
        """
        if now_ns < self._next_ns:
            return False
        self._next_ns = now_ns + STEP_NS
        late = now_ns - self._begin_ns > self._limit_s * 1e9
        mean_s = self._log.mean_s()
        if mean_s is None or not self._log.have_ended(self._streams):
            if late:
                raise EngineError(
                    f"after {self._limit_s:g} s of warm-up not every one of {self._streams} streams has finished a request",
                    "raise `limits: {timeout_s: ...}` in the suite, or ask for shorter answers or fewer requests at once",
                )
            return False
        self.request_s = mean_s
        half_ns = round(max(HALF_S, HALF_REQUESTS * mean_s) * 1e9)
        if now_ns - self._begin_ns >= 2 * half_ns:
            late_half = self._log.count_since(now_ns - half_ns)
            early_half = self._log.count_since(now_ns - 2 * half_ns) - late_half
            self.steady = early_half > 0 and abs(late_half / early_half - 1) <= AGREE
        return self.steady or late
