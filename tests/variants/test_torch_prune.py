"""Pruning of PyTorch modules."""

from __future__ import annotations

from tests.models import needs_torch, torch_variants

PARAMETERS = 8 * 9 + 8 + 16 + 512 * 256 + 256 + 256 * 4 + 4


@needs_torch
def test_each_layer_has_its_share_of_zeros():
    """Counted in the stored module; the zeros stay where the training ends."""
    pruned = torch_variants()["torch_prune"]
    assert pruned["notes"]["sparsity"] == {"conv": 0.75, "hidden": 0.75, "out": 0.75}
    assert pruned["facts"]["parameters"] == PARAMETERS
    zeros = 0.75 * (72 + 512 * 256 + 256 * 4)
    assert abs(PARAMETERS - pruned["facts"]["nonzero_parameters"] - zeros) < 16
    assert pruned["notes"]["steps"] == 36


@needs_torch
def test_channels_are_removed_and_the_outputs_stay():
    """Half of each hidden layer; the model is smaller and dense."""
    cut = torch_variants()["torch_channel_prune"]
    assert cut["notes"]["channels"] == {"conv": [8, 4], "hidden": [256, 128]}
    assert cut["facts"]["parameters"] == 4 * 9 + 4 + 8 + 256 * 128 + 128 + 128 * 4 + 4
    assert cut["facts"]["macs"] < 0.3 * torch_variants()["torch_prune"]["facts"]["macs"]
    assert [len(row) for row in torch_variants()["torch_channel_prune {}"]["answer"]] == [4] * 4


@needs_torch
def test_a_model_that_cannot_be_pruned_is_refused():
    """With the reason and another way."""
    report = torch_variants()
    assert "torch-pruning cannot follow them" in report["attention"] and "`prune`" in report["attention"]
    assert "channels cannot be removed from this model" in report["reshaping"]
    assert "no linear or convolutional layer to prune" in report["nothing"]["torch_prune"]
    assert "no hidden layer that would lose a channel" in report["nothing"]["torch_channel_prune"]
