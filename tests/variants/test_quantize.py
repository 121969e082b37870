"""Post-training quantization of users' files and of Keras models: weights, answers of the engine, and refusals."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from harness import plugins
from harness.engines.base import Load
from harness.engines.litert import LiteRT, Options
from harness.errors import EngineError
from harness.variants.base import TrainData
from harness.variants.quantize import Int16x8
from tests.make_models import SAMPLES
from tests.models import model_facts, models
from tests.onnx_models import save
from tests.variants.made import builds, engine_answers, quantized

# ai-edge-litert warns of the debugging interpreter that the quantizer calibrates with, NNCF and OpenVINO of each other.
pytestmark = pytest.mark.filterwarnings("ignore")
QUANTIZED = [f"{recipe}.{target}" for recipe in ("float16", "dynamic_int8", "int8") for target in ("tflite", "onnx")]


def test_the_kernels_of_int16x8_are_recognized(tmp_path):
    """They differ from those of int8 and float32, so that a mislabelled file is detected."""
    path, _ = quantized("int16x8", models() / "small.tflite", tmp_path / "out")
    kernels = LiteRT().open(Load(path, "tflite", "cpu", 1, 1, Options())).profile([[SAMPLES[:1]]], 0.1)
    assert {kernel.precision for kernel in kernels} == {Int16x8.spec.precision} == {"int16x8"}


@pytest.mark.parametrize("recipe", ["dynamic_int8", "int8", "weight_int8", "weight_int4"])
@pytest.mark.parametrize("source", ["int8", "float16"])
def test_a_quantized_onnx_is_refused(tmp_path, recipe, source):
    """As a `.tflite` is."""
    with pytest.raises(EngineError, match="it is already") as refusal:
        quantized(recipe, models() / f"{source}.onnx", tmp_path / "out")
    assert refusal.value.refused


def odd(folder):
    """An ONNX model of two inputs with odd names, a named batch, and a transposed product."""
    rng = np.random.default_rng(4)
    constants = {
        "w 1": rng.normal(size=(40, 64)).astype(np.float32),
        "dense/2:0": rng.normal(size=(7, 64)).astype(np.float32),
        "b": np.ones(7, np.float32),
    }
    nodes = [("h", "MatMul", ["in put:0", "w 1"]), ("g", "Add", ["h", "off/set"]), ("y", "Gemm", ["g", "dense/2:0", "b"], {"transB": 1})]
    path = save(folder, [("in put:0", "FLOAT", ["n", 40]), ("off/set", "FLOAT", ["n", 64])], nodes, outputs=["y"], **constants)
    inputs = [rng.normal(size=(50, 40)).astype(np.float32), 5 + rng.normal(size=(50, 64)).astype(np.float32)]
    truth = (inputs[0] @ constants["w 1"] + inputs[1]) @ constants["dense/2:0"].T + 1
    return path, inputs, truth


@pytest.mark.parametrize(
    ("recipe", "precision", "tolerance"),
    [
        ("float16", "float16 weights", 0.01),
        ("dynamic_int8", "uint8 weights", 0.05),
        ("int8", "int8", 0.05),
        ("weight_int8", "int8 weights", 0.02),
        ("weight_int4", "int4 weights", 0.3),
    ],
)
def test_an_onnx_of_several_inputs_and_odd_names_is_quantized(tmp_path, recipe, precision, tolerance):
    """Both products, against NumPy; zeros and multiply-accumulates are counted in the result."""
    path, inputs, truth = odd(tmp_path)
    made, facts = quantized(recipe, path, tmp_path / "out", TrainData(inputs))
    (found,), ran = engine_answers(made, inputs)
    assert ran == precision
    assert np.abs(found - truth).max() < tolerance * np.abs(truth).max()
    assert facts.zeros.keys() <= {
        name + end for name in ("w 1", "dense/2:0", "dense/2:0_Transposed", "dense/2:0_transposed") for end in ("", "_quantized")
    }
    assert sorted(facts.zeros.values())[-1] < 0.2
    assert facts.macs in (40 * 64 + 64 * 7, None)


def test_sums_do_not_saturate_where_the_cpu_adds_in_16_bits(tmp_path):
    """Weights have 7 bits by default: two products of 8 bits overflow."""
    path, inputs, _ = odd(tmp_path)
    largest = {}
    for reduce_range in (True, False):
        made, _ = quantized("int8", path, tmp_path / str(reduce_range), TrainData(inputs), reduce_range=reduce_range)
        constants = {tensor.name: tensor for tensor in onnx.load(made).graph.initializer}
        largest[reduce_range] = int(np.abs(onnx.numpy_helper.to_array(constants["w 1_quantized"]).astype(int)).max())
    assert largest == {True: 64, False: 127}


def residual(folder):
    """Two inverted residual blocks of MobileNetV2, a product and its softmax."""
    rng = np.random.default_rng(6)
    constants = {"low": np.float32(0), "high": np.float32(6), "product": rng.normal(size=(8, 10)).astype(np.float32)}
    nodes = [("c0", "Transpose", ["image"], {"perm": [0, 3, 1, 2]})]
    for block in (1, 2):
        before = f"c{block - 1}"
        kernels = {f"wide{block}": (16, 8, 1, 1), f"deep{block}": (16, 1, 3, 3), f"narrow{block}": (8, 16, 1, 1)}
        constants |= {name: rng.normal(scale=0.3, size=size).astype(np.float32) for name, size in kernels.items()}
        nodes += [
            (f"w{block}", "Conv", [before, f"wide{block}"]),
            (f"v{block}", "Clip", [f"w{block}", "low", "high"]),
            (f"d{block}", "Conv", [f"v{block}", f"deep{block}"], {"group": 16, "pads": [1, 1, 1, 1]}),
            (f"e{block}", "Clip", [f"d{block}", "low", "high"]),
            (f"n{block}", "Conv", [f"e{block}", f"narrow{block}"]),
            (f"c{block}", "Add", [before, f"n{block}"]),
        ]
    nodes += [("p", "GlobalAveragePool", ["c2"]), ("f", "Flatten", ["p"]), ("m", "MatMul", ["f", "product"]), ("y", "Softmax", ["m"])]
    return save(folder, [("image", "FLOAT", ["n", 16, 16, 8])], nodes, outputs=["y"], **constants)


def test_every_layer_of_a_residual_network_runs_in_int8(tmp_path):
    """Conversions only at the inputs and outputs, and float32 in the softmax, whose answers are not rounded to 1/256."""
    path, samples = residual(tmp_path), np.random.default_rng(7).normal(size=(16, 16, 16, 8)).astype(np.float32)
    (dense,), _ = engine_answers(path, [samples])
    made, _ = quantized("int8", path, tmp_path / "out", TrainData([samples]))
    engine = plugins.load("engines", "onnxruntime")
    session = engine().open(Load(made, "onnx", "cpu", 1, 1, engine.spec.parameters()))
    kernels = session.profile([[samples[:1]]] * 3, 5)
    assert {kernel.op for kernel in kernels if kernel.precision != "int8"} == {"QuantizeLinear", "DequantizeLinear", "Softmax"}
    assert {"QLinearConv", "QLinearAdd", "QLinearMatMul"} <= {kernel.op for kernel in kernels}
    (found,) = session.run([samples[:1]])
    assert np.abs(found - dense[:1]).max() < 0.1
    assert found.sum() == pytest.approx(1, abs=1e-5)


def test_operators_without_an_int8_kernel_stay_float32(tmp_path):
    """A transposed convolution: its weights would be converted back in every query."""
    rng = np.random.default_rng(8)
    kernels = {"w": rng.normal(size=(8, 8, 3, 3)).astype(np.float32), "up": rng.normal(size=(8, 8, 2, 2)).astype(np.float32)}
    nodes = [("h", "Conv", ["x", "w"]), ("y", "ConvTranspose", ["h", "up"])]
    path = save(tmp_path, [("x", "FLOAT", ["n", 8, 6, 6])], nodes, outputs=["y"], **kernels)
    made, _ = quantized("int8", path, tmp_path / "out", TrainData([rng.normal(size=(8, 8, 6, 6)).astype(np.float32)]))
    assert {tensor.name for tensor in onnx.load(made).graph.initializer} >= {"w_quantized", "up"}


def test_nothing_to_quantize_is_refused(tmp_path):
    """A model without weights."""
    bare = save(tmp_path, [("x", "FLOAT", ["n", 3])], [("y", "Relu", ["x"])], name="bare.onnx")
    with pytest.raises(EngineError, match="nothing can be quantized") as refusal:
        quantized("dynamic_int8", bare, tmp_path / "out")
    assert refusal.value.refused


@pytest.mark.slow
def test_a_keras_model_too_small_for_the_converter_is_refused():
    """TensorFlow's converter skips weights of less than 1,024 elements: the file would be called int8 and run in float32."""
    sentence, refused = builds()["two"]
    assert refused and "nothing can be quantized" in sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "precision"),
    [("int16x8", "int16x8"), ("weight_int8", "int8 weights"), ("weight_int4", "int4 weights")],
)
def test_keras_models_are_quantized_in_one_step(recipe, precision):
    """In one step; parameters are those of the model."""
    found = builds()["built"][f"{recipe}-keras.tflite"]
    assert (found["parameters"], found["macs"]) == (16 * 9 + 16 + 2048 + 2, 11264)
    (answer,), ran = engine_answers(models() / f"{recipe}-keras.tflite", [SAMPLES[:32]])
    assert ran == precision
    assert np.allclose(answer, np.load(models() / "small.npy")[:32], atol=0.05)


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantized_models_answer_nearly_the_same_and_are_smaller(name):
    """With float32 inputs and outputs; parameters stay, zeros and multiply-accumulates are counted in the file itself."""
    format_ = name.split(".")[1]
    (answers,), _ = engine_answers(models() / name, [SAMPLES[:32]])
    assert np.allclose(answers, np.load(models() / "small.npy")[:32], atol=0.05)
    assert (models() / name).stat().st_size < (models() / f"small.{format_}").stat().st_size
    facts = model_facts()["built"][name]
    assert 0.97 * (16 * 9 + 2 * 1024) < facts["nonzero_parameters"] <= facts["parameters"] <= 16 * 9 + 16 + 2 * 1024 + 2
    if format_ == "tflite":
        assert facts["macs"] == 64 * 16 * 9 + 1024 * 2
