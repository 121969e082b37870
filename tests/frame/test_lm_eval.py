"""Quality columns of served models that lm_eval has evaluated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness import frame
from harness.schema import Quality, StoredOutputs
from harness.schema.measured import Evaluated
from harness.schema.suite import LmEval
from tests import factories, generating

RIGHT = np.repeat([1.0, 0.0], [150, 50])


def run(*qualities):
    """A run of dense and q8_0 whose first launches have these scores; None: lm_eval failed."""
    made = generating.llama()
    records, outputs = [], {}
    for record in made.records:
        scores = qualities[("dense" not in record.case_id)]
        quality = None
        if scores is not None:
            value, stderr = float(scores.mean()), float(scores.std(ddof=1) / np.sqrt(len(scores)))
            quality = Quality(
                metric="lm_eval/t/acc", direction="higher", value=value, samples=len(scores), low=value - 1.96 * stderr, high=value + 1.96 * stderr,
                evaluated=Evaluated(value=value, stderr=stderr, samples=len(scores)),
            )  # fmt: skip
        records.append(record.model_copy(update={"quality": quality if record.repetition == 0 else None}))
        outputs[record.case_id] = StoredOutputs(np.zeros(0) if scores is None else scores, made.outputs[record.case_id].outputs)
    model = factories.model("llama").model_copy(update={"lm_eval": LmEval(task="t"), "metric": None})
    header = made.header.model_copy(update={"suite": made.header.suite.model_copy(update={"models": (model,)})})
    return replace(made, header=header, records=tuple(records), outputs=outputs)


def test_the_verdict_is_paired_by_sample():
    """Of the first launch alone, since the others are not evaluated; agreement with dense stays a column of its own."""
    worse = RIGHT.copy()
    worse[:20] = 0.0
    dense, other = frame.cases([run(RIGHT, worse)]).to_dict("records")
    assert (dense["quality_metric"], dense["quality"], other["quality"]) == ("lm_eval/t/acc", 0.75, pytest.approx(0.65))
    assert dense["quality_low"] == pytest.approx(0.75 - 1.96 * np.sqrt(0.75 * 0.25 / 199))
    assert (other["quality_diff"], other["quality_samples"], other["quality_verdict"]) == (pytest.approx(-0.1), 200, "inferior")
    assert other["agreement"] == 0.75


def test_the_same_scores_are_not_inferior():
    """If there are enough of them, although the interval of each is wider than the margin."""
    many = np.tile(RIGHT, 10)
    _, other = frame.cases([run(many, many)]).to_dict("records")
    assert other["quality_verdict"] == "non_inferior"


def test_an_evaluation_that_failed_leaves_no_quality():
    """Agreement would be another metric under the same limit of `select`."""
    dense, other = frame.cases([run(RIGHT, None)]).to_dict("records")
    assert dense["quality"] == 0.75
    assert np.isnan(other["quality"]) and other["quality_metric"] is None
    assert other["agreement"] == 0.75
