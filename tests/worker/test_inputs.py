"""Test data -> queries in the shapes and types of the model's inputs."""

from __future__ import annotations

import numpy as np
import pytest

from harness.engines.base import Tensor
from harness.errors import EngineError
from harness.schema.worker import ArrayFile
from harness.worker.inputs import fit, load_data, make_queries, sized
from tests.launch import on_onnx
from tests.onnx_models import save

pytestmark = pytest.mark.usefixtures("short_lead_in")


FLOAT = Tensor("x", (None, 4, 1), np.dtype(np.float32))


BYTE = Tensor("q", (None, 2), np.dtype(np.int8), scale=0.5, zero_point=-3)


@pytest.mark.parametrize(
    ("have", "fits"), [((4, 1), True), ((4,), True), ((1, 4), True), ((4, 1, 1), True), ((2, 2), False), ((4, 2), False), ((5,), False)]
)
def test_only_axes_of_length_1_are_added_or_removed(have, fits):
    """Any other reshape is refused: the axes may be in another order."""
    data = np.arange(3 * np.prod(have), dtype=np.float32).reshape(3, *have)
    if fits:
        assert np.array_equal(fit(FLOAT, data, 1).ravel(), data.ravel())
    else:
        with pytest.raises(EngineError, match="takes samples"):
            fit(FLOAT, data, 1)


def test_quantized_inputs_and_outputs_are_converted():
    """Real values by scale and zero point, clipped; values of the tensor's own type are unchanged."""
    assert BYTE.encode(np.array([[0.0, 1.0]], np.float32)).tolist() == [[-3, -1]]
    assert BYTE.encode(np.array([[1000, -1000]])).tolist() == [[127, -128]]
    assert BYTE.encode(np.array([[5, 6]], np.int8)).tolist() == [[5, 6]]
    assert BYTE.decode(np.array([[-3, -1]], np.int8)).tolist() == [[0.0, 1.0]]


def test_fractions_are_not_truncated():
    """Probabilities for an input of token ids are an error, integral floats are not."""
    ids = Tensor("ids", (None, 2), np.dtype(np.int64))
    assert fit(ids, np.array([[1.0, 2.0]]), 1).shape == (1, 2)
    with pytest.raises(EngineError, match="int64"):
        fit(ids, np.array([[0.5, 2.0]]), 1)


def test_a_dynamic_shape_needs_data():
    """Or its size in the suite."""
    with pytest.raises(EngineError, match=r"\[\?\] a sample\n.*input_shapes: {x: \[128\]}"):
        make_queries([Tensor("x", (None, None), np.dtype(np.float32))], [], 1)


def test_the_suite_gives_dynamic_inputs_their_size():
    """Of one sample, or all of an input without a batch; names may be TensorFlow's."""
    image = Tensor("serving_default_x:0", (None, 3, None, None), np.dtype(np.float32))
    state = Tensor("state", (2, None, 4), np.dtype(np.float32))
    inputs = sized([image, state], {"x": [3, 8, 6], "state": [2, 1, 4]}, 1)
    assert [array.shape for array in make_queries(inputs, [], 1)[0]] == [(1, 3, 8, 6), (2, 1, 4)]
    assert make_queries(sized([image], {"x": [3, 8, 6]}, 5), [], 5)[0][0].shape == (5, 3, 8, 6)
    for shapes in ({"y": [3, 8, 6]}, {"x": [4, 8, 6]}, {"x": [1, 3, 8, 6]}):
        with pytest.raises(EngineError, match="input_shapes") as caught:
            sized([image], shapes, 1)
        assert caught.value.refused


def test_an_unknown_input_is_refused(tmp_path):
    """With the names of the inputs."""
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 4)))
    with pytest.raises(EngineError, match="inputs are x"):
        load_data([FLOAT], [ArrayFile(path=str(tmp_path / "d.npz"), key="x", name="y")], 1)


@pytest.mark.parametrize(
    ("arrays", "labels", "words"),
    [
        ({"x": np.zeros((4, 3, 5), np.float32)}, None, "takes samples of shape (5, 3)"),
        ({"x": np.zeros((4, 5, 3)), "z": np.zeros(4)}, None, "1 inputs (x), but the data have 2"),
        ({"x": np.zeros((0, 5, 3))}, None, "first axis is the sample"),
        ({"x": np.array([["text"]])}, None, "takes samples"),
        ({"x": np.zeros((4, 5, 3))}, np.zeros(3), "labels of shape (3,) for 4 samples"),
        ({"x": np.zeros((4, 5, 3))}, np.zeros(4), "accuracy cannot be measured"),
    ],
)
def test_data_that_do_not_fit_are_refused(tmp_path, arrays, labels, words):
    """Before anything is measured, and for all repetitions."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 5, 3])], [("y", "Relu", ["x"])])
    record = on_onnx(path, tmp_path, arrays, labels, "accuracy").record
    assert record.status == "refused" and words in record.reason and "Traceback" not in record.reason
    assert record.latency is None


def test_strings_bools_scalars_and_states(tmp_path):
    """Inputs that only take a batch of 1: each sample is a whole value; without labels there is no quality."""
    inputs = [("words", "STRING", ["n"]), ("mask", "BOOL", [1, 2]), ("rate", "INT64", []), ("state", "FLOAT", [2, "n", 3])]
    path = save(tmp_path, inputs, [(f"y{i}", "Identity", [name]) for i, (name, _, _) in enumerate(inputs)])
    arrays = {
        "words": np.array(["a", "bc"]),
        "mask": np.ones((2, 2), bool),
        "rate": np.array([8, 16]),
        "state": np.zeros((2, 2, 1, 3), np.float32),
    }
    record = on_onnx(path, tmp_path, arrays).record
    assert record.status == "ok", record.reason
    assert record.quality is None
