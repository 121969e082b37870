"""The build of a model for one device."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from harness import plugins
from harness.engines.base import Engine, Tensor
from harness.errors import EngineError
from harness.schema import ArtifactFacts, Build, EngineSpec, Model, Prepares, Step, Target
from harness.schema.worker import BuildTask, SampleShape, SourceFile
from harness.worker import build as worker_build
from harness.worker.prepare import prepare

TENSORS = (Tensor("x", (None, None, 3), np.dtype(np.float32)), Tensor("ids", (None, None), np.dtype(np.int64)))


class Compiler(Engine):
    """Writes a plan of the shapes of its query."""

    spec: ClassVar = EngineSpec(name="compiler", formats=("onnx",), devices=("gpu",), prepares=Prepares(format="plan"))
    loads: ClassVar[list[Any]] = []
    empty: ClassVar = False

    @classmethod
    def libraries(cls):
        return {"compiler": "1.0"}

    def prepare(self, load, folder, query):
        self.loads.append(load)
        arrays = query(TENSORS)
        if not self.empty:
            (folder / "plan").write_text("plan")
        return {"shapes": [array.shape for array in arrays], "types": [str(array.dtype) for array in arrays]}

    def open(self, load):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    """The only engine."""
    monkeypatch.setattr(plugins, "load", lambda family, name: Compiler)
    monkeypatch.setattr(Compiler, "empty", False)
    return Compiler


def task_of(folder, version="1.0", shapes=(), **model) -> BuildTask:
    """A build for two samples a query."""
    (folder / "model.onnx").write_bytes(b"model")
    target = Target(engine="compiler", device="gpu", batch_size=2, threads=1, depends_on={"name": "H100", "compiler": version})
    build = Build(
        build_id="b", model="m", step=Step(recipe="plan"), parent="a", format="plan", lineage=("source (onnx)", "plan"), target=target
    )
    return BuildTask(
        model=Model(name="m", format="onnx", sha256="-", **model),
        build=build,
        source=SourceFile(path=str(folder / "model.onnx"), format="onnx", facts=ArtifactFacts(parameters=7)),
        shapes=shapes,
        folder=str(folder),
    )


def test_the_artifact_is_the_folder_for_that_device(tmp_path):
    """With the counts of the model and what the engine reports; its cases have the same load."""
    task = task_of(tmp_path, input_shapes={"x": (5, 3), "ids": (4,)})
    artifact = worker_build.build(task)
    assert (artifact.path, artifact.format, artifact.device, artifact.facts.parameters) == (str(tmp_path / "compiler"), "plan", "gpu", 7)
    assert artifact.notes["shapes"] == [(2, 5, 3), (2, 4)] and artifact.notes["types"] == ["float32", "int64"]
    assert artifact.bytes == 4
    load = Compiler.loads[-1]
    assert (load.path, load.device, load.batch_size, load.prepared) == (tmp_path / "model.onnx", "gpu", 2, None)


@pytest.mark.parametrize("names", [(None, None), ("x", "ids")])
def test_dynamic_dimensions_are_those_of_the_test_data(tmp_path, names):
    """By position or by name; axes of 1 are added as for the data themselves."""
    shapes = [SampleShape(shape=(6, 3, 1), name=names[0]), SampleShape(shape=(9,), name=names[1])]
    if names[0]:
        shapes.reverse()
    assert prepare(task_of(tmp_path, shapes=tuple(shapes)))[2]["shapes"] == [(2, 6, 3), (2, 9)]


def test_dynamic_dimensions_without_a_size_are_refused(tmp_path):
    """With the line of the suite that sets them."""
    with pytest.raises(EngineError, match="dynamic dimensions") as caught:
        prepare(task_of(tmp_path))
    assert "input_shapes" in caught.value.hint


@pytest.mark.parametrize(
    ("shapes", "words"), [([(6, 3)], "2 inputs, but the data have 1"), ([(6, 4), (9,)], r"'x' takes samples of shape \(None, 3\)")]
)
def test_data_that_do_not_fit_are_refused(tmp_path, shapes, words):
    """Before anything is compiled."""
    with pytest.raises(EngineError, match=words):
        prepare(task_of(tmp_path, shapes=tuple(SampleShape(shape=shape) for shape in shapes)))


@pytest.mark.parametrize("version", [None, "0.9"])
def test_libraries_other_than_those_of_the_id_fail_the_build(tmp_path, version):
    """Otherwise the cache would hold it under a wrong id."""
    with pytest.raises(EngineError, match=r"compiler is 1\.0 here, but was (0\.9|not found)"):
        prepare(task_of(tmp_path, version))


def test_an_engine_that_writes_nothing_fails_the_build(tmp_path, monkeypatch):
    """There would be nothing to load."""
    monkeypatch.setattr(Compiler, "empty", True)
    with pytest.raises(EngineError, match="prepared nothing"):
        prepare(task_of(tmp_path, input_shapes={"x": (5, 3), "ids": (4,)}))


def test_an_engine_without_the_step_refuses():
    """The default of the interface."""
    with pytest.raises(EngineError, match="prepares nothing"):
        Engine.prepare(Compiler(), None, None, None)
