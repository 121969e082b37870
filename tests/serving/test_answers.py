"""Greedy answers as arrays."""

import pytest

from harness.serving.answers import NO_TOKEN, as_array, mean_logprob
from harness.serving.base import Reply


def test_equal_tokens_have_equal_numbers():
    """Tokens are compared by their text; an answer that is too short is filled up."""
    array = as_array([Reply(("a", " b", "a")), Reply((" b",)), Reply(("a", "b", "c", "d"))], 3)
    assert array.shape == (3, 3)
    assert array[0, 0] == array[0, 2] == array[2, 0]
    assert array[0, 1] == array[1, 0] != array[2, 1]
    assert list(array[1, 1:]) == [NO_TOKEN, NO_TOKEN]


def test_the_mean_log_likelihood_is_that_of_all_tokens():
    """Not the mean of the answers' means; unknown if no answer has one."""
    assert mean_logprob([Reply(("a",), (-1.0,)), Reply(("a", "b", "c"), (-2.0, -2.0, -3.0))]) == pytest.approx(-2.0)
    assert mean_logprob([Reply(("a",))]) is None
