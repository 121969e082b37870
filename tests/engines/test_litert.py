"""LiteRT: the session agrees with the plain interpreter, and reports what it loaded."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from harness.engines.base import Load
from harness.engines.litert import UNCOUNTED, LiteRT, Options, _resize
from harness.errors import EngineError
from tests.make_models import SAMPLES
from tests.models import models


def opened(name, batch_size=1, **options):
    """A session on one of the small models."""
    return LiteRT().open(Load(models() / name, "tflite", "cpu", batch_size, 1, Options(**options)))


@pytest.mark.parametrize("name", ["small", "float16", "dynamic_int8", "int8", "pruned-int8"])
def test_outputs_are_those_of_the_plain_interpreter(name):
    """Bit by bit, for every kind of quantization."""
    plain = Interpreter(model_path=str(models() / f"{name}.tflite"), num_threads=1)
    plain.allocate_tensors()
    plain.set_tensor(plain.get_input_details()[0]["index"], SAMPLES[:1])
    plain.invoke()
    ours = opened(f"{name}.tflite").run([SAMPLES[:1]])[0]
    assert np.array_equal(ours, plain.get_tensor(plain.get_output_details()[0]["index"]))


@pytest.mark.parametrize("xnnpack", [True, False])
def test_a_batch_gives_the_rows_of_keras(xnnpack):
    """32 samples at once, with the delegate and without; the facts show which."""
    session = opened("small.tflite", 32, xnnpack=xnnpack)
    assert np.allclose(session.run([SAMPLES[:32]])[0], np.load(models() / "small.npy")[:32], atol=1e-6)
    assert session.facts()["xnnpack"] is xnnpack


def test_several_outputs_come_in_the_models_order():
    """The converter may reorder outputs; the session returns them in Keras's order."""
    two = np.load(models() / "two.npz")
    session = opened("two.tflite", 4)
    assert [tensor.name.split("_")[-1] for tensor in session.inputs] == ["zeta:0", "alpha:0"]
    for ours, key in zip(session.run([two["zeta"][:4], two["alpha"][:4]]), ("first", "second"), strict=True):
        assert np.allclose(ours, two[key][:4], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "precision"),
    [("small", "float32"), ("float16", "float16 weights"), ("dynamic_int8", "int8 weights"), ("int8", "int8"), ("pruned-int8", "int8")],
)
def test_precision_is_that_of_the_file(name, precision):
    """Not that in the recipe's name."""
    assert opened(f"{name}.tflite").precision() == precision


def test_a_fixed_batch_is_refused():
    """A model for two samples does not run with one."""
    with pytest.raises(EngineError, match=r"fixed shape \(2, 4\).*batch of 1") as caught:
        opened("fixed.tflite", 1)
    assert caught.value.refused
    assert opened("fixed.tflite", 2).run([np.ones((2, 4), np.float32)])[0].shape == (2, 2)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x1c\0\0\0TFL3" + bytes(64), None], ids=["empty", "short", "hollow", "cut"])
def test_a_damaged_file_is_an_error(content, tmp_path):
    """With the name of the file."""
    path = tmp_path / "bad.tflite"
    path.write_bytes((models() / "small.tflite").read_bytes()[:1500] if content is None else content)
    with pytest.raises(EngineError, match=r"bad\.tflite"):
        LiteRT().open(Load(path, "tflite", "cpu", 1, 1, Options()))


@pytest.mark.parametrize(
    ("name", "precisions"),
    [
        ("small", ["float32", "float32"]),
        ("float16", ["float32", "float32"]),
        ("dynamic_int8", ["float32", "int8"]),
        ("int8", ["int8", "int8"]),
    ],
)
@pytest.mark.parametrize("xnnpack", [True, False])
def test_kernels_have_their_delegate_and_precision(name, precisions, xnnpack):
    """Shares of multiply-accumulates, since LiteRT reports no times. The converter leaves a small convolution in float32."""
    kernels = opened(f"{name}.tflite", xnnpack=xnnpack).profile([[SAMPLES[:1]]], 0.5)
    assert [(k.op, k.precision) for k in kernels] == list(zip(("CONV_2D", "FULLY_CONNECTED"), precisions, strict=True))
    assert [k.share for k in kernels] == pytest.approx([64 * 16 * 9 / 11264, 2048 / 11264])
    assert {(k.kernel, k.basis) for k in kernels} == {("XNNPACK" if xnnpack else "builtin", "macs")}


def test_uncounted_operators_leave_the_kernels_unknown():
    """No share is better than a wrong one."""
    assert all(UNCOUNTED.search(name) for name in ("BATCH_MATMUL", "UNIDIRECTIONAL_SEQUENCE_LSTM", "WHILE", "FlexConv", "CONV_3D"))
    assert not any(UNCOUNTED.search(name) for name in ("SOFTMAX", "RIGHT_SHIFT", "DELEGATE", "RESHAPE", "ADD"))


def test_operators_of_tensorflow_are_an_error_with_a_remedy():
    """With the interpreter's message."""

    class Flex:
        """An interpreter without the delegate."""

        get_input_details = staticmethod(lambda: ())

        def allocate_tensors(self):
            """Fail as the interpreter does."""
            raise RuntimeError("Select TensorFlow op(s), included in the given model, is(are) not supported by this interpreter.")

    with pytest.raises(EngineError, match=r"Select TensorFlow op.*\n.*without SELECT_TF_OPS"):
        _resize(Flex(), [])
