"""Reference of each case's outputs: the dense case of the same model, on the same inputs, whose route has the fewest exports.

That is the engine of the model's own framework, if the suite has it, so that an exported model is compared with the original. The baseline of
energy and latency is another: dense on the same engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness import plugins
from harness.schema import Build, Case, Record, StoredRun

STORED = ("dataset", "data", "train", "source")
"""Recipes of builds that store a model or its data: not exports."""

Rank = tuple[int, int, bool, bool, int, int]


def references(run: StoredRun, completed: Mapping[str, Sequence[Record]]) -> dict[str, str]:
    """Id of the reference of each case that has one; the reference's own is itself.

    Of several with as few exports it is one that ran in float32, on the CPU, with the engine's default options, of the smallest batch, the
    first in the suite. An engine that computes nothing is none.

    Args:
        run: The run.
        completed: Completed attempts by case id.
    """
    builds = {build.build_id: build for build in run.header.suite.builds}
    best: dict[tuple[str, int | None], tuple[Rank, str]] = {}
    for place, case in enumerate(run.header.suite.cases):
        if case.load:  # answers at another concurrency differ by rounding alone
            continue
        answers = run.outputs.get(case.case_id)
        records = completed.get(case.case_id)
        if case.variant == "dense" and records and answers is not None and answers.outputs.size and not is_double(case.engine):
            ranked = (_rank(case, records, builds, place), case.case_id)
            key = _inputs(run, case)
            best[key] = min(best.get(key, ranked), ranked)
    return {case.case_id: best[key][1] for case in run.header.suite.cases if (key := _inputs(run, case)) in best}


def exports(build_id: str, builds: Mapping[str, Build]) -> int:
    """Number of steps from the model as stored to a build."""
    count = 0
    build = builds.get(build_id)
    while build:
        count += build.step.recipe not in STORED
        build = builds.get(build.parent or "")
    return count


def is_double(engine: str) -> bool:
    """Whether an engine is a test double, of which everything is simulated."""
    spec = plugins.catalogue().engines.get(engine)
    return bool(spec and spec.simulated)


def _inputs(run: StoredRun, case: Case) -> tuple[str, int | None]:
    """Key of the cases that have the same inputs: test data, or noise, which is drawn by batch."""
    model = next((model for model in run.header.suite.models if model.name == case.model), None)
    has_data = case.dataset_id is not None or (model is not None and model.test is not None)
    return case.model, None if has_data else case.batch_size


def _rank(case: Case, records: Sequence[Record], builds: Mapping[str, Build], place: int) -> Rank:
    precision = next((record.precision_ran for record in records if record.precision_ran), None)
    options = case.case_id.startswith(f"{case.model}/{case.variant}/{case.engine}(")
    precise = 0 if precision == "float32" else 2 if precision else 1
    return exports(case.build_id, builds), precise, case.device != "cpu", options, case.batch_size, place
