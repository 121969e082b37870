"""A case and the task of its child: the null engine, which needs no model."""

from __future__ import annotations

from harness.schema import Case
from harness.schema.worker import MeasureTask

CASE = Case(
    case_id="null",
    model="none",
    variant="dense",
    steps=(),
    engine="null",
    device="cpu",
    batch_size=1,
    threads=1,
    scenario="single_stream",
    build_id="-",
    baseline_case_id=None,
)


def child_task(query_s: float = 0.001, **changes: object) -> MeasureTask:
    """What `harness.worker.measure` is given for the null engine."""
    task = {
        "engine": "null", "engine_options": {"query_s": query_s}, "artifact": {"path": "/", "format": "none"}, "device": "cpu", "batch_size": 1,
        "threads": 1, "scenario": "single_stream", **changes,
    }  # fmt: skip
    return MeasureTask.model_validate(task)
