"""Counts of weights: parameters, nonzero ones, and the share of zeros by tensor."""

from __future__ import annotations

import numpy as np
import pytest

from harness.formats.counting import LISTED, Weight, count
from harness.schema import ArtifactFacts
from tests.models import model_facts


def test_zeros_are_shares_by_name():
    """Vectors are counted but not listed; a repeated name gets a number, and so does an unnamed tensor."""
    half = np.array([[0, 1], [2, 0]])
    found = count([Weight("a", half, True), Weight("b", np.zeros(3), False), Weight("a", half + 1, True), Weight("", half, True)], 7)
    assert found == ArtifactFacts(parameters=15, nonzero_parameters=8, macs=7, zeros={"a": 0.5, "a #1": 0.0, "tensor 3": 0.5})


def test_only_the_largest_are_listed():
    """The 500 largest, in the model's order."""
    weights = [Weight(f"w{i}", np.ones((1 + i % 7, 10 + i)), True) for i in range(LISTED + 20)]
    listed = [weight.name for weight in sorted(weights, key=lambda w: -w.values.size)[:LISTED]]
    zeros = count(weights, None).zeros
    assert set(zeros) == set(listed)
    assert list(zeros) == [weight.name for weight in weights if weight.name in zeros]


def test_one_unreadable_weight_leaves_all_counts_unknown():
    """Only multiply-accumulates are reported: the other counts would be too small."""
    assert count([Weight("a", np.ones((2, 2)), True), Weight("b", None, True)], 7) == ArtifactFacts(macs=7)


@pytest.mark.parametrize("name", ["small.tflite", "small.onnx", "pruned.keras", "int8.tflite", "int8.onnx", "float16.onnx"])
def test_every_format_lists_the_zeros_of_both_kernels(name):
    """The zeros of both kernels add up to those of the model, except for biases."""
    facts = model_facts()["built"][name]
    sizes = sorted([16 * 9, 2048], reverse=True)
    shares = list(facts["zeros"].values())
    assert len(shares) == 2
    zeros = facts["parameters"] - facts["nonzero_parameters"]
    possible = {round(a * sizes[0] + b * sizes[1]) for a, b in (shares, shares[::-1])}
    assert any(zeros - 18 <= count <= zeros for count in possible)
