"""Number of inferences completed, and time that the load paused, in any interval, from the completion times of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.schema import Floats

WAIT_S = 0.0005
"""Shortest gap between two queries of a shifted load that is a pause."""


@dataclass(frozen=True)
class CompletionCurve:
    """Inferences completed over time.

    Attributes:
        t_s: Times in order, s on CLOCK_MONOTONIC, shape (n,).
        inferences: Inferences completed by then, shape (n,).
        waits: Start and end of each pause that shifted the phase of the load, s, shape (m, 2).
        edge_u: Standard uncertainty of the number of inferences at an edge, of tokens that are computed but did not arrive yet.
    """

    t_s: Floats
    inferences: Floats
    waits: Floats
    edge_u: float = 0.0

    @classmethod
    def of(
        cls, start_ns: Sequence[int], end_ns: Sequence[int], count: Sequence[int], batch_size: int, *, shifted: bool = False
    ) -> CompletionCurve:
        """The curve of completed queries (or chunks of queries).

        Args:
            start_ns: Submission of each, ns on CLOCK_MONOTONIC; several may be in flight.
            end_ns: Completion of each, in order.
            count: Queries that ended together.
            batch_size: Inferences per query.
            shifted: Whether gaps between queries are pauses that shifted the phase of the load.
        """
        begun_s, ended_s = (np.asarray(times, dtype=np.float64) * 1e-9 for times in (start_ns, end_ns))
        pauses = np.stack([ended_s[:-1], begun_s[1:]], axis=1) if shifted and len(ended_s) else np.zeros((0, 2))
        done = np.cumsum(np.asarray(count, dtype=np.float64)) * batch_size
        before = np.concatenate([np.zeros(len(begun_s[:1])), done[:-1]])
        # Nothing is completed in a pause; without pauses, or with queries in flight, a query begins where the last one ended.
        alone = np.concatenate(
            [np.ones(len(begun_s[:1]), dtype=np.bool_), begun_s[1:] >= ended_s[:-1] if shifted else begun_s[1:] < -np.inf]
        )
        t_s, inferences = np.concatenate([begun_s[alone], ended_s]), np.concatenate([before[alone], done])
        order = np.lexsort((inferences, t_s))
        t_s, inferences = t_s[order], inferences[order]
        last = np.append(t_s[1:] > t_s[:-1], np.ones(len(t_s[:1]), dtype=np.bool_))  # of several completions at one time
        return cls(t_s[last], inferences[last], pauses[pauses[:, 1] - pauses[:, 0] > WAIT_S])

    @classmethod
    def of_tokens(cls, start_ns: Sequence[int], end_ns: Sequence[int], count: Sequence[int]) -> CompletionCurve:
        """The curve of generated tokens.

        At any time up to one step of each request in progress is computed and did not arrive: a rectangle of that half-width around the
        interpolated number, so the standard uncertainty is that number over the square root of 3 (GUM, 4.3.7).

        Args:
            start_ns: Arrival of the text of the same request before, or its sending, ns on CLOCK_MONOTONIC.
            end_ns: Arrival of each text, in order.
            count: Tokens that arrived together.
        """
        curve = cls.of(start_ns, end_ns, count, 1)
        if len(curve.t_s) < 2:
            return curve
        in_progress = np.sum(np.subtract(end_ns, start_ns, dtype=np.float64)) * 1e-9 / (curve.t_s[-1] - curve.t_s[0])
        return replace(curve, edge_u=float(in_progress * np.mean(count) / np.sqrt(3)))

    def between_u(self, start_s: float, end_s: float) -> float:
        """Standard uncertainty of the number between two edges, relative to it; 0 without tokens in progress, or if it is unknown."""
        number = self.between(start_s, end_s)
        return float(np.sqrt(2)) * self.edge_u / number if number else 0.0

    def between(self, start_s: float, end_s: float) -> float | None:
        """Inferences completed in an interval, with interpolated fractions; None if the queries do not cover it."""
        if len(self.t_s) < 2 or start_s < self.t_s[0] or end_s > self.t_s[-1]:
            return None
        return float(np.interp(end_s, self.t_s, self.inferences) - np.interp(start_s, self.t_s, self.inferences))

    def waited_s(self, start_s: float, end_s: float) -> float:
        """Time in an interval that the load paused, s."""
        overlaps = np.minimum(self.waits[:, 1], end_s) - np.maximum(self.waits[:, 0], start_s)
        return float(np.sum(np.maximum(overlaps, 0.0)))

    def distance_s(self, t_s: Floats) -> Floats:
        """Time from each of some times to the nearest completion, s, shape (k,)."""
        after = np.clip(np.searchsorted(self.t_s, t_s), 1, len(self.t_s) - 1)
        distance: Floats = np.minimum(np.abs(self.t_s[after] - t_s), np.abs(t_s - self.t_s[after - 1]))
        return distance
