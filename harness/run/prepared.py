"""Builds that prepare a model for one card: their ids hold card, driver and versions, which are known where a run starts.

A suite is resolved on any machine and keeps its hash; these builds are appended to it, and its cases take their ids.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from harness import venvs
from harness.errors import EngineError
from harness.run.preconditions import Cards, card_of
from harness.schema import Build, Case, Catalogue, EngineSpec, Prepares, Step, Suite, Target, Task
from harness.suite.identity import call_text, content_hash

CARD_FACTS = ("name", "compute_capability", "driver", "cuda_driver_version")
"""Facts of a card on which what is compiled for it depends; without the first three it has no such build."""
PATIENCE_S = 60.0
"""Time limit of the process that asks an engine for the versions of its libraries."""


def with_prepared(suite: Suite, catalogue: Catalogue, cards: Cards) -> Suite:
    """The suite with a build for each model that an engine prepares for a card, and its cases on these builds.

    A case on a card of which driver or product are unknown, or on a part of one (MIG), keeps its build: its engine then compiles at each load.

    Args:
        suite: The resolved suite.
        catalogue: Installed plug-ins.
        cards: Facts of the devices of this machine.
    """
    builds = {build.build_id: build for build in suite.builds}
    versions: dict[tuple[str, str], Mapping[str, str | None]] = {}
    cases = []
    for case in suite.cases:
        spec, key = catalogue.engines[case.engine].at(case.device), (case.engine, case.device)
        card = _facts(card_of(cards, case.device, case.card))
        if not spec.prepares or not card or not _applies(spec.prepares, case) or builds[case.build_id].target:
            cases.append(case)
            continue
        versions[key] = versions[key] if key in versions else _versions(spec)
        build = _build(suite, builds[case.build_id], case, spec, {**card, **versions[key]})
        builds.setdefault(build.build_id, build)
        cases.append(case.model_copy(update={"build_id": build.build_id}))
    return suite.model_copy(update={"cases": tuple(cases), "builds": tuple(builds.values())})


def target_of(suite: Suite, case: Case) -> Build | None:
    """The build that prepared the model of a case for its device; None if there is none."""
    build = suite.build(case.build_id)
    return build if build.target else None


def device_of(task: Task) -> str | None:
    """Device of a case, or that a build is for; None for any other build."""
    of: Case | Target | None = task.case or (task.build.target if task.build else None)
    return of.device if of else None


def chosen_card(task: Task) -> str | None:
    """UUID of the card that a case, or the cases of a build, choose; None: they choose none."""
    of: Case | Target | None = task.case or (task.build.target if task.build else None)
    return of.card if of else None


def _applies(prepares: Prepares, case: Case) -> bool:
    return case.load is None and case.device in prepares.devices and prepares.options.items() <= case.engine_options.items()


def _facts(card: Mapping[str, Any] | None) -> dict[str, str | None] | None:
    """What of a card a prepared model depends on; None if that is unknown."""
    if card is None or card.get("mig") or not all(card.get(name) for name in CARD_FACTS[:3]):
        return None
    return {name: None if card.get(name) is None else str(card[name]) for name in CARD_FACTS}


def _build(suite: Suite, parent: Build, case: Case, spec: EngineSpec, depends_on: Mapping[str, str | None]) -> Build:
    """The build of a case; cases of the same model, options, batch and threads on equal cards share it."""
    assert spec.prepares
    fields = case.model_dump(include={"engine", "engine_options", "device", "card", "batch_size", "threads"})
    target = Target(**fields, depends_on=dict(depends_on))
    model, own = suite.model(case.model), {k: v for k, v in case.engine_options.items() if k not in spec.prepares.options}
    step = Step(recipe=spec.prepares.format, parameters=own)
    content = {
        "parent": parent.build_id,
        "target": target.model_dump(mode="json", exclude={"card"}),
        "version": spec.prepares.version,
        "format": spec.prepares.format,
        "shapes": model.model_dump(mode="json", include={"input_shapes"}),
        "data": [case.dataset_id, model.test.content() if model.test else None],
        "trusted": model.trusted,
    }
    return Build(
        build_id=content_hash(content)[:24],
        model=model.name,
        step=step,
        parent=parent.build_id,
        data_id=case.dataset_id,
        format=spec.prepares.format,
        lineage=(*parent.lineage, _text(step, spec, target)),
        target=target,
    )


def _text(step: Step, spec: EngineSpec, target: Target) -> str:
    """`tensorrt for NVIDIA H100 (9.0), driver 580.65.06, tensorrt 10.9.0, batch 32`."""
    needs = target.depends_on
    libraries = [f"{name} {version or 'not found'}" for name, version in needs.items() if name not in (*CARD_FACTS, *spec.packages)]
    card = f"{needs['name']} ({needs['compute_capability']}), driver {needs['driver']}"
    return ", ".join([f"{call_text(step.recipe, spec.parameters, step.parameters)} for {card}", *libraries, f"batch {target.batch_size}"])


def _versions(spec: EngineSpec) -> dict[str, str | None]:
    """Versions of the packages and libraries of an engine, in its environment; None: not installed."""
    try:
        python = venvs.python(spec)
    except EngineError:
        return dict.fromkeys(spec.packages)
    return {**venvs.versions(venvs.used(spec), spec.packages), **_libraries(python, spec.name)}


def _libraries(python: str, engine: str) -> Mapping[str, str | None]:
    """What `Engine.libraries` returns in the engine's environment; empty if it fails, and then so does the build, which asks again."""
    command: Sequence[str] = [python, "-P", "-m", "harness.worker.libraries", engine]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return {}
