"""Canonical texts and hashes of suites, models, variants and engines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from harness.schema import Case, Model
from harness.schema.suite import LM_EVAL_TIMEOUT_S
from harness.suite.grammar import SuiteFile

# Fields that came later are hashed only if they differ from these defaults, so that old runs keep their hash.
LATER_SUITE_FIELDS: dict[str, Any] = {"stopping": "half_width", "allow": [], "acceptance": None, "slo": None}
LATER_MATRIX_FIELDS: dict[str, Any] = {
    "models": None,
    "copies": None,
    "in_flight": [1],
    "concurrency": [1],
    "rates_per_s": None,
    "lengths": [{"input": 128, "output": 128, "spread": 0.5, "prompts": None}],
}
LATER_LIMITS: dict[str, Any] = {"load_timeout_s": None, "lm_eval_timeout_s": LM_EVAL_TIMEOUT_S}
LATER_MODEL_FIELDS: dict[str, Any] = {
    "metric_direction": "higher",
    "metric_threshold": None,
    "metric_ignore": None,
    "signature": None,
    "input_shapes": {},
    "framework": "keras",
    "lm_eval": None,
}


def suite_fields(written: SuiteFile, models: Sequence[Model], cases: Iterable[Case]) -> dict[str, Any]:
    """Fields of a `Suite` that its matrices do not determine, its hash among them.

    Args:
        written: The suite file.
        models: Its models.
        cases: Its cases, of which only the files of prompts count.
    """
    content = written.model_dump(mode="json", exclude={"models"})
    content["matrices"] = [_without(_named(matrix), LATER_MATRIX_FIELDS) for matrix in content["matrices"]]
    content["limits"] = _without(content["limits"], LATER_LIMITS)
    prompts = sorted({case.load.prompts.sha256 for case in cases if case.load and case.load.prompts})
    content |= {"prompts": prompts} if prompts else {}
    return {
        "name": written.name,
        "sha256": content_hash(_without(content, LATER_SUITE_FIELDS), [model_identity(model) for model in models]),
        "domains": None if written.domains == "auto" else tuple(written.domains),
        "allow": tuple(dict.fromkeys(written.allow)),
        "quality_margin": written.quality.margin,
        "stopping": written.stopping,
        "limits": written.limits,
        "acceptance": written.acceptance,
        "slo": written.slo,
        "seed": written.seed,
    }


def model_identity(model: Model) -> dict[str, Any]:
    """What makes a model the same on another machine; its path does not."""
    fields = {"name", "workload", "format", "sha256", "metric", "training", "trusted", *LATER_MODEL_FIELDS}
    content = _without(model.model_dump(mode="json", include=fields, exclude={"lm_eval": {"path"}}), LATER_MODEL_FIELDS)
    return content | {split: ref.content() if (ref := getattr(model, split)) else None for split in ("train", "test")}


def call_text(name: str, parameters: type[BaseModel] | None, values: Mapping[str, Any]) -> str:
    """A name with its parameters, except those left at their default."""
    if parameters is None:
        return name
    arguments = []
    for key, field in parameters.model_fields.items():
        extra = field.json_schema_extra
        always = isinstance(extra, dict) and extra.get("shown")
        if key in values and (always or field.is_required() or values[key] != field.get_default(call_default_factory=True)):
            arguments.append(f"{key}={_value_text(values[key])}")
    return f"{name}({', '.join(arguments)})" if arguments else name


def content_hash(*content: Any) -> str:
    """SHA-256 of values, independent of the order of mappings."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _named(matrix: Mapping[str, Any]) -> dict[str, Any]:
    """A matrix with the scenario that a suite without one had when no engine generated text."""
    return {**matrix, "scenarios": matrix["scenarios"] or ["single_stream"]}


def _without(content: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in defaults or value != defaults[name]}


def _value_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
