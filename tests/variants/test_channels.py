"""Channels cut from Keras graphs: the smaller model answers as the one with these channels at 0, or is refused with the layer's name."""

from __future__ import annotations

import pytest

from tests.variants.made import builds, cuts

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "name", ["sequential", "residual", "inverted", "concatenated", "transposed", "excited", "nested", "mobilenet", "resnet"]
)
def test_a_cut_model_answers_as_the_masked_one(name):
    """Before fine-tuning: through normalisation, padding, flattening, sums and concatenations."""
    found = cuts()["cut"][name]
    assert found["largest"] > 1e-3
    assert found["difference"] < 1e-5 * max(1, found["largest"])
    assert found["parameters"][1] < 0.6 * found["parameters"][0]
    assert all(after == before // 2 for before, after in found["sizes"].values())
    if name not in ("sequential",):  # a separable convolution after an open layer has no count
        assert found["macs"][1] < 0.6 * found["macs"][0]


def test_joined_layers_lose_the_channels_of_the_least_sum():
    """1 + 9, 2 + 1, 3 + 1, 4 + 1.5 by channel: the first and the last stay, in both layers."""
    assert cuts()["joined"] == [[1, 4], [9, 1.5]]


@pytest.mark.parametrize("name", ["recurrent", "reshaped", "attending", "normal", "grouped", "twice", "inner_twice", "softest"])
def test_a_graph_that_cannot_be_cut_is_refused_with_the_layers_name(name):
    """Layers that mix channels, are unknown, or run twice."""
    sentence, refused = cuts()["uncut"][name]
    assert refused and f"layer '{name}'" in sentence and "prune" in sentence


def test_a_model_without_hidden_layers_is_refused():
    """Outputs are not cut."""
    assert "no hidden layer" in cuts()["uncut"]["nothing"][0]


@pytest.mark.parametrize("name", ["first", "last"])
def test_odd_layers_before_the_first_and_after_the_last_are_not_in_the_way(name):
    """Their inputs and outputs stay; the layer between them is cut."""
    assert cuts()["tails"][name] == {"hidden": [6, 3]}


def test_the_recipe_cuts_trains_and_counts():
    """Channels, weights and multiply-accumulates are those of the cut network; input names stay; one seed gives one result."""
    found, again = builds()["built"]["channels.keras"], builds()["built"]["channels-again.keras"]
    assert found["notes"]["channels"] == {"conv2d": [16, 4]}
    assert found["shapes"] == [[3, 3, 1, 4], [4], [256, 2], [2]]
    assert found["inputs"] == ["image"]
    assert found["parameters"] == 4 * 9 + 4 + 256 * 2 + 2
    assert found["macs"] == 64 * 4 * 9 + 256 * 2
    assert found["notes"]["steps"] == 8 and found["notes"] == again["notes"]


def test_a_cut_model_is_quantized_like_any_other():
    """The counts are those of the cut network."""
    found = builds()["built"]["channels-int8.tflite"]
    assert (found["parameters"], found["macs"]) == (4 * 9 + 4 + 256 * 2 + 2, 64 * 4 * 9 + 256 * 2)


def test_fine_tuning_recovers_and_sees_no_test_data():
    """The digits at half of their channels after five epochs, with the test file deleted."""
    found = builds()["digits"]
    assert list(found["notes"]["channels"].values()) == [[16, 8], [32, 16], [32, 16]]
    assert found["notes"]["validation_accuracy"] > 0.93
    assert found["facts"]["parameters"] < 6000
