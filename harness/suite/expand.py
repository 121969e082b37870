"""Expansion of matrices and models to cases, their builds, and unsupported combinations."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from harness.errors import SuiteError
from harness.schema import Case, Catalogue, Copies, EngineSpec, Impossible, Model, Step, Suite, default_copies
from harness.schema.served import TOKEN_SCENARIOS, TokenLoad
from harness.suite.builds import Builds
from harness.suite.document import Document, Place, nearest
from harness.suite.gpu_cards import names_card, resolve_card
from harness.suite.grammar import EngineItem, Matrix, SuiteFile, validate_parameters
from harness.suite.identity import call_text, suite_fields
from harness.suite.input_checks import unfit_batch
from harness.suite.options import built_steps, merged_options
from harness.suite.routes import Hop, find_route
from harness.suite.token_loads import TokenLoads, scenarios_of, unanswered


class Variant(NamedTuple):
    """A chain of steps with its canonical text."""

    text: str
    steps: tuple[Step, ...]


class EngineChoice(NamedTuple):
    """An engine and its options with their canonical text."""

    text: str
    spec: EngineSpec
    options: dict[str, Any]


class DeviceChoice(NamedTuple):
    """A device and one of its cards, with the text in the case's id."""

    text: str
    name: str
    card: str | None = None


class Cell(NamedTuple):
    """One combination of a matrix."""

    model: Model
    variant: Variant
    engine: EngineChoice
    device: DeviceChoice
    threads: int
    scenario: str
    batch_size: int
    copies: Copies
    in_flight: int
    load: TokenLoad | None = None

    @property
    def conditions(self) -> str:
        """The case's id after model and variant."""
        if self.load:
            return f"{self.engine.text}/{self.device.text}/t{self.threads}/{self.scenario}/{self.load.text}"
        copies = "" if self.copies == default_copies(self.device.name) else f"/copies_{self.copies}"
        in_flight = "" if self.in_flight == 1 else f"/in_flight_{self.in_flight}"
        return f"{self.engine.text}/{self.device.text}/b{self.batch_size}/t{self.threads}/{self.scenario}{copies}{in_flight}"

    @property
    def case_id(self) -> str:
        """The id of the case."""
        return f"{self.model.name}/{self.variant.text}/{self.conditions}"


def expand(
    document: Document, written: SuiteFile, models: Sequence[Model | None], catalogue: Catalogue, devices: Collection[str], device: str
) -> Suite:
    """The suite, with each cell of its matrices as a case or as unsupported."""
    resolved = tuple(model for model in models if model)
    expansion = _Expansion(document, catalogue, written.seed, devices, device)
    for index, matrix in enumerate(written.matrices):
        expansion.matrix(("matrices", index), matrix, resolved, written.model_names)
    document.check()
    order = {model.name: place for place, model in enumerate(resolved)}  # the cases of a model are listed together
    cases = sorted(expansion.cases.values(), key=lambda case: order[case.model])
    if not cases and not expansion.unsupported:
        document.add_problem(("matrices",), f"no case is left for device {device!r}: choose another --device")
    return Suite(
        models=resolved,
        cases=tuple(_with_baselines(cases)),
        builds=tuple(expansion.builds.by_id.values()),
        impossible=tuple(expansion.unsupported.values()),
        **suite_fields(written, resolved, cases),
    )


class _Expansion:
    """Collects the cells of the matrices; the same cell in two matrices is one case."""

    def __init__(self, document: Document, catalogue: Catalogue, seed: int, devices: Collection[str], device: str) -> None:
        self.document, self.catalogue, self.present = document, catalogue, devices
        self.card = resolve_card(device, devices) if names_card(device) else None
        self.device = "gpu" if self.card else device
        self.builds, self.token_loads = Builds(catalogue, seed), TokenLoads(document)
        self.cases: dict[str, Case] = {}
        self.unsupported: dict[str, Impossible] = {}

    def matrix(self, place: Place, matrix: Matrix, models: Sequence[Model], names: Sequence[str]) -> None:
        """Add the cells of one matrix, over the models without an error; `names` are those of all models."""
        variants = [self._variant((*place, "variants", i), item) for i, item in enumerate(matrix.variants)]
        engines = [self._engine((*place, "engines", i), item) for i, item in enumerate(matrix.engines)]
        devices = ("auto", *sorted({d for spec in self.catalogue.engines.values() for d in spec.devices}))
        self._check_names((*place, "devices"), "device", [d for d in matrix.devices if not names_card(d)], devices)
        cards = {d: card for i, d in enumerate(matrix.devices) if (card := self._card((*place, "devices", i), d))}
        self._check_names((*place, "scenarios"), "scenario", matrix.scenarios or (), scenarios_of(self.catalogue.engines.values()))
        loads = self.token_loads.of(place, matrix)
        self._check_in_flight((*place, "in_flight"), matrix)
        self._check_names((*place, "models"), "model", matrix.models or (), names)
        models = [model for model in models if matrix.models is None or model.name in matrix.models]
        for model, variant, engine in itertools.product(models, variants, engines):
            if variant and engine and self._data_suffices(place, model, variant):
                axes = self._devices(matrix, engine.spec, cards), matrix.threads, matrix.scenarios or engine.spec.scenarios[:1]
                for device, threads, scenario in itertools.product(*axes):
                    for rest in _rest(matrix, device, scenario, loads):
                        self._add(Cell(model, variant, engine, device, threads, scenario, *rest))

    # --- names ---

    def _check_names(self, place: Place, what: str, given: Sequence[str], known: Sequence[str]) -> None:
        for index, name in enumerate(given):
            if name not in known:
                self._unknown((*place, index), what, name, known)

    def _check_in_flight(self, place: Place, matrix: Matrix) -> None:
        most = max(matrix.in_flight)
        if most > 1 and "single_stream" in (matrix.scenarios or ["single_stream"]):
            self.document.add_problem(
                place,
                f"in_flight: {most} needs `scenarios: [offline]`, since single_stream sends a query after the answer to the one before; "
                "write single_stream in a matrix of its own",
            )

    def _unknown(self, place: Place, what: str, name: str, known: Collection[str]) -> None:
        self.document.add_problem(place, self.catalogue.broken.get(name) or f"unknown {what} {name!r}{nearest(name, known)}")

    def _engine(self, place: Place, item: str | EngineItem) -> EngineChoice | None:
        name, given = (item, {}) if isinstance(item, str) else (item.name, item.options)
        spec = self.catalogue.engines.get(name)
        if spec is None:
            self._unknown(place, "engine", name, self.catalogue.engines)
            return None
        options = validate_parameters(self.document, (*place, "options"), f"engine {name}", spec.parameters, given)
        return EngineChoice(call_text(name, spec.parameters, options), spec, options)

    def _variant(self, place: Place, item: Any) -> Variant | None:
        """A variant written as a name, as `{recipe: parameters}`, or as a list of those."""
        written = item if isinstance(item, list) else [item]
        steps, texts = [], []
        for index, part in enumerate(written):
            here = (*place, index) if isinstance(item, list) else place
            if part == "dense":
                if len(written) > 1:
                    self.document.add_problem(here, "'dense' is the unchanged model and cannot be a step of a chain: remove it")
                continue
            step = self._step(here, part)
            if step is None:
                return None
            steps.append(step)
            texts.append(call_text(step.recipe, self.catalogue.variants[step.recipe].parameters, step.parameters))
        return Variant("+".join(texts) or "dense", tuple(steps))

    def _step(self, place: Place, part: str | dict[str, dict[str, Any] | None]) -> Step | None:
        if isinstance(part, dict) and len(part) != 1:
            self.document.add_problem(place, f"a variant is one recipe with its parameters, not {len(part)}: write a list for a chain")
            return None
        name, given = (part, {}) if isinstance(part, str) else next((recipe, values or {}) for recipe, values in part.items())
        recipes = self.catalogue.named_variants()
        if name == "dense":
            self.document.add_problem(place, "'dense' is the unchanged model and takes no parameters: write dense")
            return None
        if name not in recipes:
            self._unknown(place, "variant", name, ["dense", *recipes])
            return None
        parameters = validate_parameters(self.document, (*place, name), name, recipes[name].parameters, given)
        return Step(recipe=name, parameters=parameters)

    def _data_suffices(self, place: Place, model: Model, variant: Variant) -> bool:
        """Whether the model has the training data that the variant needs."""
        for step in variant.steps:
            needs = self.catalogue.variants[step.recipe].needs
            labelled = model.train.labelled if model.train else model.brings == "labelled"
            has_data = model.train is not None or model.brings is not None
            lacks_labels = "labels" in needs and has_data and not labelled
            if needs and (not has_data or lacks_labels):
                what = "labels in `data.train`" if lacks_labels else "`data.train`"
                self.document.add_problem(
                    (*place, "variants"),
                    f"{step.recipe} needs {what}, which model {model.name!r} does not have: add it (test data are never used in a build)",
                )
                return False
        return True

    def _card(self, place: Place, device: str) -> str | None:
        """UUID of the card that a device names; None if it names none, or an unknown one."""
        if not names_card(device):
            return None
        try:
            return resolve_card(device, self.present)
        except SuiteError as error:
            self.document.add_problem(place, f"{error.what}: {error.hint}")
            return None

    def _devices(self, matrix: Matrix, engine: EngineSpec, cards: Mapping[str, str]) -> Iterator[DeviceChoice]:
        """Devices of one engine in a matrix, with `auto` replaced; `--device gpu:UUID` puts the cases of `gpu` on that card."""
        for device in matrix.devices:
            if names_card(device):
                if device in cards and self.device in ("auto", "gpu") and self.card in (None, cards[device]):
                    yield DeviceChoice(f"gpu:{cards[device]}", "gpu", cards[device])
                continue
            able = [d for d in engine.devices if d not in engine.on_request and (d in self.present or d == self.device)]
            for name in able if device == "auto" else [device]:
                if self.device in ("auto", name):
                    yield DeviceChoice(name, name, self.card if name == "gpu" else None)

    # --- cells ---

    def _add(self, cell: Cell) -> None:
        """Add a cell as a case or as unsupported."""
        if cell.case_id in self.cases:
            return
        model, engine = cell.model, cell.engine.spec
        if cell.device.name not in engine.devices:
            self._refuse(cell, f"{engine.name} runs on {', '.join(engine.devices)}, not on {cell.device.name}")
            return
        if reason := unanswered(engine, cell.scenario) or _untimed(cell, engine):
            self._refuse(cell, reason)
            return
        if model.lm_eval and engine.evaluator is None:
            self._refuse(cell, f"lm_eval asks a model over the API of its server, and {engine.name} has none: use the engine openai-server")
            return
        if "*" not in engine.formats and (unfit := unfit_batch(model, cell.batch_size)):
            self._refuse(cell, unfit)
            return
        route = find_route(model, built_steps(cell.variant.steps, engine), engine, self.catalogue)
        options = merged_options(engine, cell.engine.options, cell.variant.steps)
        if reason := self._wrong_device(cell, () if isinstance(route, str) else route):
            self._refuse(cell, reason)
            return
        if isinstance(route, str) or isinstance(options, str):
            self._refuse(cell, route if isinstance(route, str) else str(options))
            return
        builds = self.builds.chain(model, route)
        self.cases[cell.case_id] = Case(
            case_id=cell.case_id,
            model=model.name,
            variant=cell.variant.text,
            steps=cell.variant.steps,
            engine=engine.name,
            engine_options=options,
            device=cell.device.name,
            card=cell.device.card,
            batch_size=cell.batch_size,
            threads=cell.threads,
            scenario=cell.scenario,
            copies=cell.copies,
            in_flight=cell.in_flight,
            build_id=builds[-1].build_id,
            dataset_id=self.builds.test_data_id(model, builds[0]),
            baseline_case_id=f"{model.name}/dense/{cell.conditions}",
            load=cell.load,
        )

    def _wrong_device(self, cell: Cell, route: Sequence[Hop]) -> str | None:
        """Why no kernel of the cell's device can use a step of the variant; None if they can."""
        specs = [self.catalogue.variants.get(step.recipe) for step in (*cell.variant.steps, *(hop.step for hop in route))]
        for spec in specs:
            if spec and spec.devices and cell.device.name not in spec.devices and not cell.engine.spec.simulated:
                made = f"{spec.implements} of {cell.model.name}" if spec.implements else spec.name
                return f"{made} has an effect on {' and '.join(spec.devices)} only: no kernel of {cell.device.name} uses it"
        return None

    def _refuse(self, cell: Cell, reason: str) -> None:
        self.unsupported[cell.case_id] = Impossible(case_id=cell.case_id, reason=reason)


def _rest(matrix: Matrix, device: DeviceChoice, scenario: str, loads: Mapping[str, Sequence[TokenLoad]]) -> Iterator[tuple[Any, ...]]:
    """Batch size, copies, queries in flight and load of the cells of a scenario; one that generates text has a load instead of the others."""
    if scenario in TOKEN_SCENARIOS:
        for load in loads[scenario]:
            yield 1, default_copies(device.name), 1, load
    else:
        yield from itertools.product(matrix.batch_sizes, matrix.copies or [default_copies(device.name)], matrix.in_flight, [None])


def _untimed(cell: Cell, engine: EngineSpec) -> str | None:
    """Why an engine cannot be timed as a cell asks: its calls copy, or block; None if it can."""
    if cell.copies == "outside" and cell.device.name != "cpu" and cell.device.name not in engine.stages:
        return f"copies: outside is not available: each call of {engine.name} on {cell.device.name} copies its inputs and outputs"
    if cell.in_flight > 1 and cell.device.name not in engine.asynchronous:
        return f"in_flight: {cell.in_flight} has no effect: each call of {engine.name} on {cell.device.name} returns after its answer is complete"
    return None


def _with_baselines(cases: Collection[Case]) -> list[Case]:
    """The cases, without the id of a dense baseline that the suite does not have."""
    ids = {case.case_id for case in cases}
    return [case if case.baseline_case_id in ids else case.model_copy(update={"baseline_case_id": None}) for case in cases]
