"""Signatures of `.tflite` files: the chosen one becomes the main graph."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from harness.errors import EngineError
from harness.formats.fingerprint import fingerprint
from harness.schema import Build, Model, Step
from harness.schema.worker import BuildTask
from harness.worker.build import build
from tests.tflite_models import LARGE, RNG, SMALL, branching, dense, write

X = RNG.normal(size=(1, 3)).astype(np.float32)


@pytest.fixture
def several(tmp_path):
    """A file with two signatures, the larger first."""
    return write(tmp_path / "several.tflite", [dense(LARGE, "large_"), dense(SMALL, "small_")], {"large": 0, "small": 1})


def answer(path, x):
    """The answer of a plain interpreter, which runs the first graph."""
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
    """StoredOutputs, parameters, multiply-accumulates and notes are those of the chosen one only."""
    for name, weights in (("small", SMALL), ("large", LARGE)):
        artifact = taken(several, tmp_path / name, name)
        x = RNG.normal(size=(1, weights.shape[1])).astype(np.float32)
        assert np.allclose(answer(artifact.path, x), x @ weights.T, atol=1e-5)
        assert (artifact.facts.parameters, artifact.facts.macs, artifact.notes) == (weights.size, weights.size, {"signature": name})
        assert list(Interpreter(model_path=artifact.path).get_signature_list()) == [name]


def test_several_signatures_need_a_choice(several, tmp_path):
    """The refusal lists them and the line to add to the suite, also for a wrong name."""
    with pytest.raises(EngineError, match=r"signatures large, small, .*\n.*`signature: large`"):
        taken(several, tmp_path / "none")
    with pytest.raises(EngineError, match=r"no signature 'smal', only large, small"):
        taken(several, tmp_path / "wrong", "smal")
    with pytest.raises(EngineError, match="none at all"):
        taken(write(tmp_path / "bare.tflite", [dense(SMALL)]), tmp_path / "bare", "small")


def test_one_signature_needs_no_choice(tmp_path):
    """Several names of one graph need no choice either; the only signature runs even if its graph is not the first."""
    alias = write(tmp_path / "alias.tflite", [dense(SMALL)], {"a": 0, "b": 0})
    assert np.allclose(answer(taken(alias, tmp_path / "alias").path, X), X @ SMALL.T, atol=1e-5)
    second = write(tmp_path / "second.tflite", [dense(LARGE), dense(SMALL)], {"only": 1})
    artifact = taken(second, tmp_path / "second")
    assert np.allclose(answer(artifact.path, X), X @ SMALL.T, atol=1e-5) and artifact.facts.parameters == 6


def test_operators_keep_their_graphs_when_another_becomes_the_main_one(tmp_path):
    """A chosen loop still runs its own condition and body."""
    main, condition, body = branching()
    main.operators[0][3].condSubgraphIndex, main.operators[0][3].bodySubgraphIndex = 0, 2
    path = write(tmp_path / "moved.tflite", [condition, main, body, dense(LARGE)], {"large": 3, "loop": 1})
    artifact = taken(path, tmp_path / "loop", "loop")
    assert np.array_equal(answer(artifact.path, X), X) and artifact.facts.parameters == 9
