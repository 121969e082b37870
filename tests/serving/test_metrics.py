"""The server's own counts."""

import pytest

from harness.serving import metrics

PAGE = """\
# HELP llamacpp:tokens_predicted_total Number of generation tokens processed
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total 96
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 0
llamacpp:tokens_predicted_total_of_others 5
"""


def test_counts_by_their_names():
    """A counter and a gauge; another name that begins alike is not added."""
    totals = metrics.totals(PAGE, 5, "llamacpp:tokens_predicted_total", "llamacpp:requests_processing")
    assert (totals.t_ns, totals.output_tokens, totals.running) == (5, 96, 0.0)


def test_samples_with_labels_are_added_up():
    """Such as those of several engines."""
    page = 'vllm:generation_tokens_total{engine="0",model_name="m"} 3.0\nvllm:generation_tokens_total{engine="1"} 4e0 1700000000\n'
    assert metrics.totals(page, 0, "vllm:generation_tokens_total", "vllm:num_requests_running").output_tokens == 7
    assert metrics.totals(page, 0, "vllm:generation_tokens_total", None).running is None


@pytest.mark.parametrize("page", ["", "<html>", "a_total x", "a_total NaN", "a_total{ 3"])
def test_pages_without_the_counts(page):
    """What cannot be read is not reported."""
    assert metrics.totals(page, 0, "a_total", "b").output_tokens is None
    assert metrics.totals(page, 0, None, None).output_tokens is None
