"""Quality metrics: right where the answer is known, refused where outputs and labels cannot be compared."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import EngineError
from harness.workloads.metrics import METRICS, accuracy, metric_named, placements, squared_error, ties

ROWS = np.array([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [np.nan, 0.2, 0.1]])


@pytest.mark.parametrize(
    ("outputs", "labels", "right"),
    [
        (ROWS, [1, 2, 0], [1, 0, 0]),
        (ROWS, [[1], [0], [1]], [1, 1, 0]),
        (ROWS, [[0, 1, 0], [1, 0, 0], [1, 0, 0]], [1, 1, 0]),
        (ROWS.reshape(3, 1, 1, 3), [1, 0, 0], [1, 1, 0]),
        ([0.7, 0.2, np.nan], [1, 1, 0], [1, 0, 0]),
        (np.array([5, 3]), [5, 4], [1, 0]),
        (np.array(["cat", "dog"], object), ["cat", "cat"], [1, 0]),
        ([0.7, 0.2, 0.6], [1, -1, -1], [1, 1, 0]),
        ([[0.7], [0.2], [0.6]], [[True], [False], [False]], [1, 1, 0]),
        ([0.7, 0.2], [[0, 1], [0, 1]], [1, 0]),
        ([[0.7, 0.2], [0.1, 0.2]], [-1, -1], [1, 0]),
        (np.array([1, 0]), [1, -1], [1, 1]),
        (np.array([1, -1]), [1, -1], [1, 1]),
        (np.array([True, False]), [1, 1], [1, 0]),
        (ROWS[:2], [1.0, 2.0], [1, 0]),
        (ROWS[:2], [[-1, 1, -1], [1, -1, -1]], [1, 1]),
        (ROWS[:2], [[0.1, 0.8, 0.1], [0.9, 0.05, 0.05]], [1, 1]),
    ],
)
def test_accuracy(outputs, labels, right):
    """Classes by scores, by number, by name, by one score; NaN is wrong."""
    assert accuracy(np.asarray(outputs), np.asarray(labels)).tolist() == right


@pytest.mark.parametrize(
    ("outputs", "labels"),
    [
        (np.zeros((2, 3)), [0, 3]),
        (np.zeros((2, 3)), [-1, 0]),
        (np.zeros(2), [0, 5]),
        (np.zeros((2, 4, 4, 3)), [0, 1]),
        (np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4))),
        (np.zeros((2, 3)), ["a", "b"]),
        (np.array([["b", "a"], ["b", "a"]], object), [0, 1]),
        (np.array([["b", "a"], ["b", "a"]], object), [[1, 0], [0, 1]]),
        (np.zeros(2), [1, 2]),
        (np.zeros((2, 2)), [1, 2]),
        (np.zeros(2), [0.3, 0.7]),
        (np.zeros((2, 3)), [0, np.nan]),
        (np.zeros((2, 3)), [[1, 1, 0], [1, 0, 0]]),
        (np.zeros((2, 3)), [[0, 0, 0], [1, 0, 0]]),
        (np.zeros((2, 5)), [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]]),
        (np.zeros((2, 5, 7)), np.zeros((2, 5), int)),
        (np.zeros((2, 5, 7)), [0, 1]),
    ],
)
def test_accuracy_refuses_what_cannot_be_compared(outputs, labels):
    """Refused, without a number."""
    with pytest.raises(EngineError):
        accuracy(outputs, np.asarray(labels))


def test_a_threshold_follows_the_head():
    """0.5 for a probability, 0 for a logit, none for a class number stored as a float."""
    scores, labels = np.array([-2.0, 0.3, 1.0]), np.array([0, 1, 1])
    assert accuracy(scores, labels, threshold=0.0).tolist() == [1, 1, 1]
    assert accuracy(scores, labels).tolist() == [1, 0, 1]
    assert accuracy(np.array([0.0, 7.0]), np.array([0, 7]), threshold=None).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("outputs", "threshold", "tied"),
    [
        ([[0.5, 0.5, 0.0], [0.1, 0.9, 0.0]], None, 1),
        (np.array([[3, 3], [3, 1]], np.int8), None, 1),
        ([0.5, 0.2], 0.5, 1),
        ([0.0, 0.2, 0.0], 0.0, 2),
        (np.array([1, 1]), None, 0),
        ([[np.nan, np.nan]], None, 0),
    ],
)
def test_exact_ties_are_counted(outputs, threshold, tied):
    """Between classes, and of a single score at its threshold; class numbers have no ties."""
    assert ties(np.asarray(outputs), threshold) == tied


def test_squared_error():
    """Mean over a sample's values; other sizes and infinities are refused."""
    assert squared_error(np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 0.0]])).tolist() == [2.0, 0.0]
    for outputs in (np.zeros((2, 3)), np.full((2, 2), np.inf)):
        with pytest.raises(EngineError):
            squared_error(outputs, np.zeros((2, 2)))


@pytest.mark.parametrize("ties", [False, True])
def test_placements_have_the_area_under_the_curve_as_their_mean(ties):
    """As scikit-learn computes it, with and without ties."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 200)
    scores = labels + rng.normal(0, 1, 200)
    scores = np.round(scores) if ties else scores
    assert placements(scores, labels).mean() == pytest.approx(roc_auc_score(labels, scores))
    assert placements(scores, labels[:, None]).mean() == pytest.approx(roc_auc_score(labels, scores))


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0, 0], [0, 1, 2], [0, 1]])
def test_no_area_without_both_kinds(labels):
    """Refused, without a number."""
    with pytest.raises(EngineError, match="both kinds"):
        placements(np.arange(3.0), np.array(labels))


def test_a_reconstruction_is_compared_with_the_inputs():
    """The labels state only which samples are anomalous."""
    metric = METRICS["reconstruction_auc"]
    assert (metric.against, metric.direction) == ("inputs", "higher")
    assert metric.across is placements


def test_a_metric_of_the_users_own(tmp_path):
    """A function of outputs and labels next to the suite; a wrong result or an error is reported in one sentence."""
    (tmp_path / "own_metrics.py").write_text(
        "import numpy as np\n"
        "def distance(outputs, labels): return np.abs(outputs[:, 0] - labels)\n"
        "def total(outputs, labels): return 3.0\n"
        "def broken(outputs, labels): raise KeyError('x')\n"
    )
    metric = metric_named("own_metrics:distance", "lower", str(tmp_path))
    assert metric.direction == "lower"
    assert metric.per_sample(np.array([[1.0], [2.0]]), np.array([0.0, 2.0])).tolist() == [1, 0]
    for name, words in {"total": "finite number for each of 2", "broken": "KeyError", "none": "no attribute"}.items():
        with pytest.raises(EngineError, match=words):
            metric_named(f"own_metrics:{name}", "higher", str(tmp_path)).per_sample(np.zeros((2, 1)), np.zeros(2))
