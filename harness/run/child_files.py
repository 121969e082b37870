"""Files that a child writes: their paths in its task, and their content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.schema import Limits, Task
from harness.schema.worker import BuildTask, LoadTask, MeasureTask, ServeTask

AnyTask = MeasureTask | ServeTask | BuildTask | LoadTask
ANSWER_SHARE = 0.25
"""Share of the child's time limit that may be spent on inputs without labels."""
SEEDS = 1_000
"""Distance of the seeds of two repetitions, so that no prompt comes twice."""


def with_paths(task: AnyTask, repetition: Task, folder: Path, limits: Limits) -> AnyTask:
    """The task of a child with the paths of its output files; `child_array` and `child_text` read them.

    Args:
        task: The task.
        repetition: What it is in the run.
        folder: Folder of the files.
        limits: Time limits of the child.
    """
    kept = repetition.profiled  # a model gives the same outputs in each launch: those of one are enough
    if isinstance(task, ServeTask):
        names = ("completions", "requests", *(("outputs", "per_sample", "evaluation") if kept else ()))
        more: dict[str, Any] = {"seed": task.seed + SEEDS * repetition.repetition + repetition.attempt}
        more |= {} if kept else {"evaluation": None}
    elif isinstance(task, MeasureTask):
        names = ("completions", "per_sample", *(("outputs",) if kept else ()))
        more = {"answer_s": limits.timeout_s * ANSWER_SHARE} if kept else {}
    else:
        return task
    return task.model_copy(update={**{f"{name}_path": str(child_file(folder, name)) for name in names}, **more})


def child_file(folder: Path, name: str) -> Path:
    """Path of an output file."""
    return folder / f"{name}.npy"


def child_array(path: Path, empty: tuple[int, ...]) -> np.ndarray:
    """An array that the child wrote; empty if missing or truncated.

    Args:
        path: The file.
        empty: Shape of the empty array.
    """
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return np.zeros(empty, dtype=np.int64)


def child_text(path: Path) -> str:
    """A text that the child wrote; empty if missing."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
