"""Weight-only quantization: small weights in every format, answers nearly the same."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from harness.engines.base import Load
from harness.engines.openvino import OpenVino
from harness.errors import EngineError
from harness.formats import onnx as files
from harness.variants.base import Job
from harness.variants.weights import WeightInt4, WeightInt8
from tests.make_models import SAMPLES
from tests.models import models
from tests.onnx_models import KERNEL, constant, model, save
from tests.variants.made import applied, builds, quantized


@pytest.mark.filterwarnings("ignore")  # NNCF and OpenVINO warn of each other
@pytest.mark.parametrize(("recipe", "share", "tolerance"), [(WeightInt8, 0.4, 0.01), (WeightInt4, 0.3, 0.05)])
def test_openvino_weights_alone_are_quantized(tmp_path, recipe, share, tolerance):
    """Those of the convolution too; OpenVINO gives nearly the same answers."""
    made, facts = recipe().apply(Job(models() / "small.ir", "ir", "ir", tmp_path))
    assert (made / "model.bin").stat().st_size < share * (models() / "small.ir" / "model.bin").stat().st_size
    assert facts.nonzero_parameters and facts.nonzero_parameters > 0.8 * 2200
    engine = OpenVino()
    session = engine.open(Load(made, "ir", "cpu", 32, 1, engine.spec.parameters()))
    (found,) = session.run([SAMPLES[:32]])
    assert np.allclose(found, np.load(models() / "small.npy")[:32], atol=tolerance)


RELU = helper.make_node("Relu", ["a"], ["y"])


def test_weight_int8_takes_weights_of_constant_nodes(tmp_path):
    """NNCF finds none there, and needs unique node names."""
    nodes = [constant("w", np.tile(KERNEL, (1, 8))), helper.make_node("MatMul", ["x", "w"], ["a"]), RELU]
    small, _, _ = applied("weight_int8", model(nodes), tmp_path)
    assert "int8" in files.stored_types(small)


@pytest.mark.slow
def test_a_chain_keeps_its_zeros():
    """Pruned globally, then int8 weights: each kernel keeps its share of zeros."""
    assert list(builds()["built"]["global-weights.tflite"]["zeros"].values()) == pytest.approx(
        [share for name, share in reversed(builds()["built"]["global.keras"]["zeros"].items()) if name.endswith("kernel")], abs=0.02
    )


def test_a_model_of_convolutions_alone_is_refused(tmp_path):
    """In ONNX only matrix products are quantized."""
    kernel = np.ones((2, 1, 3), np.float32)
    convolved = save(tmp_path, [("x", "FLOAT", ["n", 1, 9])], [("y", "Conv", ["x", "w"])], name="conv.onnx", w=kernel)
    with pytest.raises(EngineError, match="no matrix product whose weights can be int8; of its 1 Conv no library") as refusal:
        quantized("weight_int8", convolved, tmp_path / "out")
    assert refusal.value.refused
