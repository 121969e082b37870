"""Figures other than energy: throughput, latency, quality, conditions."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy import performance
from harness.schema import Domain, Phase, Quality, Sample, Trace
from harness.schema.measured import Evaluated
from harness.schema.worker import Scores

WINDOW = Phase(name="steady", start_s=1.0, end_s=3.0)


def completions(starts_s, seconds: float, count: int = 1) -> np.ndarray:
    """Queries of equal length."""
    starts_ns = (np.asarray(starts_s) * 1e9).astype(np.int64)
    return np.stack([starts_ns, starts_ns + int(seconds * 1e9), np.full(len(starts_ns), count)])


def test_throughput_leaves_out_the_pauses_of_the_load():
    """And is None where nothing was counted."""
    assert performance.throughput_per_s(100.0, WINDOW) == 50.0
    assert performance.throughput_per_s(100.0, WINDOW, waited_s=1.0) == 100.0
    assert performance.throughput_per_s(None, WINDOW) is performance.throughput_per_s(1.0, None) is None


def test_latency_is_of_the_queries_inside_the_window():
    """Of chunks that ended together it is the mean per query; a percentile of too few is None."""
    found = performance.latency(completions([0.5, 0.9, 1.1, 1.5, 2.99], 0.2, count=4), WINDOW)
    assert (found.queries, found.mean_s, found.p50_s, found.p90_s) == (8, pytest.approx(0.05), pytest.approx(0.05), None)
    assert performance.latency(completions([0.5], 0.2), WINDOW) is performance.latency(completions([], 0.2), WINDOW) is None
    assert performance.latency(completions([1.5], 0.2), None) is None


def test_conditions_are_means_over_the_window():
    """Of conditions, not of energies; None if not read in it."""
    t_s = np.arange(0.0, 4.0, 0.5)
    load = Domain(name="load", sensor="s", quantity="load", unit="1")
    power = Domain(name="package", sensor="s", quantity="power", unit="W", kind="sampled")
    samples = {"load": Sample(t_s, t_s, np.where(t_s < 2, 0.0, 1.0)), "package": Sample(t_s, t_s, t_s)}
    assert performance.conditions(Trace({"load": load, "package": power}, samples), WINDOW) == {"load": pytest.approx(0.6)}
    late = Sample(t_s + 10, t_s + 10, t_s)
    assert performance.conditions(Trace({"load": load}, {"load": late}), WINDOW) == {"load": None}
    assert performance.conditions(Trace({}, {}), None) == {}


def test_quality_is_the_mean_with_wilsons_interval():
    """Without one where samples are not right or wrong, and None where there are no scores."""
    scored = Scores(metric="accuracy", direction="higher")
    found = performance.quality(scored, np.array([1.0, 1.0, 0.0, 1.0]))
    assert found.value == 0.75 and found.low < 0.75 < found.high
    assert performance.quality(scored, np.array([0.5, 1.0])).low is None
    assert performance.quality(None, np.ones(3)) is performance.quality(scored, np.zeros(0)) is None


def test_shares_of_a_sample_have_no_interval_of_a_proportion():
    """Not even where every one of them is 1."""
    right = np.ones(30)
    scored = Scores(metric="pixel_accuracy", direction="higher")
    assert performance.quality(scored, right).low is None
    assert performance.quality(scored.model_copy(update={"metric": "accuracy"}), right).low is not None


def test_ties_and_a_better_threshold_are_findings():
    """Neither invalidates the energy, and a quality of an older record has none."""
    quality = Quality(
        metric="accuracy", direction="higher", value=0.5, samples=100, ties=7, rival=0.9, threshold=0.0, threshold_from="logit"
    )
    tied, doubtful = performance.examine_quality(quality)
    assert (tied.code, doubtful.code) == ("ties_in_top_class", "threshold_doubtful")
    assert "7 of 100" in tied.sentence and "0.9" in doubtful.sentence and "threshold: 0.5" in doubtful.remedy
    assert not (tied.invalid or doubtful.invalid)
    assert not performance.examine_quality(Quality(metric="accuracy", direction="higher", value=0.5, samples=100))
    assert not performance.examine_quality(quality.model_copy(update={"ties": 0, "rival": 0.51}))


def test_a_model_that_answers_the_same_query_differently_is_a_finding():
    """Without the fact of the worker there is none."""
    assert performance.examine_repeatability({"threads": 1}) == []
    (found,) = performance.examine_repeatability({"answers_differ": 0.5})
    assert found.code == "answers_differ" and "by 0.5 of the largest value" in found.sentence and not found.invalid


def evaluated(per_sample, stderr, value=0.75):
    scores = Scores(metric="lm_eval/t/m", direction="higher", evaluated=Evaluated(value=value, stderr=stderr, samples=8))
    return performance.quality(scores, np.asarray(per_sample))


def test_an_evaluation_by_another_program_has_the_interval_of_its_standard_error():
    """Its value is recomputed from the samples where these are kept; a share stays between 0 and 1."""
    bleu = evaluated([], 1.25, value=31.5)
    assert (bleu.value, bleu.samples, bleu.low, bleu.high) == (
        31.5,
        8,
        pytest.approx(31.5 - 1.96 * 1.25),
        pytest.approx(31.5 + 1.96 * 1.25),
    )
    share = evaluated([0, 1, 1, 1, 0, 1, 1, 1], 0.164)
    assert (share.value, share.low, share.high) == (0.75, pytest.approx(0.75 - 1.96 * 0.164), 1.0)
    assert evaluated([0.0] * 8, 0.1).value == 0.0


def test_a_standard_error_of_zero_is_no_evidence():
    """None of eight is right: the interval is Wilson's; without samples there is none."""
    none = evaluated([0.0] * 8, 0.0, value=0.0)
    assert (none.low, none.high) == (pytest.approx(0.0, abs=1e-12), pytest.approx(0.324, abs=1e-3))
    assert evaluated([], 0.0).low is None and evaluated([], None).high is None
