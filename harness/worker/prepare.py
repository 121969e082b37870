"""The build that prepares a model for one device: the engine compiles it as its cases will run it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import plugins
from harness.engines.base import Array, Engine, Load, Tensor
from harness.engines.cuda import visible_uuids
from harness.errors import EngineError
from harness.schema import ArtifactFacts
from harness.schema.worker import BuildTask
from harness.worker.inputs import make_queries, sized, sized_as


def prepare(task: BuildTask) -> tuple[Path, ArtifactFacts, dict[str, Any]]:
    """Folder, facts and notes of a model that the engine of `build.target` prepared.

    Raises:
        EngineError: The engine cannot prepare it, or its libraries are not those that the build is keyed by.
    """
    target, source = task.build.target, task.source
    assert target and source
    engine: Engine = plugins.load("engines", target.engine)()
    _check_libraries(engine, target.depends_on)
    load = Load(
        path=Path(source.path),
        format=source.format,
        device=target.device,
        batch_size=target.batch_size,
        threads=target.threads,
        options=engine.spec.parameters(**target.engine_options) if engine.spec.parameters else None,
        trusted=task.model.trusted,
    )

    def query(tensors: Sequence[Tensor]) -> Sequence[Array]:
        """Noise in the shapes of the test data, or of the suite."""
        of_suite = not task.shapes or not tensors
        inputs = sized(tensors, task.model.input_shapes, load.batch_size) if of_suite else sized_as(tensors, task.shapes, load.batch_size)
        return make_queries(inputs, [], load.batch_size)[0]

    folder = Path(task.folder) / target.engine
    folder.mkdir()
    notes = dict(engine.prepare(load, folder, query))
    if not any(folder.iterdir()):
        raise EngineError(f"the engine {target.engine} prepared nothing", "report this to its authors")
    if target.device != "cpu":
        notes["device_uuids"] = visible_uuids()
    return folder, source.facts, notes


def _check_libraries(engine: Engine, depends_on: dict[str, str | None]) -> None:
    for name, version in engine.libraries().items():
        if version != depends_on.get(name):
            raise EngineError(
                f"{name} is {version or 'not installed'} here, but was {depends_on.get(name) or 'not found'} when the run was started",
                "check that LD_LIBRARY_PATH is the same for every process, and start a new run",
            )
