"""Separate virtual environments that the builds and cases of a suite run in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness import venvs
from harness.schema import Build, Case, Catalogue, PluginSpec, Suite
from harness.suite.routes import importer


@dataclass(frozen=True)
class Need:
    """An environment that a suite needs.

    Attributes:
        environment: The environment.
        case_ids: Cases that need it, for their engine or for a build.
    """

    environment: venvs.VirtualEnvironment
    case_ids: tuple[str, ...]


def needs(suite: Suite, catalogue: Catalogue) -> list[Need]:
    """The separate environments that the cases of a suite need, by name; not those that ours replaces."""
    builds = {build.build_id: build for build in suite.builds}
    case_ids: dict[str, list[str]] = {}
    for case in suite.cases:
        for name in {name for spec in _specs(case, suite, builds, catalogue) if (name := venvs.used(spec))}:
            case_ids.setdefault(name, []).append(case.case_id)
    return [Need(each, tuple(case_ids[each.name])) for each in venvs.environments(catalogue) if each.name in case_ids]


def _specs(case: Case, suite: Suite, builds: Mapping[str, Build], catalogue: Catalogue) -> Iterator[PluginSpec]:
    """The plug-ins whose libraries a case needs: its engine with the programs that it starts, and what makes its artifact and its data."""
    yield catalogue.engines[case.engine].at(case.device)
    yield from catalogue.engines[case.engine].started(case.engine_options)
    evaluator = catalogue.engines[case.engine].evaluator
    if evaluator and suite.model(case.model).lm_eval:
        yield evaluator
    open_ids = [case.build_id, case.dataset_id]
    while open_ids:
        if build_id := open_ids.pop():
            build = builds[build_id]
            yield maker(build, suite, catalogue)
            open_ids += [build.parent, build.data_id]


def maker(build: Build, suite: Suite, catalogue: Catalogue) -> PluginSpec:
    """The plug-in in whose environment a build runs."""
    if build.target:
        return catalogue.engines[build.target.engine].at(build.target.device)
    model = suite.model(build.model)
    if build.step.recipe == "data":  # with a parent it reads the size of images from the model
        return catalogue.formats[suite.build(build.parent).format] if build.parent else importer(model, catalogue)
    if build.step.recipe == "dataset":  # the framework is not needed for the data
        return catalogue.workloads[str(model.workload)]
    return catalogue.variants.get(build.step.recipe) or importer(model, catalogue)
