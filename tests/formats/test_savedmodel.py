"""SavedModels of other people's kind, in a child that imports TensorFlow: taken, exported and run as the plain function; nothing reaches out of its graph."""

from __future__ import annotations

import pytest

from harness.formats.savedmodel import natural_key
from tests.models import workload_facts

pytestmark = pytest.mark.slow


def test_what_it_serves_is_counted():
    """Two matrices; a variable that no signature uses is none of its parameters."""
    assert workload_facts()["saved"]["facts"]["parameters"] == 4 * 3 + 2 * 3
    assert workload_facts()["saved"]["exported"] == {"tflite": 18, "onnx": 18}


def test_what_keras_2_saved_of_a_compiled_model_is_loaded():
    """Without Keras 2 nobody knows its optimizer; it is not needed."""
    assert sorted(workload_facts()["saved"]["compiled"]) == ["Alpha", "zeta_In.0"]


@pytest.mark.parametrize("mode", ["graph", "eager", "xla"])
def test_tensorflow_answers_as_the_plain_function(mode):
    """Inputs by their own names, the open axis open."""
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
        ("pictures", "no SavedModel"),
    ],
)
def test_what_is_not_taken(name, words):
    """A graph that reads files or runs Python, one with an operator that nobody knows yet, one that serves nothing, a file cut short: each a sentence."""
    assert words in workload_facts()["refused"][name][0]
    assert "--trust" in workload_facts()["refused"][name][0] or name in ("fills", "fills_passed", "first_reads", "none", "cut", "pictures")
    assert workload_facts()["refused"]["trusted"] == "serving_default"
    assert workload_facts()["refused"]["first_fills"] is None


def test_what_only_computes_is_taken():
    """Keras layers of every kind, in training too, an application, a text model, and a table from a file of the model's own folder."""
    found = workload_facts()["operators"]
    assert found["refused"] == {name: [] for name in ("MobileNetV2", "image", "series", "tokens", "text")}
    assert found["asset"] == [1, -1]


def test_the_names_of_a_signature_have_one_order():
    """Whatever order a process reads them in; numbers by their size."""
    read = ["output_10", "classes", "output_2", "x1y", "output_1", "2"]
    wanted = ["2", "classes", "output_1", "output_2", "output_10", "x1y"]
    assert sorted(read, key=natural_key) == wanted
