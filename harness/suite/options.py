"""Options of an engine that apply a variant, merged over the options in the suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from harness.schema import Case, Catalogue, EngineSpec, Step


def built_steps(steps: Sequence[Step], engine: EngineSpec) -> list[Step]:
    """The steps that need a build, because the engine does not apply them by its options."""
    return [step for step in steps if step.recipe not in engine.by_options]


def merged_options(engine: EngineSpec, written: Mapping[str, Any], steps: Sequence[Step]) -> dict[str, Any] | str:
    """The engine's options with those that apply the steps of a variant.

    Args:
        engine: The engine.
        written: Its options in the suite, with defaults.
        steps: Steps of the variant.

    Returns:
        The options, or the reason why they contradict each other.
    """
    applied = [step.recipe for step in steps if step.recipe in engine.by_options]
    if applied and [step.recipe for step in steps[len(steps) - len(applied) :]] != applied:
        return f"{engine.name} applies {' and '.join(applied)} when it loads the model: write that after every step that builds"
    requested: dict[str, tuple[str, Any]] = {}
    for recipe in applied:
        for name, value in engine.by_options[recipe].items():
            first, other = requested.setdefault(name, (recipe, value))
            if other != value:
                return f"{first} is {name}: {other} on {engine.name}, and {recipe} is {name}: {value}"
            if reason := _contradiction(engine, recipe, name, value, written.get(name, value)):
                return reason
    options = {**written, **{name: value for name, (_, value) in requested.items()}}
    return _checked(engine, applied, options) if applied else options


def applied_text(case: Case, catalogue: Catalogue) -> str | None:
    """The options by which the engine applies steps of a case's variant: `compile: mode=compile`; None if there are none."""
    engine = catalogue.engines.get(case.engine)
    by_options = engine.by_options if engine else {}
    steps = [step.recipe for step in case.steps if step.recipe in by_options]
    texts = [f"{recipe}: {', '.join(f'{name}={value}' for name, value in by_options[recipe].items())}" for recipe in steps]
    return "; ".join(texts) or None


def _contradiction(engine: EngineSpec, recipe: str, name: str, value: Any, written: Any) -> str | None:
    """Why a variant does not go with an option that the suite has changed, or that does not exist; None if the option has its default."""
    field = engine.parameters.model_fields.get(name) if engine.parameters else None
    if field is None:
        return f"{engine.name} declares the option {name} for {recipe}, but does not have it: correct its `by_options`"
    if written == field.get_default(call_default_factory=True):
        return None
    if written == value:
        return (
            f"the suite sets {name}: {written} for {engine.name}, so that {recipe} would change nothing: remove the option or the variant"
        )
    return f"{recipe} is {name}: {value} on {engine.name}, but the suite sets {name}: {written}"


def _checked(engine: EngineSpec, applied: Sequence[str], options: dict[str, Any]) -> dict[str, Any] | str:
    try:
        return engine.parameters.model_validate(options, strict=True).model_dump() if engine.parameters else options
    except ValidationError as error:
        return f"{engine.name} with {' and '.join(applied)}: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
