"""PyTorch as a framework."""

from __future__ import annotations

import pytest

from harness import plugins
from harness.errors import EngineError
from harness.frameworks.torch import Torch
from tests.models import needs_torch, torch_report, torch_variants


def test_without_pytorch_it_is_refused_with_the_command():
    """The catalogue needs no library."""
    assert plugins.load("frameworks", "torch") is Torch and Torch.spec.venv == "torch"
    with pytest.raises(EngineError, match="make torch"):
        Torch().owns(None)


@needs_torch
def test_a_module_is_owned_saved_and_trained():
    """Two classes that differ in brightness are learned; a module without known input shapes is refused."""
    report = torch_report()
    assert report["owns"] == [True, False]
    assert report["training"]["accuracy"] == 1.0 and report["training"]["notes"]["steps"] == 80
    assert "input_shapes" in report["without samples"] and "hinge" in report["loss"]


@needs_torch
def test_samples_are_given_to_the_inputs_of_their_names():
    """In the order of forward's parameters; an unknown name, or a gap before one, is refused."""
    unknown, gap, right = torch_variants()["names"]
    assert "names the inputs left, wrong, but forward takes left, right, scale" in unknown and "names the inputs left, scale" in gap
    assert right is None
    assert torch_variants()["pair"]["inputs"] == ["left", "right"]


@needs_torch
@pytest.mark.parametrize("family", ["torchvision", "timm"])
def test_models_of_the_families_are_built(family):
    """An unknown name is refused with where to look."""
    report = torch_report()
    assert report[family] > 1_000_000 and f"{family} has no model 'no_such_net'" in report[f"{family} unknown"]
