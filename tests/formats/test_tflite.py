"""TFLite files: which constants are weights, wherever they are stored, and multiply-accumulates."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from harness.errors import EngineError
from harness.formats import tflite, tflite_graph
from tests.models import models
from tests.tflite_models import LARGE, RNG, SMALL, Graph, branching, dense, sparsity, write


def test_4_bit_values_are_unpacked_with_their_sign():
    """The low half of a byte comes first."""
    assert tflite._nibbles(np.array([0x1F, 0x80], np.uint8)).tolist() == [-1, 1, 0, -8]


@pytest.mark.parametrize(("name", "truth"), [("small", 11264), ("two", 16), ("fixed", None), ("int8", 11264)])
def test_multiply_accumulates(name, truth):
    """As many as in the Keras model; None if the file fixes a batch other than 1."""
    assert tflite.facts(models() / f"{name}.tflite").macs == truth


def test_weights_of_branches_and_loops_are_counted(tmp_path):
    """Only those of graphs that the main graph runs."""
    path = write(tmp_path / "loop.tflite", [*branching(), dense(LARGE)])
    facts = tflite.facts(path)
    assert (facts.parameters, facts.macs) == (9, None)


def test_sparse_weights_are_counted(tmp_path):
    """Parameters, nonzero ones, and the share of zeros; multiply-accumulates depend on the engine and are None."""
    weights = np.where(RNG.random((8, 10)) < 0.1, 1.5, 0).astype(np.float32)
    stored = weights[weights != 0]
    tensors = [("x", (1, 10), None), ("w", (8, 10), stored, {"sparsity": sparsity(weights)}), ("d", (8, 10), None), ("y", (1, 8), None)]
    graph = Graph(tensors, [("DENSIFY", [1], [2]), ("FULLY_CONNECTED", [0, 2, -1], [3], schema.FullyConnectedOptionsT())], [0], [3])
    facts = tflite.facts(write(tmp_path / "sparse.tflite", [graph]))
    assert (facts.parameters, facts.nonzero_parameters, facts.macs) == (80, stored.size, None)
    assert facts.zeros == {"w": 1 - stored.size / 80} and tflite.is_sparse(tmp_path / "sparse.tflite")


def test_a_shared_buffer_is_counted_once(tmp_path):
    """The multiply-accumulates are those of both operators."""
    square = RNG.normal(size=(3, 3)).astype(np.float32)
    tensors = [("x", (1, 3), None), ("w1", (3, 3), square), ("h", (1, 3), None), ("w2", (3, 3), square), ("y", (1, 3), None)]
    options = schema.FullyConnectedOptionsT()
    graph = Graph(tensors, [("FULLY_CONNECTED", [0, 1, -1], [2], options), ("FULLY_CONNECTED", [2, 3, -1], [4], options)], [0], [4])
    facts = tflite.facts(write(tmp_path / "shared.tflite", [graph]))
    assert (facts.parameters, facts.macs) == (9, 18)


def test_constants_behind_the_flatbuffer_and_in_other_files(tmp_path):
    """The first are read, as in files beyond 2 GiB; the others are not, so that the counts are None."""
    path = write(tmp_path / "m.tflite", [dense(SMALL)])
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 4096, SMALL.nbytes
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()).ljust(4096, b"\0") + SMALL.tobytes())
    with tflite.reading(path, *tflite.KIND):
        assert [tensor.name for tensor in tflite._weights(path)] == ["w"]
        assert np.array_equal(tflite._values(next(tflite._weights(path))).reshape(2, 3), SMALL)
    with pytest.raises(EngineError, match="signature 's' alone"):
        tflite_graph.with_main_graph(path.read_bytes(), 0, "s")
    away = write(tmp_path / "away.tflite", [Graph([("w", (2, 2), None, {"externalBuffer": 3})], [], [], [])])
    assert tflite.facts(away).parameters is None


def test_a_converted_file_that_litert_cannot_run_is_refused(tmp_path):
    """A truncated file."""
    (tmp_path / "cut.tflite").write_bytes((models() / "small.tflite").read_bytes()[:4000])
    with pytest.raises(EngineError, match="was converted, and LiteRT cannot run it") as refusal:
        tflite.check_runs(tmp_path / "cut.tflite")
    assert refusal.value.refused
