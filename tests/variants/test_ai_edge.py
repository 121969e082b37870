"""The AI Edge Quantizer: the weights in the file, the answers of LiteRT, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import EngineError
from harness.variants.base import TrainData
from tests.make_models import SAMPLES
from tests.models import models
from tests.variants.made import engine_answers, quantized

pytestmark = pytest.mark.filterwarnings("ignore")


RECIPES = ("dynamic_int8", "int8", "int16x8", "weight_int8", "weight_int4")


@pytest.mark.parametrize(
    ("recipe", "precision", "tolerance"),
    [
        ("dynamic_int8", "int8 weights", 0.01),
        ("int8", "int8", 0.01),
        ("int16x8", "int16x8", 0.002),
        ("weight_int8", "int8 weights", 0.01),
        ("weight_int4", "int4 weights", 0.05),
    ],
)
def test_a_float_tflite_of_the_users_is_quantized(tmp_path, recipe, precision, tolerance):
    """Weights are small, inputs and outputs stay float32, and LiteRT gives nearly the same answers."""
    path, facts = quantized(recipe, models() / "small.tflite", tmp_path / "out")
    assert path.stat().st_size < 0.6 * (models() / "small.tflite").stat().st_size
    (found,), ran = engine_answers(path, [SAMPLES[:32]])
    assert ran == precision
    assert np.allclose(found, np.load(models() / "small.npy")[:32], atol=tolerance)
    assert (facts.parameters, facts.macs) == (16 * 9 + 16 + 2048, 64 * 16 * 9 + 1024 * 2)
    assert len(facts.zeros) == 2 and all(0 <= share < 0.1 for share in facts.zeros.values())


@pytest.mark.parametrize("recipe", ["int8", "int16x8"])
def test_calibration_takes_several_inputs_in_the_order_of_the_file(tmp_path, recipe):
    """Their ranges differ by a factor of 1,000: swapped, or averaged over the samples, they would clip the answers."""
    two = np.load(models() / "two.npz")
    path, _ = quantized(recipe, models() / "two.tflite", tmp_path / "out", TrainData([two["zeta"], two["alpha"]]))
    found, _ = engine_answers(path, [two["zeta"][:8], two["alpha"][:8]])
    for answer, key in zip(found, ("first", "second"), strict=True):
        assert np.allclose(answer, two[key][:8], atol=0.03)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("source", ["int8", "float16"])
def test_a_quantized_tflite_is_refused(tmp_path, recipe, source):
    """With the type of its weights."""
    with pytest.raises(EngineError, match=f"it is already, with {source} weights") as refusal:
        quantized(recipe, models() / f"{source}.tflite", tmp_path / "out")
    assert refusal.value.refused
