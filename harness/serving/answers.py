"""Greedy answers as arrays, so that those of two cases can be compared."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.serving.base import Reply

NO_TOKEN = -1
"""Value after the last token of an answer."""


def as_array(replies: Sequence[Reply], length: int) -> NDArray[np.int64]:
    """Answers as numbers, shape (answers, length): a hash of the text of each token, `NO_TOKEN` after the last one.

    Args:
        replies: The answers.
        length: Number of tokens that were asked; tokens beyond it are left out.
    """
    array = np.full((len(replies), length), NO_TOKEN, dtype=np.int64)
    for row, reply in zip(array, replies, strict=True):
        tokens = [zlib.crc32(token.encode()) for token in reply.tokens[:length]]
        row[: len(tokens)] = tokens
    return array


def mean_logprob(replies: Sequence[Reply]) -> float | None:
    """Mean log-likelihood of the generated tokens, in nats; None if the server does not report it."""
    logprobs = [value for reply in replies for value in reply.logprobs]
    return float(np.mean(logprobs)) if logprobs else None
