"""The models of keras.applications, built in a child that imports TensorFlow."""

from __future__ import annotations

import pytest

from harness.workloads.applications import MEMBERS, Options
from tests.models import workload_facts

pytestmark = pytest.mark.slow


def test_every_model_of_keras_applications_has_a_name():
    """All that this version of Keras has."""
    assert sorted(MEMBERS) == workload_facts()["members"]


def test_an_application_brings_images_without_labels():
    """Prepared as its module says, here to -1..1; its weights are the same for one seed."""
    found = workload_facts()["application"]
    assert found["splits"]["test"] == {"inputs": [{"key": "inputs", "name": None}], "labels": False, "samples": 64}
    assert found["splits"]["train"]["labels"] is False
    assert -1 <= found["range"][0] < -0.9 and 0.9 < found["range"][1] <= 1
    assert found["same"]
    assert found["facts"]["parameters"] == 3_538_984


def test_the_users_images_take_the_models_size_and_preparation():
    """Where the suite says nothing of either."""
    found = workload_facts()["application"]["images"]
    assert found["shape"] == [1, 32, 32, 3]
    assert found["corner"] == pytest.approx([1, -1, 127 / 127.5 - 1])
    assert found["splits"] == {"test": {"inputs": [{"key": "inputs", "name": None}], "labels": True, "samples": 1}}


def test_imagenet_weights_are_of_one_size():
    """Told with the suite's line, not after a download."""
    assert Options(image_size=64).weights == "random"
    with pytest.raises(ValueError, match="leave image_size out"):
        Options(weights="imagenet", image_size=64)


def test_a_model_that_is_open_in_its_size_has_that_which_it_was_made_for():
    """Else nobody would know how large its images are."""
    assert workload_facts()["constants"]["shapes"] == {"MobileNetV3Small": [None, 224, 224, 3]}
