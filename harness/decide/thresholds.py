"""Thresholds of the gate, read from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.suite.document import DocumentKind, format_value, nearest, read

METRICS = ("energy", "latency", "quality", "memory", "device_memory")
KIND = DocumentKind(
    "file of thresholds",
    "nothing was checked",
    f"the file sets {', '.join(METRICS)}, each the allowed relative increase (of quality the allowed loss), or null",
)
Share = Annotated[float, Field(ge=0, lt=1)] | None
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)] | None


class Thresholds(BaseModel):
    """Allowed change for the worse of each metric; None leaves the metric out.

    Attributes:
        energy: Relative increase of the energy per inference.
        latency: Relative increase of the median latency per query.
        quality: Loss in the metric's own unit.
        memory: Relative increase of the peak resident set.
        device_memory: Relative increase of the peak accelerator memory, checked if either run has one.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)  # codespell:ignore

    energy: Share = 0.02
    latency: Share = 0.05
    quality: Amount = 0.01
    memory: Share = 0.05
    device_memory: Share = 0.05


def read_thresholds(path: Path) -> Thresholds:
    """Thresholds of a YAML file.

    Raises:
        SuiteError: A field or a value is wrong; with file, line and the nearest name.
    """
    document = read(path, KIND)
    try:
        thresholds = Thresholds.model_validate({} if document.values is None else document.values)
        if set(thresholds.model_dump().values()) == {None}:
            document.add_problem((), "every metric is excluded, so there is nothing to check")
        document.check()
        return thresholds
    except ValidationError as error:
        for problem in error.errors():
            document.add_problem(problem["loc"], _sentence(problem))
    document.check()
    raise AssertionError("a validation error without a problem")


def _sentence(problem: Any) -> str:
    if not problem["loc"]:
        return "thresholds are a mapping, such as `energy: 0.02`"
    name, given = problem["loc"][0], problem["input"]
    if problem["type"] == "extra_forbidden":  # codespell:ignore
        return f"there is no threshold {name!r}{nearest(name, METRICS)}"
    range_ = "a number of at least 0" if name == "quality" else "a number from 0 to below 1"
    return f"{name!r} must be {range_}, or null, not {'the text ' if isinstance(given, str) else ''}{format_value(given)}"
