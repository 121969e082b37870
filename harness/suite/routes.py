"""Routes from a model to an artifact that an engine opens."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import NamedTuple

from harness.schema import Catalogue, EngineSpec, FormatSpec, FrameworkSpec, Model, Step, VariantSpec


class Hop(NamedTuple):
    """One step of a route.

    Attributes:
        step: The step.
        format: Format that it produces.
    """

    step: Step
    format: str


def find_route(model: Model, steps: Sequence[Step], engine: EngineSpec, catalogue: Catalogue) -> list[Hop] | str:
    """The shortest route that takes the variant's steps in order.

    Of two routes of equal length it is the one that exports first: the recipe is then that of the engine's own format.

    Returns:
        The hops from the first build on, or the reason why there is no route.
    """
    variants, first = catalogue.variants, stored_format(model, catalogue)
    data = [Hop(Step(recipe="dataset"), "npz")] if model.brings else []
    chosen = {"signature": model.signature} if model.signature else {}
    start = [*data, Hop(Step(recipe="train" if model.trains else "source", parameters=chosen), first)]
    exporters = [spec for spec in variants.values() if spec.exporter]
    queue = deque([(start, 0)])
    seen = set()
    while queue:
        hops, done = queue.popleft()
        have = hops[-1].format
        if done == len(steps) and (have in engine.formats or "*" in engine.formats):
            return hops
        if (have, done) in seen:
            continue
        seen.add((have, done))
        queue.extend(([*hops, Hop(Step(recipe=spec.name), out)], done) for spec in exporters for out in _outputs(spec, have))
        if done < len(steps):
            step = steps[done]
            queue.extend(
                ([*hops, Hop(Step(recipe=spec.name, parameters=step.parameters), out)], done + 1)
                for spec in catalogue.recipes(step.recipe)
                for out in _outputs(spec, have)
            )
    furthest = max(done for _, done in seen)
    return _no_route(first, steps, engine, catalogue, {have for have, done in seen if done == furthest}, furthest)


def _outputs(spec: VariantSpec, source: str) -> list[str]:
    return [out for each, out in spec.conversions if each == source]


def _no_route(start: str, steps: Sequence[Step], engine: EngineSpec, catalogue: Catalogue, reached: Collection[str], done: int) -> str:
    if done < len(steps):
        recipe = steps[done].recipe
        sources = {source for spec in catalogue.recipes(recipe) for source, _ in spec.conversions}
        if not sources:
            return f"{engine.name} does not apply {recipe}: no option of it does{_appliers(recipe, catalogue)}"
        needs = f"{recipe} takes {' or '.join(sorted(sources))}"
    else:
        needs = f"{engine.name} opens {' or '.join(engine.formats)}"
    chain = f" with {'+'.join(step.recipe for step in steps[:done])}" if done else ""
    return f"{needs}, but the model is available only as {', '.join(sorted(reached))} (from {start}{chain})"


def _appliers(recipe: str, catalogue: Catalogue) -> str:
    able = sorted(name for name, spec in catalogue.engines.items() if recipe in spec.by_options)
    return f"; engines that do: {', '.join(able)}" if able else ""


def importer(model: Model, catalogue: Catalogue) -> FormatSpec | FrameworkSpec:
    """The plug-in of a model's first build: its framework if it is built from code, else its file format."""
    return catalogue.frameworks[model.framework] if model.format in ("python", "workload") else catalogue.formats[model.format]


def stored_format(model: Model, catalogue: Catalogue) -> str:
    """The format in which the first build stores a model."""
    spec = importer(model, catalogue)
    return spec.format if isinstance(spec, FrameworkSpec) else spec.stored_as or spec.name
