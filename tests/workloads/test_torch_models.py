"""Families of PyTorch models in a suite; the models themselves are tested with the torch engine."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from harness.workloads.torch_models import Options, Timm, Torchvision


@pytest.mark.parametrize("family", [Torchvision, Timm])
def test_a_family_takes_any_name_and_gives_images(family):
    """The build checks the name; samples have the size of the options."""
    assert family.spec.any_member and family.spec.framework == "torch" and family.spec.venv == "torch"
    (images,) = family("any", Options(image_size=32)).samples()
    assert images.shape == (2, 3, 32, 32) and images.dtype == np.float32


def test_unknown_weights_are_an_error():
    """Only random and pretrained ones exist."""
    with pytest.raises(ValidationError):
        Options(weights="imagenet")
