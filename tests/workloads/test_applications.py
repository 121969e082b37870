"""The models of keras.applications, built in a child that imports TensorFlow."""

from __future__ import annotations

import pytest

from harness.workloads.applications import MEMBERS, Options
from tests.models import workload_facts

pytestmark = pytest.mark.slow


def test_every_model_of_keras_applications_has_a_name():
    """Every model in this version of Keras."""
    assert sorted(MEMBERS) == workload_facts()["members"]


def test_an_application_brings_images_without_labels():
    """Preprocessed by its module, here to -1..1; one seed gives one set of weights."""
    found = workload_facts()["application"]
    assert found["splits"]["test"] == {"inputs": [{"key": "inputs", "name": None}], "labels": False, "samples": 64}
    assert found["splits"]["train"]["labels"] is False
    assert -1 <= found["range"][0] < -0.9 and 0.9 < found["range"][1] <= 1
    assert found["same"]
    assert found["facts"]["parameters"] == 3_538_984


def test_the_users_images_take_the_models_size_and_preparation():
    """If the suite sets neither."""
    found = workload_facts()["application"]["images"]
    assert found["shape"] == [1, 32, 32, 3]
    assert found["corner"] == pytest.approx([1, -1, 127 / 127.5 - 1])
    assert found["splits"] == {"test": {"inputs": [{"key": "inputs", "name": None}], "labels": True, "samples": 1}}


def test_imagenet_weights_need_the_models_image_size():
    """Refused with the option to remove, before a download."""
    assert Options(image_size=64).weights == "random"
    with pytest.raises(ValueError, match="leave image_size out"):
        Options(weights="imagenet", image_size=64)


def test_a_model_with_dynamic_image_size_gets_its_usual_one():
    """MobileNetV3 has dynamic image sizes and is built for 224 x 224."""
    assert workload_facts()["constants"]["shapes"] == {"MobileNetV3Small": [None, 224, 224, 3]}
