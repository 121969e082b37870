"""OpenVINO: the session agrees with the plain library and with Keras, and runs in the requested precision."""

from __future__ import annotations

import contextlib
import shutil

import numpy as np
import openvino
import pytest

from harness.analysis.kernels import precision_of, share_of
from harness.engines.base import Load
from harness.engines.openvino import OpenVino, Options, _check_precision
from harness.errors import EngineError
from tests.make_models import SAMPLES
from tests.models import model_facts, models
from tests.onnx_models import save


def opened(name, batch_size=1, **options):
    """A session on one of the small models."""
    return OpenVino().open(Load(models() / name, "ir", "cpu", batch_size, 1, Options(**options)))


@pytest.mark.parametrize("name", ["small", "of-onnx", "float16", "int8", "dynamic_int8"])
def test_outputs_are_those_of_the_plain_library(name):
    """In float32, however the model was converted and quantized."""
    model = openvino.Core().read_model(models() / f"{name}.ir" / "model.xml")
    plain = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    assert np.allclose(opened(f"{name}.ir", 4).run([SAMPLES[:4]])[0], plain([SAMPLES[:4]])[0], atol=1e-6)


@pytest.mark.parametrize("name", ["small", "of-onnx"])
def test_a_batch_gives_the_rows_of_keras(name):
    """Converted from Keras and from ONNX."""
    assert np.allclose(opened(f"{name}.ir", 32).run([SAMPLES[:32]])[0], np.load(models() / "small.npy")[:32], atol=1e-6)


def test_several_inputs_and_outputs_keep_their_names_and_order():
    """As in the Keras model."""
    two = np.load(models() / "two.npz")
    session = opened("two.ir", 4)
    assert [tensor.name for tensor in session.inputs] == ["zeta", "alpha"]
    for ours, key in zip(session.run([two["zeta"][:4], two["alpha"][:4]]), ("first", "second"), strict=True):
        assert np.allclose(ours, two[key][:4], atol=1e-6)


def test_a_dynamic_dimension_takes_any_size(tmp_path):
    """A model with a dynamic second axis."""
    onnx = save(tmp_path, [("x", "FLOAT", ["n", "length"])], [("y", "Relu", ["x"])])
    openvino.save_model(openvino.convert_model(str(onnx)), str(tmp_path / "ir" / "model.xml"))
    session = OpenVino().open(Load(tmp_path / "ir", "ir", "cpu", 2, 1, Options()))
    assert session.inputs[0].shape == (2, None)
    for length in (3, 5):
        x = SAMPLES.reshape(64, -1)[:2, :length] - 0.5
        assert np.array_equal(session.run([x])[0], np.maximum(x, 0))


def test_it_uses_the_threads_of_the_case_and_one_stream():
    """Floats are float32, even if the CPU supports a faster type."""
    facts = opened("small.ir").facts()
    assert (facts["threads"], facts["streams"]) == (1, 1)
    assert opened("small.ir").precision() == "float32"


@pytest.mark.parametrize("requested", ["bf16", "f16"])
def test_a_precision_runs_or_is_refused(requested):
    """No silent change to another one."""
    with contextlib.suppress(EngineError):  # not every CPU has it
        assert opened("small.ir", inference_precision=requested).precision() == {"bf16": "bfloat16", "f16": "float16"}[requested]
    with pytest.raises(EngineError, match="computes in float32, but the case requests") as caught:
        _check_precision("f32", requested)
    assert caught.value.refused
    _check_precision(requested, "auto")


def test_products_of_two_precisions_are_left_to_the_profile(monkeypatch):
    """The number of primitives is not a time: it once denied int8 to a model whose profile had it."""
    both = [("FullyConnected", "a", "int8", 1.0), ("FullyConnected", "b", "float32", 1.0)]
    monkeypatch.setattr("harness.engines.openvino._compiled_to", lambda model: both)
    assert opened("small.ir").precision() is None
    monkeypatch.setattr("harness.engines.openvino._compiled_to", lambda model: [*both[:1], ("Softmax", "c", "float32", 1.0)])
    assert opened("small.ir").precision() == "int8"


@pytest.mark.parametrize(
    ("name", "precision"), [("small", "float32"), ("float16", "float32"), ("int8", "int8"), ("dynamic_int8", "float32")]
)
def test_kernels_have_their_share_of_the_time(name, precision):
    """By OpenVINO's counters: NNCF's quantization runs in int8, ONNX Runtime's dynamic one is converted back to float."""
    kernels = opened(f"{name}.ir").profile([[SAMPLES[:1]]] * 3, 0.5)
    assert sum(kernel.share for kernel in kernels) == pytest.approx(1)
    assert all(kernel.kernel and kernel.basis == "time" for kernel in kernels)
    assert precision_of(kernels) == opened(f"{name}.ir").precision() == precision
    assert (share_of(kernels, "int8") > 0.3) is (precision == "int8")


def test_zeros_are_counted_in_the_file():
    """Stored weights and biases; no scales, no shapes."""
    built = model_facts()["built"]
    assert built["small.ir"]["nonzero_parameters"] == built["of-onnx.ir"]["nonzero_parameters"] == 16 * 9 + 2048
    assert 16 * 9 + 1900 < built["int8.ir"]["nonzero_parameters"] < 16 * 9 + 2048 + 18


def test_a_fixed_batch_is_refused():
    """A model for two samples does not run with one."""
    with pytest.raises(EngineError, match=r"fixed shape \(2, 4\).*batch of 1") as caught:
        opened("fixed.ir")
    assert caught.value.refused
    assert opened("fixed.ir", 2).run([np.ones((2, 4), np.float32)])[0].shape == (2, 2)


@pytest.mark.parametrize("spoil", ["no_xml", "no_bin", "cut_xml", "cut_bin"])
def test_a_damaged_file_is_an_error(spoil, tmp_path):
    """Not a crash."""
    folder = tmp_path / "bad"
    shutil.copytree(models() / "small.ir", folder)
    what, _, suffix = spoil.partition("_")
    path = folder / f"model.{suffix}"
    content = path.read_bytes()
    path.unlink()
    if what == "cut":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(EngineError, match="cannot be read as an OpenVINO model"):
        OpenVino().open(Load(folder, "ir", "cpu", 1, 1, Options()))
