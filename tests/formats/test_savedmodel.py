"""SavedModels in a child that imports TensorFlow: run as the plain function; graphs that access files or run code are refused."""

from __future__ import annotations

import pytest

from harness.formats.savedmodel import natural_key
from tests.models import workload_facts

pytestmark = pytest.mark.slow


def test_parameters_of_the_signature_are_counted():
    """Two matrices; a variable that the signature does not use is not counted."""
    assert workload_facts()["saved"]["facts"]["parameters"] == 4 * 3 + 2 * 3
    assert workload_facts()["saved"]["exported"] == {"tflite": 18, "onnx": 18}


def test_a_compiled_model_of_keras_2_is_loaded():
    """Its optimizer is not known without Keras 2, and not needed."""
    assert sorted(workload_facts()["saved"]["compiled"]) == ["Alpha", "zeta_In.0"]


@pytest.mark.parametrize("mode", ["graph", "eager", "xla"])
def test_tensorflow_answers_as_the_plain_function(mode):
    """Inputs have their own names and dynamic dimensions."""
    found = workload_facts()["saved"]["engine"][mode]
    assert found["difference"] < 1e-5
    assert found["precision"] == "float32"
    assert found["shapes"] == {"Alpha": [None, None, 2], "zeta_In.0": [None, 4]}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reads", "ReadFile"),
        ("runs", "PyFunc"),
        ("listens", "TextLineDataset"),
        ("prints", "PrintV2"),
        ("saves", "SaveV2"),
        ("first_saves", "SaveV2"),
        ("first_reads", "secret.txt"),
        ("maps", "ImmutableConst"),
        ("hides", "DatasetFromGraph"),
        ("samples", "FixedUnigramCandidateSampler"),
        ("fills", "secret.txt"),
        ("fills_passed", "secret.txt"),
        ("fills_joined", "computed by its graph"),
        ("later", "OperatorOf2030"),
        ("none", "serves no signature"),
        ("cut", "cannot be read"),
        ("pictures", "not a SavedModel"),
    ],
)
def test_a_graph_that_does_more_than_compute_is_refused(name, words):
    """A graph that reads files or runs Python, one with an unknown operator, one without a signature, a truncated file."""
    assert words in workload_facts()["refused"][name][0]
    assert "--trust" in workload_facts()["refused"][name][0] or name in ("fills", "fills_passed", "first_reads", "none", "cut", "pictures")
    assert workload_facts()["refused"]["trusted"] == "serving_default"
    assert workload_facts()["refused"]["first_fills"] is None


def test_a_graph_that_only_computes_is_loaded():
    """Keras layers of all kinds, in training too, an application, a text model, and a table filled from an asset."""
    found = workload_facts()["operators"]
    assert found["refused"] == {name: [] for name in ("MobileNetV2", "image", "series", "tokens", "text")}
    assert found["asset"] == [1, -1]


def test_the_names_of_a_signature_have_one_order():
    """Independent of the order in the file; numbers are compared by value."""
    read = ["output_10", "classes", "output_2", "x1y", "output_1", "2"]
    wanted = ["2", "classes", "output_1", "output_2", "output_10", "x1y"]
    assert sorted(read, key=natural_key) == wanted
