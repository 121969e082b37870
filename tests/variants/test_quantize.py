"""Post-training quantization of users' own files and of Keras models: what is in the file, whether its engine runs it, and why it is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from harness import plugins
from harness.engines.base import Load
from harness.engines.litert import LiteRT, Options
from harness.errors import EngineError
from harness.formats import onnx as onnx_files
from harness.formats import tflite as tflite_files
from harness.variants.base import Job, TrainData
from harness.variants.quantize import Int16x8
from tests.make_models import SAMPLES
from tests.models import models
from tests.onnx_models import save
from tests.variants.made import builds

# ai-edge-litert warns of the debugging interpreter that the quantizer calibrates with, NNCF and OpenVINO of each other.
pytestmark = pytest.mark.filterwarnings("ignore")
DATA = TrainData([SAMPLES])
RECIPES = ("dynamic_int8", "int8", "int16x8", "weight_int8", "weight_int4")


def quantized(recipe, source, folder, data=DATA, **given):
    """A recipe applied to a file, the format kept: the file and its facts."""
    plugin = plugins.load("variants", recipe)
    parameters = plugin.spec.parameters(**given) if plugin.spec.parameters else None
    format_ = source.suffix[1:]
    folder.mkdir(exist_ok=True)
    return plugin().apply(Job(source, format_, format_, folder, parameters=parameters, data=data if plugin.spec.needs else None))


def answers(path, inputs):
    """What the file's engine says."""
    format_ = path.suffix[1:]
    engine = plugins.load("engines", {"tflite": "litert", "onnx": "onnxruntime"}[format_])
    session = engine().open(Load(path, format_, "cpu", len(inputs[0]), 1, engine.spec.parameters()))
    assert {tensor.dtype for tensor in (*session.inputs, *session.outputs)} == {np.dtype(np.float32)}
    return [np.array(answer) for answer in session.run(inputs)], session.precision()


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
    """The weights in the file are small, the ends stay float32, LiteRT runs it and answers nearly the same."""
    path, facts = quantized(recipe, models() / "small.tflite", tmp_path / "out")
    assert path.stat().st_size < 0.6 * (models() / "small.tflite").stat().st_size
    (found,), ran = answers(path, [SAMPLES[:32]])
    assert ran == precision
    assert np.allclose(found, np.load(models() / "small.npy")[:32], atol=tolerance)
    assert (facts.parameters, facts.macs) == (16 * 9 + 16 + 2048, 64 * 16 * 9 + 1024 * 2)
    assert len(facts.zeros) == 2 and all(0 <= share < 0.1 for share in facts.zeros.values())


def test_the_kernels_of_int16x8_say_so(tmp_path):
    """They are told apart from int8's and from float32's, so that a file which only claims it is found."""
    path, _ = quantized("int16x8", models() / "small.tflite", tmp_path / "out")
    kernels = LiteRT().open(Load(path, "tflite", "cpu", 1, 1, Options())).profile([[SAMPLES[:1]]], 0.1)
    assert {kernel.precision for kernel in kernels} == {Int16x8.spec.precision} == {"int16x8"}


@pytest.mark.parametrize("recipe", ["int8", "int16x8"])
def test_calibration_takes_several_inputs_in_the_order_of_the_file(tmp_path, recipe):
    """Their ranges differ by a factor of 1,000: exchanged, or averaged over the samples, they would cut the answers off."""
    two = np.load(models() / "two.npz")
    path, _ = quantized(recipe, models() / "two.tflite", tmp_path / "out", TrainData([two["zeta"], two["alpha"]]))
    found, _ = answers(path, [two["zeta"][:8], two["alpha"][:8]])
    for answer, key in zip(found, ("first", "second"), strict=True):
        assert np.allclose(answer, two[key][:8], atol=0.03)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("source", ["int8", "float16"])
def test_a_quantized_tflite_is_refused(tmp_path, recipe, source):
    """With what it is already."""
    with pytest.raises(EngineError, match=f"it is already, with {source} weights") as refusal:
        quantized(recipe, models() / f"{source}.tflite", tmp_path / "out")
    assert refusal.value.refused


@pytest.mark.parametrize("recipe", ["dynamic_int8", "int8", "weight_int8", "weight_int4"])
@pytest.mark.parametrize("source", ["int8", "float16"])
def test_a_quantized_onnx_is_refused(tmp_path, recipe, source):
    """Likewise."""
    with pytest.raises(EngineError, match="it is already") as refusal:
        quantized(recipe, models() / f"{source}.onnx", tmp_path / "out")
    assert refusal.value.refused


def odd(folder):
    """An ONNX model of two inputs with odd names, one of a batch in words, and a transposed product."""
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
    """Both products; the truth is computed by hand; zeros and multiply-accumulates are counted in what came out."""
    path, inputs, truth = odd(tmp_path)
    made, facts = quantized(recipe, path, tmp_path / "out", TrainData(inputs))
    (found,), ran = answers(made, inputs)
    assert ran == precision
    assert np.abs(found - truth).max() < tolerance * np.abs(truth).max()
    assert facts.zeros.keys() <= {
        name + end for name in ("w 1", "dense/2:0", "dense/2:0_Transposed", "dense/2:0_transposed") for end in ("", "_quantized")
    }
    assert sorted(facts.zeros.values())[-1] < 0.2
    assert facts.macs in (40 * 64 + 64 * 7, None)


def test_sums_do_not_saturate_where_the_cpu_adds_in_16_bits(tmp_path):
    """Weights of 7 bits, unless the suite says otherwise: two products of 8 bits do not fit."""
    path, inputs, _ = odd(tmp_path)
    largest = {}
    for reduce_range in (True, False):
        made, _ = quantized("int8", path, tmp_path / str(reduce_range), TrainData(inputs), reduce_range=reduce_range)
        constants = {tensor.name: tensor for tensor in onnx.load(made).graph.initializer}
        largest[reduce_range] = int(np.abs(onnx.numpy_helper.to_array(constants["w 1_quantized"]).astype(int)).max())
    assert largest == {True: 64, False: 127}


def residual(folder):
    """An inverted residual block as MobileNetV2 has it, two of them, a product and its softmax."""
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
    """Conversions at the ends alone, and float32 in the softmax, whose answers are not rounded to 1/256."""
    path, samples = residual(tmp_path), np.random.default_rng(7).normal(size=(16, 16, 16, 8)).astype(np.float32)
    (dense,), _ = answers(path, [samples])
    made, _ = quantized("int8", path, tmp_path / "out", TrainData([samples]))
    engine = plugins.load("engines", "onnxruntime")
    session = engine().open(Load(made, "onnx", "cpu", 1, 1, engine.spec.parameters()))
    kernels = session.profile([[samples[:1]]] * 3, 5)
    assert {kernel.op for kernel in kernels if kernel.precision != "int8"} == {"QuantizeLinear", "DequantizeLinear", "Softmax"}
    assert {"QLinearConv", "QLinearAdd", "QLinearMatMul"} <= {kernel.op for kernel in kernels}
    (found,) = session.run([samples[:1]])
    assert np.abs(found - dense[:1]).max() < 0.1
    assert found.sum() == pytest.approx(1, abs=1e-5)


def test_what_onnx_runtime_has_no_int8_kernel_for_stays_float32(tmp_path):
    """A transposed convolution: its weights would be converted back in every query."""
    rng = np.random.default_rng(8)
    kernels = {"w": rng.normal(size=(8, 8, 3, 3)).astype(np.float32), "up": rng.normal(size=(8, 8, 2, 2)).astype(np.float32)}
    nodes = [("h", "Conv", ["x", "w"]), ("y", "ConvTranspose", ["h", "up"])]
    path = save(tmp_path, [("x", "FLOAT", ["n", 8, 6, 6])], nodes, outputs=["y"], **kernels)
    made, _ = quantized("int8", path, tmp_path / "out", TrainData([rng.normal(size=(8, 8, 6, 6)).astype(np.float32)]))
    assert {tensor.name for tensor in onnx.load(made).graph.initializer} >= {"w_quantized", "up"}


def test_nothing_to_quantize_is_refused(tmp_path):
    """A model without weights, and one of convolutions alone where only products are taken."""
    bare = save(tmp_path, [("x", "FLOAT", ["n", 3])], [("y", "Relu", ["x"])], name="bare.onnx")
    with pytest.raises(EngineError, match="nothing can be quantized") as refusal:
        quantized("dynamic_int8", bare, tmp_path / "out")
    assert refusal.value.refused
    kernel = np.ones((2, 1, 3), np.float32)
    convolved = save(tmp_path, [("x", "FLOAT", ["n", 1, 9])], [("y", "Conv", ["x", "w"])], name="conv.onnx", w=kernel)
    with pytest.raises(EngineError, match="no matrix product whose weights can be int8; of its 1 Conv no library") as refusal:
        quantized("weight_int8", convolved, tmp_path / "out")
    assert refusal.value.refused


def test_a_file_that_its_engine_cannot_run_is_refused(tmp_path):
    """An operator with a float16 and a float32 argument, as some converters write it, and a TFLite file that asks for more than there is."""
    half = save(
        tmp_path,
        [("x", "FLOAT16", ["n", 3])],
        [("y", "MatMul", ["x", "w"])],
        outputs=["y"],
        name="half.onnx",
        w=np.ones((3, 2), np.float32),
    )
    with pytest.raises(EngineError, match="was converted, and ONNX Runtime cannot load it") as refusal:
        onnx_files.check_loads(half)
    assert refusal.value.refused
    (tmp_path / "cut.tflite").write_bytes((models() / "small.tflite").read_bytes()[:4000])
    with pytest.raises(EngineError, match="was converted, and LiteRT cannot run it") as refusal:
        tflite_files.check_runs(tmp_path / "cut.tflite")
    assert refusal.value.refused


@pytest.mark.slow
def test_a_keras_model_too_small_for_the_converter_is_refused():
    """TensorFlow's dynamic range leaves weights of less than 1,024 numbers: that would claim int8 and run float32."""
    sentence, refused = builds()["two"]
    assert refused and "nothing can be quantized" in sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "precision"),
    [("int16x8", "int16x8"), ("weight_int8", "int8 weights"), ("weight_int4", "int4 weights")],
)
def test_keras_models_get_there_too(recipe, precision):
    """In one step, with the parameters of the model."""
    found = builds()["built"][f"{recipe}-keras.tflite"]
    assert (found["parameters"], found["macs"]) == (16 * 9 + 16 + 2048 + 2, 11264)
    (answer,), ran = answers(models() / f"{recipe}-keras.tflite", [SAMPLES[:32]])
    assert ran == precision
    assert np.allclose(answer, np.load(models() / "small.npy")[:32], atol=0.05)


@pytest.mark.slow
def test_a_chain_keeps_its_zeros():
    """Pruned globally, then int8 weights: each kernel has its own share, in the file."""
    assert list(builds()["built"]["global-weights.tflite"]["zeros"].values()) == pytest.approx(
        [share for name, share in reversed(builds()["built"]["global.keras"]["zeros"].items()) if name.endswith("kernel")], abs=0.02
    )


def test_packed_fours_are_counted(tmp_path):
    """MatMulNBits: two numbers in a byte, 8 stands for 0, what fills the last block is not counted."""
    packed = np.full((1, 2, 8), 0x88, np.uint8)
    packed[0, 0, 0] = 0x81
    packed[0, 1, 3:] = 0x17
    path = save(tmp_path, [("x", "FLOAT", ["n", 22])], [], B=packed, scales=np.ones(2, np.float32))
    model = onnx.load(path)
    node = onnx.helper.make_node("MatMulNBits", ["x", "B", "scales"], ["y"], domain="com.microsoft", K=22, N=1, bits=4, block_size=16)
    model.graph.node.append(node)
    found = onnx_files.facts(model)
    assert found.zeros == {"B": pytest.approx(21 / 22)}
    assert found.macs is None
