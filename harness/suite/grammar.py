"""The grammar of suite files as pydantic models, and their error messages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from harness.schema import Acceptance, Catalogue, Copies, Limits, Training
from harness.schema.served import Slo
from harness.suite.document import Document, format_value, nearest, wrong_value


class Strict(BaseModel):
    """Base of all items: unknown fields and silent conversions are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)  # codespell:ignore


Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f/\u2028\u2029]+$")]
Positive = Annotated[int, Field(ge=1, le=1_000_000)]
Text = Annotated[str, Tag("text")]
MAX_IN_FLIGHT = 1024
"""Largest number of queries in flight: their outputs are held until they are complete."""


class Samples(Strict):
    """Source of samples: exactly one of arrays, images, a table or a function."""

    inputs: Annotated[
        str | dict[str, str] | None, Field(description="`file.npz:key`, or a mapping from the model's inputs to such references")
    ] = None
    labels: Annotated[str | None, Field(description="`file.npz:key`")] = None
    images: Annotated[str | None, Field(description="a folder with a subfolder for each class, or with images without labels")] = None
    csv: Annotated[str | None, Field(description="a table with a header, one sample a row")] = None
    function: Annotated[str | None, Field(description="`package.module:function` that returns (inputs, labels); needs --trust")] = None
    label: Annotated[str | None, Field(description="column of a table with the labels")] = None
    features: Annotated[
        list[str] | dict[str, list[str]] | None, Field(description="columns of a table that are inputs; null: all except the label")
    ] = None
    classes: Annotated[
        str | None, Field(description="text file with the name of each class in the model's order; null: alphabetical order")
    ] = None
    size: Annotated[
        list[Positive] | None, Field(min_length=2, max_length=2, description="height and width of images; null: those of the model's input")
    ] = None
    scale: Annotated[float | None, Field(gt=0, description="image value = (pixel * scale - mean) / std, pixels from 0 to 255")] = None
    mean: float | list[float] | None = None
    std: float | list[float] | None = None
    samples: Annotated[Positive | None, Field(description="largest number of images, a seeded choice from each class; null: all")] = None


class Data(Strict):
    """The user's data: `train` for builds, `test` for quality only."""

    train: Samples | None = None
    test: Samples | None = None


class MetricItem(Strict):
    """A user-defined metric (`function`), a built-in one with settings (`name`), or a task of lm_eval for a served model (`lm_eval`)."""

    function: str | None = None
    direction: Annotated[Literal["higher", "lower"], Field(description="which is better; for a function")] = "higher"
    name: str | None = None
    threshold: Annotated[
        float | None,
        Field(allow_inf_nan=False, description="threshold above which a single output is class 1: 0.5 for a probability, 0 for a logit"),
    ] = None
    ignore: Annotated[int | None, Field(description="label of pixels or tokens to ignore")] = None
    lm_eval: Annotated[str | None, Field(description="task of lm_eval, or a file task.yaml that defines one, which needs --trust")] = None
    limit: Annotated[Positive | None, Field(description="number of samples of the task of lm_eval; null: all")] = None


def _shape(value: Any) -> str | None:
    """The form in which a value is written."""
    if isinstance(value, BaseModel):
        return "mapping"
    return "text" if isinstance(value, str) else "mapping" if isinstance(value, dict) else "list" if isinstance(value, list) else None


class OwnModel(Strict):
    """A user's model (`path`), or a built-in model with options (`workload`)."""

    name: Name
    path: Annotated[str, Field(min_length=1)] | None = None
    workload: str | None = None
    framework: Annotated[Text, Field(description="framework of the model that a function returns")] = "keras"
    options: dict[str, Any] = {}
    data: Data = Data()
    metric: Annotated[Text | Annotated[MetricItem, Tag("mapping")], Discriminator(_shape)] | None = None
    training: Training | None = None
    signature: Annotated[str | None, Field(min_length=1, description="signature of a .tflite to measure")] = None
    input_shapes: Annotated[
        dict[str, list[Positive]],
        Field(description="sizes of inputs with dynamic dimensions if there are no test data, of one sample: without the batch"),
    ] = {}


class EngineItem(Strict):
    """An engine with options."""

    name: str
    options: dict[str, Any] = {}


Recipe = Annotated[dict[str, dict[str, Any] | None], Tag("mapping")]
StepItem = Annotated[Text | Recipe, Discriminator(_shape)]
VariantItem = Annotated[Text | Recipe | Annotated[Annotated[list[StepItem], Field(min_length=1)], Tag("list")], Discriminator(_shape)]


class Lengths(Strict):
    """Mean lengths of the requests to a model that generates text, in tokens."""

    input: Annotated[Positive, Field(description="mean length of a prompt")]
    output: Annotated[Positive, Field(description="mean number of tokens to generate")]
    spread: Annotated[
        float, Field(ge=0, le=1, description="lengths are drawn uniformly within this fraction of the mean; 0: fixed, which march in step")
    ] = 0.5
    prompts: Annotated[str | None, Field(description="JSONL file of prompts, cut to the length; null: synthetic text")] = None


class Matrix(Strict):
    """A product of its lists, over all models or those that it names."""

    models: Annotated[list[Name] | None, Field(min_length=1, description="names of models of this suite; null: all")] = None
    variants: Annotated[list[VariantItem], Field(min_length=1)] = ["dense"]
    engines: Annotated[list[Annotated[Text | Annotated[EngineItem, Tag("mapping")], Discriminator(_shape)]], Field(min_length=1)]
    devices: Annotated[list[str], Field(min_length=1)] = ["auto"]
    batch_sizes: Annotated[list[Positive], Field(min_length=1)] = [1]
    threads: Annotated[list[Positive], Field(min_length=1)] = [1]
    scenarios: Annotated[
        list[str] | None,
        Field(
            min_length=1,
            description="load patterns: single_stream, offline; of engines that generate text closed, poisson; null: the first that the engine has",
        ),
    ] = None
    concurrency: Annotated[list[Positive], Field(min_length=1, description="requests in progress, of scenario closed")] = [1]
    rates_per_s: Annotated[
        list[Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]] | None,
        Field(min_length=1, description="mean arrivals of requests per second, of scenario poisson"),
    ] = None
    lengths: Annotated[
        list[Lengths], Field(min_length=1, description="lengths of the requests to a model that generates text, in tokens")
    ] = [Lengths(input=128, output=128)]
    copies: Annotated[
        list[Copies] | None,
        Field(
            min_length=1,
            description="whether the copies of a query between host and device are timed: inside is from host arrays to host arrays, "
            "outside is the computation alone; null: outside on the CPU, inside on any other device",
        ),
    ] = None
    in_flight: Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_IN_FLIGHT)]],
        Field(
            min_length=1, description="largest number of queries that are sent before the oldest is complete; above 1 for scenario offline"
        ),
    ] = [1]


class QualityRule(Strict):
    """When a lower quality still counts as equal."""

    margin: Annotated[
        float, Field(ge=0, lt=1, description="largest loss of quality against dense that counts as equal, as a fraction: 0.01 is one point")
    ] = 0.01


class SuiteFile(Strict):
    """A suite, as a user writes it."""

    name: Name
    models: Annotated[list[Annotated[Text | Annotated[OwnModel, Tag("mapping")], Discriminator(_shape)]], Field(min_length=1)]
    matrices: Annotated[list[Matrix], Field(min_length=1)]
    domains: Literal["auto"] | Annotated[list[Name], Field(min_length=1)] = "auto"
    allow: Annotated[
        list[Literal["mig_shared"]],
        Field(
            description="findings that are accepted although they make an energy invalid: mig_shared uses the energy of the whole GPU for a case on a MIG slice"
        ),
    ] = []
    quality: QualityRule = QualityRule()
    stopping: Annotated[
        Literal["half_width", "open_pairs"],
        Field(
            description="cases that are repeated after the first repetitions: each until its interval is narrow (half_width), or those for "
            "which it is undecided whether they are on the front of energy, latency and quality (open_pairs); the quick profile repeats none"
        ),
    ] = "half_width"
    limits: Limits = Limits()
    acceptance: Annotated[Acceptance | None, Field(description="rules that a run must keep to be used for a procurement")] = None
    slo: Annotated[Slo | None, Field(description="objectives of a request, for the goodput of cases that generate text")] = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @property
    def model_names(self) -> list[str]:
        """Names of the models; of a built-in one the last part, `resnet50` of `torchvision/resnet50`."""
        return [item.rpartition("/")[2] if isinstance(item, str) else item.name for item in self.models]


SECTIONS: Mapping[str, type[BaseModel]] = {
    "matrices": Matrix,
    "lengths": Lengths,
    "models": OwnModel,
    "data": Data,
    "train": Samples,
    "test": Samples,
    "metric": MetricItem,
    "training": Training,
    "quality": QualityRule,
    "limits": Limits,
    "acceptance": Acceptance,
    "slo": Slo,
    "engines": EngineItem,
}
TAGS = {
    *("text", "mapping", "list", "str", "dict[str,str]", "literal['auto']", "constrained-str"),
    *("list[str]", "dict[str,list[str]]", "float", "list[float]", "MetricItem"),
}


def parse(document: Document) -> SuiteFile:
    """The content of a suite file.

    Raises:
        SuiteError: All errors, each with its line.
    """
    if not isinstance(document.values, dict):
        document.add_problem(
            (),
            "a suite must be a mapping with `name`, `models` and `matrices`" + ("; the file is empty" if document.values is None else ""),
        )
        document.check()
    try:
        return SuiteFile.model_validate(document.values)
    except ValidationError as error:
        for problem in error.errors():
            _add_problem(document, problem, SuiteFile)
    document.check()
    raise AssertionError("a validation error without a problem")


def validate_parameters(
    document: Document, place: Sequence[str | int], owner: str, model: type[BaseModel] | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Parameters or options with defaults; errors are added to the document."""
    if model is None:
        for name in given:
            document.add_problem((*place, name), f"{owner} takes no parameters: remove {name!r}")
        return {}
    try:
        return model.model_validate(given, strict=True).model_dump()
    except ValidationError as error:
        for problem in error.errors():
            _add_problem(document, {**problem, "loc": (*place, *problem["loc"])}, model, owner)
    return {}


def json_schema(catalogue: Catalogue) -> dict[str, Any]:
    """The grammar as a JSON schema, with the names of all installed plug-ins."""
    schema = SuiteFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "harness suite"
    recipes = {name: _or_null(_parameters_schema(spec.parameters)) for name, spec in catalogue.named_variants().items()}
    step = {
        "oneOf": [
            {"enum": ["dense", *sorted(recipes)]},
            {"type": "object", "properties": recipes, "additionalProperties": False, "maxProperties": 1, "minProperties": 1},
        ]
    }
    matrix = schema["$defs"]["Matrix"]["properties"]
    matrix["variants"]["items"] = {"anyOf": [step, {"type": "array", "items": step, "minItems": 1}]}
    matrix["engines"]["items"] = {
        "anyOf": [
            {"enum": sorted(catalogue.engines)},
            *(
                {
                    "type": "object",
                    "properties": {"name": {"const": name}, "options": _parameters_schema(spec.parameters)},
                    "required": ["name"],
                    "additionalProperties": False,
                }
                for name, spec in sorted(catalogue.engines.items())
            ),
        ]
    }
    open_families = [
        {"type": "string", "pattern": f"^{re.escape(name)}/."} for name, spec in sorted(catalogue.workloads.items()) if spec.any_member
    ]
    schema["properties"]["models"]["items"] = {
        "anyOf": [{"enum": sorted(built_in_names(catalogue))}, *open_families, {"$ref": "#/$defs/OwnModel"}]
    }
    return schema


def built_in_names(catalogue: Catalogue) -> list[str]:
    """Names of the built-in models in a suite: `digits-cnn`, `family/member`; not those of a family with any member."""
    return [
        name
        for workload, spec in catalogue.workloads.items()
        if not spec.any_member
        for name in ([f"{workload}/{member}" for member in spec.members] or [workload])
    ]


def _parameters_schema(model: type[BaseModel] | None) -> dict[str, Any]:
    return model.model_json_schema() if model else {"type": "object", "maxProperties": 0}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that also accepts nothing, as in `- prune:`."""
    return {"anyOf": [schema, {"type": "null"}]}


def _add_problem(document: Document, problem: Mapping[str, Any], root: type[BaseModel], owner: str = "") -> None:
    """Add one of pydantic's errors to the document."""
    place = [part for part in problem["loc"] if part not in TAGS]
    document.add_problem(place, _sentence(problem, place, root, owner))


def _sentence(problem: Mapping[str, Any], place: Sequence[str | int], root: type[BaseModel], owner: str) -> str:
    kind, given, context = problem["type"], problem.get("input"), problem.get("ctx", {})
    what = next((str(part) for part in reversed(place) if isinstance(part, str)), "the suite")
    if kind == "extra_forbidden":  # codespell:ignore
        if owner:
            return f"unknown parameter of {owner} {what!r}{nearest(what, root.model_fields)}"
        section = next((part for part in reversed(place[:-1]) if part in SECTIONS), None)
        return f"unknown field {what!r}{_meant(what, str(section) if section else None)}"
    if kind == "list_type" and what == "copies":
        return "'copies' must be a list: write [inside], [outside] or [inside, outside]"
    if kind == "union_tag_not_found":
        return f"{what}: {format_value(given)} is neither a name nor a mapping" + (
            "; put a name that YAML reads as nothing in quotes" if given is None else ""
        )
    if kind == "literal_error":
        choices = [choice.strip("'") for choice in str(context.get("expected", "")).replace(" or ", ", ").split(", ")]
        return f"{what!r} cannot be {format_value(given)}{nearest(given, choices)}"
    return wrong_value(what, problem, _unit(what))


def _meant(name: str, section: str | None) -> str:
    """The nearest field of this section, or of another one if that is nearer."""
    here = SECTIONS[section].model_fields if section else SuiteFile.model_fields
    elsewhere = {field: where for where, model in SECTIONS.items() for field in model.model_fields}
    close = difflib.get_close_matches(name, [*here, *elsewhere], n=1, cutoff=0.5)
    if close and close[0] not in here and not difflib.get_close_matches(name, here, n=1, cutoff=0.8):
        return f"; did you mean {close[0]!r}, which belongs under {elsewhere[close[0]]!r}?"
    return nearest(name, here)


def _unit(name: str) -> str:
    units = {"_s": " of seconds", "_bytes": " of bytes", "_j": " of joules", "_w": " of watts"}
    fraction = " (a fraction: 0.01 is 1 %)" if name == "margin" or "sparsity" in name else ""
    return next((text for suffix, text in units.items() if name.endswith(suffix)), fraction)
