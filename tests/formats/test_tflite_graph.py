"""What a `.tflite` file stores: signatures, sparse and shared constants, branches, constants in other places."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from harness.errors import EngineError
from harness.formats import tflite, tflite_graph
from harness.formats.fingerprint import fingerprint
from harness.formats.heads import tflite_head
from harness.schema import Build, Model, Step
from harness.schema.worker import BuildTask
from harness.worker.build import build
from tests.tflite_models import Graph, dense, write

RNG = np.random.default_rng(3)
SMALL, LARGE = RNG.normal(size=(2, 3)).astype(np.float32), RNG.normal(size=(7, 5)).astype(np.float32)
X = RNG.normal(size=(1, 3)).astype(np.float32)


@pytest.fixture
def several(tmp_path):
    """A file with two signatures, the larger first."""
    return write(tmp_path / "several.tflite", [dense(LARGE, "large_"), dense(SMALL, "small_")], {"large": 0, "small": 1})


def answer(path, x):
    """What a plain interpreter gives: it runs the first graph."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def taken(path, folder, signature=None):
    """The artifact of the first build of a user's file."""
    folder.mkdir(exist_ok=True)
    model = Model(name="m", path=str(path), format="tflite", sha256=fingerprint(path)[0], signature=signature)
    asked = Build(build_id="b", model="m", step=Step(recipe="source"), format="tflite")
    return build(BuildTask(model=model, build=asked, folder=str(folder)))


def test_the_chosen_signature_is_the_one_that_runs(several, tmp_path):
    """Its answers, its parameters and multiply-accumulates, and its name in the record; the other one stays out of all of it."""
    for name, weights in (("small", SMALL), ("large", LARGE)):
        artifact = taken(several, tmp_path / name, name)
        x = RNG.normal(size=(1, weights.shape[1])).astype(np.float32)
        assert np.allclose(answer(artifact.path, x), x @ weights.T, atol=1e-5)
        assert (artifact.facts.parameters, artifact.facts.macs, artifact.notes) == (weights.size, weights.size, {"signature": name})
        assert list(Interpreter(model_path=artifact.path).get_signature_list()) == [name]


def test_several_signatures_want_one_to_be_chosen(several, tmp_path):
    """The refusal names them and the line to add; a wrong name is told with those there are."""
    with pytest.raises(EngineError, match=r"signatures large, small, .*\n.*`signature: large`"):
        taken(several, tmp_path / "none")
    with pytest.raises(EngineError, match=r"no signature 'smal', only large, small"):
        taken(several, tmp_path / "wrong", "smal")
    with pytest.raises(EngineError, match="none at all"):
        taken(write(tmp_path / "bare.tflite", [dense(SMALL)]), tmp_path / "bare", "small")


def test_one_signature_is_no_choice(tmp_path):
    """Several names of one graph neither; the only signature of a graph that is not the first is the one that runs."""
    alias = write(tmp_path / "alias.tflite", [dense(SMALL)], {"a": 0, "b": 0})
    assert np.allclose(answer(taken(alias, tmp_path / "alias").path, X), X @ SMALL.T, atol=1e-5)
    second = write(tmp_path / "second.tflite", [dense(LARGE), dense(SMALL)], {"only": 1})
    artifact = taken(second, tmp_path / "second")
    assert np.allclose(answer(artifact.path, X), X @ SMALL.T, atol=1e-5) and artifact.facts.parameters == 6


def branching(prefix=""):
    """(main graph that calls the graph 1 in a loop of no rounds, its condition, its body with weights)."""
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    main = Graph([("x", (1, 3), None), ("y", (1, 3), None)], [("WHILE", [0], [1], options)], [0], [1])
    condition = Graph([("c", (1, 3), None), ("no", (), np.array(False))], [], [0], [1])
    return [main, condition, dense(RNG.normal(size=(3, 3)).astype(np.float32))]


def test_weights_of_branches_and_loops_are_counted(tmp_path):
    """Those of the graphs that the main graph runs, and no other's."""
    path = write(tmp_path / "loop.tflite", [*branching(), dense(LARGE)])
    facts = tflite.facts(path)
    assert (facts.parameters, facts.macs) == (9, None)


def test_operators_keep_their_graphs_when_another_becomes_the_main_one(tmp_path):
    """A loop that is chosen still runs its own condition and body."""
    main, condition, body = branching()
    main.operators[0][3].condSubgraphIndex, main.operators[0][3].bodySubgraphIndex = 0, 2
    path = write(tmp_path / "moved.tflite", [condition, main, body, dense(LARGE)], {"large": 3, "loop": 1})
    artifact = taken(path, tmp_path / "loop", "loop")
    assert np.array_equal(answer(artifact.path, X), X) and artifact.facts.parameters == 9


def sparsity(weights):
    """How the format says that only some numbers of a matrix are stored, row by row."""
    dimension = schema.DimensionMetadataT()
    dimension.format, dimension.denseSize = schema.DimensionType.DENSE, weights.shape[0]
    columns = schema.DimensionMetadataT()
    columns.format = schema.DimensionType.SPARSE_CSR
    for name, values in (("arraySegments", np.cumsum([0, *(weights != 0).sum(axis=1)])), ("arrayIndices", np.nonzero(weights)[1])):
        vector = schema.Int32VectorT()
        vector.values = values.astype(np.int32).tolist()
        setattr(columns, name, vector)
        setattr(columns, f"{name}Type", schema.SparseIndexVector.Int32Vector)
    made = schema.SparsityParametersT()
    made.traversalOrder, made.dimMetadata = [0, 1], [dimension, columns]
    return made


def test_of_sparse_weights_what_is_stored_is_counted(tmp_path):
    """All parameters, those that are not 0, and the share of zeros; multiply-accumulates are the engine's choice and so not known."""
    weights = np.where(RNG.random((8, 10)) < 0.1, 1.5, 0).astype(np.float32)
    stored = weights[weights != 0]
    tensors = [("x", (1, 10), None), ("w", (8, 10), stored, {"sparsity": sparsity(weights)}), ("d", (8, 10), None), ("y", (1, 8), None)]
    graph = Graph(tensors, [("DENSIFY", [1], [2]), ("FULLY_CONNECTED", [0, 2, -1], [3], schema.FullyConnectedOptionsT())], [0], [3])
    facts = tflite.facts(write(tmp_path / "sparse.tflite", [graph]))
    assert (facts.parameters, facts.nonzero_parameters, facts.macs) == (80, stored.size, None)
    assert facts.zeros == {"w": 1 - stored.size / 80} and tflite.is_sparse(tmp_path / "sparse.tflite")


def test_what_tensors_share_is_counted_once(tmp_path):
    """As it is stored; the multiply-accumulates are those of both operators."""
    square = RNG.normal(size=(3, 3)).astype(np.float32)
    tensors = [("x", (1, 3), None), ("w1", (3, 3), square), ("h", (1, 3), None), ("w2", (3, 3), square), ("y", (1, 3), None)]
    options = schema.FullyConnectedOptionsT()
    graph = Graph(tensors, [("FULLY_CONNECTED", [0, 1, -1], [2], options), ("FULLY_CONNECTED", [2, 3, -1], [4], options)], [0], [4])
    facts = tflite.facts(write(tmp_path / "shared.tflite", [graph]))
    assert (facts.parameters, facts.macs) == (9, 18)


def test_constants_behind_the_flatbuffer_and_in_other_files(tmp_path):
    """The first are read, as in files beyond 2 GiB; of the others nothing is known, and nothing is made up."""
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


@pytest.mark.parametrize(("activation", "head"), [("NONE", "logit"), ("TANH", "logit"), ("RELU", None), ("RELU6", None)])
def test_a_fused_activation_is_part_of_the_head(tmp_path, activation, head):
    """As it stands in the options of the operator."""
    path = write(tmp_path / "m.tflite", [dense(SMALL, activation=getattr(schema.ActivationFunctionType, activation))])
    assert tflite_head(path, "y") == head
