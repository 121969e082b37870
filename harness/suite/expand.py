"""Written matrices x resolved models -> cases, the builds they need, and the pairs that cannot be, each with its reason."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from harness import venvs
from harness.schema import Build, Case, Catalogue, EngineSpec, Impossible, Model, Step, Suite, VariantSpec
from harness.suite.content import unfit_batch
from harness.suite.document import Document, Place, nearest
from harness.suite.grammar import EngineItem, Matrix, SuiteFile, validate_parameters

SCENARIOS = ("single_stream", "offline")
# What it takes to begin a chain; their versions belong to what comes out.
FIRST_PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "numpy", "scikit-learn")
FIRST_VERSIONS = {"onnx": 2, "tflite": 2}
"""Raised when the first step of a format counts otherwise, so that no artifact in the cache keeps what was counted before."""
DATA_PACKAGES = ("numpy", "pandas", "pillow")


class Variant(NamedTuple):
    """A chain of steps, and its one canonical text."""

    text: str
    steps: tuple[Step, ...]


class EngineChoice(NamedTuple):
    """An engine with its options, and its canonical text."""

    text: str
    spec: EngineSpec
    options: dict[str, Any]


class Hop(NamedTuple):
    """One step of a route: what is done, and the format that comes out."""

    step: Step
    format: str


def expand(
    document: Document, written: SuiteFile, models: Sequence[Model | None], catalogue: Catalogue, devices: Collection[str], device: str
) -> Suite:
    """The suite with every cell of its matrices as a case or as impossible."""
    expansion = _Expansion(document, catalogue, written.seed, devices, device)
    for index, matrix in enumerate(written.matrices):
        expansion.matrix(("matrices", index), matrix, [model for model in models if model])
    document.check()
    # The cases of one model stand together, whichever matrix they come from.
    places = {model.name: place for place, model in enumerate(models) if model}
    cases = _with_baselines(sorted(expansion.cases.values(), key=lambda case: places[case.model]))
    if not cases and not expansion.impossible:
        document.add_problem(("matrices",), f"no case is left for device {device!r}")
    found = tuple(model for model in models if model)
    return Suite(
        models=found,
        cases=tuple(cases),
        builds=tuple(expansion.builds.values()),
        impossible=tuple(expansion.impossible.values()),
        **of_file(written, found),
    )


def of_file(written: SuiteFile, models: Sequence[Model]) -> dict[str, Any]:
    """The fields of a `Suite` that its matrices do not decide, its hash among them."""
    return {
        "name": written.name,
        "sha256": _hash(_content(written), [_identity(model) for model in models]),
        "domains": None if written.domains == "auto" else tuple(written.domains),
        "allow": tuple(dict.fromkeys(written.allow)),
        "quality_margin": written.quality.margin,
        "stopping": written.stopping,
        "limits": written.limits,
        "seed": written.seed,
    }


class _Expansion:
    """Collects what the matrices ask for; the same cell asked for twice is one case."""

    def __init__(self, document: Document, catalogue: Catalogue, seed: int, devices: Collection[str], device: str) -> None:
        self.document, self.catalogue, self.seed, self.present, self.device = document, catalogue, seed, devices, device
        self.cases: dict[str, Case] = {}
        self.builds: dict[str, Build] = {}
        self.impossible: dict[str, Impossible] = {}

    def matrix(self, place: Place, matrix: Matrix, models: Sequence[Model]) -> None:
        """Add one matrix."""
        variants = [self._variant((*place, "variants", i), item) for i, item in enumerate(matrix.variants)]
        engines = [self._engine((*place, "engines", i), item) for i, item in enumerate(matrix.engines)]
        known = ("auto", *sorted({d for spec in self.catalogue.engines.values() for d in spec.devices}))
        self._check_names((*place, "devices"), "device", matrix.devices, known)
        self._check_names((*place, "scenarios"), "scenario", matrix.scenarios, SCENARIOS)
        for model, variant, engine in itertools.product(models, variants, engines):
            if variant and engine and self._data_suffices(place, model, variant):
                cells = itertools.product(self._devices(matrix, engine.spec), matrix.batch_sizes, matrix.threads, matrix.scenarios)
                for device, batch_size, threads, scenario in cells:
                    self._cell(model, variant, engine, device=device, batch_size=batch_size, threads=threads, scenario=scenario)

    # --- names ---

    def _check_names(self, place: Place, what: str, given: Sequence[str], known: Sequence[str]) -> None:
        for index, name in enumerate(given):
            if name not in known:
                self.document.add_problem((*place, index), f"no {what} is named {name!r}{nearest(name, known)}")

    def _engine(self, place: Place, item: str | EngineItem) -> EngineChoice | None:
        name, given = (item, {}) if isinstance(item, str) else (item.name, item.options)
        spec = self.catalogue.engines.get(name)
        if spec is None:
            broken = self.catalogue.broken.get(name)
            self.document.add_problem(place, broken or f"no engine is named {name!r}{nearest(name, self.catalogue.engines)}")
            return None
        options = validate_parameters(self.document, (*place, "options"), f"engine {name}", spec.parameters, given)
        return EngineChoice(_call(name, spec.parameters, options), spec, options)

    def _variant(self, place: Place, item: Any) -> Variant | None:
        """One written variant: a name, `{recipe: parameters}`, or a list of those."""
        written = item if isinstance(item, list) else [item]
        steps, texts = [], []
        for index, part in enumerate(written):
            here = (*place, index) if isinstance(item, list) else place
            if part == "dense":
                if len(written) > 1:
                    self.document.add_problem(here, "'dense' is the model as it is: it is no step of a chain")
                continue
            step = self._step(here, part)
            if step is None:
                return None
            steps.append(step)
            texts.append(_call(step.recipe, self.catalogue.variants[step.recipe].parameters, step.parameters))
        return Variant("+".join(texts) or "dense", tuple(steps))

    def _step(self, place: Place, part: str | dict[str, dict[str, Any] | None]) -> Step | None:
        if isinstance(part, dict) and len(part) != 1:
            self.document.add_problem(
                place, f"a variant is one recipe with its parameters, not {len(part)} of them: write a list for a chain"
            )
            return None
        name, given = (part, {}) if isinstance(part, str) else next((recipe, values or {}) for recipe, values in part.items())
        recipes = {recipe: spec for recipe, spec in self.catalogue.variants.items() if not spec.exporter}
        if name not in recipes:
            broken = self.catalogue.broken.get(name)
            self.document.add_problem(place, broken or f"no variant is named {name!r}{nearest(name, ['dense', *recipes])}")
            return None
        parameters = validate_parameters(self.document, (*place, name), name, recipes[name].parameters, given)
        return Step(recipe=name, parameters=parameters)

    def _data_suffices(self, place: Place, model: Model, variant: Variant) -> bool:
        """Whether the model has the training data that the variant needs; test data never enters a build."""
        for step in variant.steps:
            needs = self.catalogue.variants[step.recipe].needs
            labelled = model.train.labelled if model.train else model.brings == "labelled"
            has_data = model.train is not None or model.brings is not None
            lacks_labels = "labels" in needs and has_data and not labelled
            if needs and (not has_data or lacks_labels):
                what = "labels in `data.train`" if lacks_labels else "`data.train`"
                self.document.add_problem(
                    (*place, "variants"),
                    f"{step.recipe} needs {what}, which model {model.name!r} does not have (test data never enters a build)",
                )
                return False
        return True

    def _devices(self, matrix: Matrix, engine: EngineSpec) -> Iterator[str]:
        """The devices of one engine in a matrix: `auto` is each it can use and the machine has; the command line may keep one."""
        for device in matrix.devices:
            able = [d for d in engine.devices if d not in engine.on_request and (d in self.present or d == self.device)]
            chosen = able if device == "auto" else [device]
            yield from (d for d in chosen if self.device in ("auto", d))

    # --- cells ---

    def _cell(
        self, model: Model, variant: Variant, engine: EngineChoice, *, device: str, batch_size: int, threads: int, scenario: str
    ) -> None:
        rest = f"{engine.text}/{device}/b{batch_size}/t{threads}/{scenario}"
        case_id = f"{model.name}/{variant.text}/{rest}"
        if case_id in self.cases:
            return
        if device not in engine.spec.devices:
            self.impossible[case_id] = Impossible(
                case_id=case_id, reason=f"{engine.spec.name} runs on {', '.join(engine.spec.devices)}, not on {device}"
            )
            return
        if "*" not in engine.spec.formats and (unfit := unfit_batch(model, batch_size)):
            self.impossible[case_id] = Impossible(case_id=case_id, reason=unfit)
            return
        route = find_route(model, variant.steps, engine.spec, self.catalogue.variants)
        if isinstance(route, str):
            self.impossible[case_id] = Impossible(case_id=case_id, reason=route)
            return
        builds = self._builds(model, route)
        self.cases[case_id] = Case(
            case_id=case_id,
            model=model.name,
            variant=variant.text,
            steps=variant.steps,
            engine=engine.spec.name,
            engine_options=engine.options,
            device=device,
            batch_size=batch_size,
            threads=threads,
            scenario=scenario,
            build_id=builds[-1].build_id,
            dataset_id=self._test_data_id(model, builds[0]),
            baseline_case_id=f"{model.name}/dense/{rest}",
        )

    def _builds(self, model: Model, route: Sequence[Hop]) -> list[Build]:
        """The chain of builds along a route; each id is the hash of all that determines its result."""
        chain: list[Build] = []
        for hop in route:
            spec = self.catalogue.variants.get(hop.step.recipe)
            needs_data = bool(spec and spec.needs)
            data_id = self._data_build(model, "train", chain[0]).build_id if needs_data and model.train and model.train.source else None
            content = {
                "model": model.sha256,
                "parent": chain[-1].build_id if chain else None,
                "step": hop.step.model_dump(mode="json"),
                "version": spec.version if spec else FIRST_VERSIONS.get(model.format, 1),
                "format": hop.format,
                "packages": venvs.versions(spec.venv, spec.packages) if spec else venvs.versions(None, FIRST_PACKAGES),
                "data": model.train.content() if needs_data and model.train else None,
                "training": model.training.model_dump(mode="json") if needs_data and model.training else None,
                "seed": self.seed,
                "trusted": model.trusted,
            }
            build = Build(
                build_id=_hash(content)[:24],
                model=model.name,
                step=hop.step,
                parent=chain[-1].build_id if chain else None,
                data_id=data_id,
                format=hop.format,
                lineage=(*(chain[-1].lineage if chain else ()), self._lineage_text(hop, spec)),
            )
            chain.append(self.builds.setdefault(build.build_id, build))
        return chain

    def _test_data_id(self, model: Model, first: Build) -> str | None:
        """The build that writes the test data; null where they are arrays already, or none."""
        if model.brings:
            return first.build_id
        return self._data_build(model, "test", first).build_id if model.test and model.test.source else None

    def _data_build(self, model: Model, split: str, source: Build) -> Build:
        """The build that turns one split of the user's samples into arrays; images take their size from the model.

        Args:
            model: Whose data.
            split: train or test: never both in one, so that none sees the other's.
            source: The first build of the model.
        """
        data = getattr(model, split)
        sized = data.source.kind == "images"
        names = class_names(model, split)
        parent = source.build_id if sized else None
        content = [parent, split, data.content(), names, venvs.versions(None, DATA_PACKAGES), self.seed if sized else None, model.trusted]
        build = Build(
            build_id=_hash(content)[:24],
            model=model.name,
            step=Step(recipe="data", parameters={"split": split, "classes": names}),
            parent=parent,
            format="npz",
            lineage=(*(source.lineage if sized else ()), f"data({split})"),
        )
        return self.builds.setdefault(build.build_id, build)

    @staticmethod
    def _lineage_text(hop: Hop, spec: VariantSpec | None) -> str:
        text = _call(hop.step.recipe, spec.parameters if spec else None, hop.step.parameters)
        return f"{text} ({hop.format})" if hop.step.recipe not in ("dataset", "train") else text


def class_names(model: Model, split: str) -> list[str]:
    """The classes of a split in the order of their numbers: those of the training data, so that both splits number alike."""
    refs = [ref for ref in (model.train, getattr(model, split)) if ref and ref.source]
    return next((list(ref.source.options["classes"]) for ref in refs if ref.source and ref.source.options.get("classes")), [])


def find_route(model: Model, steps: Sequence[Step], engine: EngineSpec, variants: Mapping[str, VariantSpec]) -> list[Hop] | str:
    """The shortest way from a model to an artifact the engine opens, taking the variant's steps in order and exporters where needed.

    Of two ways that are as short, the one that exports first: the recipe is then that of the engine's own format.

    Returns:
        The hops from the first build on, or the reason why there is none.
    """
    data = [Hop(Step(recipe="dataset"), "npz")] if model.brings else []
    chosen = {"signature": model.signature} if model.signature else {}
    start = [*data, Hop(Step(recipe="train" if model.trains else "source", parameters=chosen), _native(model.format))]
    exporters = {name: spec for name, spec in variants.items() if spec.exporter}
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
        queue.extend(
            ([*hops, Hop(Step(recipe=name), out)], done)
            for name, spec in exporters.items()
            for source, out in spec.conversions
            if source == have
        )
        if done < len(steps):
            queue.extend(
                ([*hops, Hop(steps[done], out)], done + 1) for source, out in variants[steps[done].recipe].conversions if source == have
            )
    furthest = max(done for _, done in seen)
    return _no_route(_native(model.format), steps, engine, variants, {have for have, done in seen if done == furthest}, furthest)


def _no_route(
    start: str, steps: Sequence[Step], engine: EngineSpec, variants: Mapping[str, VariantSpec], reached: Collection[str], done: int
) -> str:
    way = f"from {start} {'with ' + '+'.join(step.recipe for step in steps[:done]) + ' ' if done else ''}only {', '.join(sorted(reached))}"
    if done < len(steps):
        recipe = steps[done].recipe
        takes = sorted({source for source, _ in variants[recipe].conversions})
        return f"{recipe} takes {' or '.join(takes)}; {way} can be had here"
    return f"{engine.name} opens {' or '.join(engine.formats)}; {way} can be had"


def _native(format_: str) -> str:
    """The format in which the first build leaves a model."""
    return "keras" if format_ in ("h5", "python", "workload") else format_


def _with_baselines(cases: Collection[Case]) -> list[Case]:
    """The cases, each with its dense baseline where the suite has it."""
    ids = {case.case_id for case in cases}
    return [case if case.baseline_case_id in ids else case.model_copy(update={"baseline_case_id": None}) for case in cases]


def _call(name: str, model: type[BaseModel] | None, values: Mapping[str, Any]) -> str:
    """A name with the parameters that say something: those that are not the default, or that are declared `shown`."""
    if model is None:
        return name
    said = []
    for key, field in model.model_fields.items():
        extra = field.json_schema_extra
        shown = isinstance(extra, dict) and extra.get("shown")
        if key in values and (shown or field.is_required() or values[key] != field.get_default(call_default_factory=True)):
            said.append(f"{key}={_number(values[key])}")
    return f"{name}({', '.join(said)})" if said else name


def _number(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _content(written: SuiteFile) -> dict[str, Any]:
    """What the suite's hash is of; a field that came later is in it only where it says something new, so that old runs keep their hash."""
    content = written.model_dump(mode="json", exclude={"models"})
    later = {"stopping": "half_width", "allow": []}
    return {name: value for name, value in content.items() if name not in later or value != later[name]}


def _identity(model: Model) -> dict[str, Any]:
    """What makes a model the same on another machine: not its path."""
    fields = {"name", "workload", "format", "sha256", "metric", "training", "trusted"}
    content = model.model_dump(mode="json", include=fields)
    content |= {split: ref.content() if (ref := getattr(model, split)) else None for split in ("train", "test")}
    later: dict[str, Any] = {
        "metric_direction": "higher",
        "metric_threshold": None,
        "metric_ignore": None,
        "signature": None,
        "input_shapes": {},
    }
    values = model.model_dump(mode="json", include=set(later))  # in it only where they say something, so that old runs keep their hash
    return {**content, **{name: value for name, value in values.items() if value != later[name]}}


def _hash(*content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
