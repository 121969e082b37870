"""The precision that a case requests."""

from __future__ import annotations

import pytest

from harness.schema import Catalogue, EngineSpec, Step, VariantSpec
from tests.tasks import CASE

VARIANTS = {
    name: VariantSpec(name=name, conversions=(), precision=p) for name, p in (("prune", None), ("int8", "int8"), ("fp16", "float16"))
}
VARIANTS["half"] = VariantSpec(name="half", conversions=(), applied_precision="float16")
ENGINES = {
    "real": EngineSpec(name="real", formats=()),
    "double": EngineSpec(name="double", formats=(), simulated=True),
    "casting": EngineSpec(name="casting", formats=(), by_options={"half": {"dtype": "half"}, "prune": {"zeros": True}}),
}


def test_a_spec_may_differ_on_a_device():
    """Its other fields, and its fields on other devices, stay."""
    spec = EngineSpec(
        name="real", formats=("onnx",), packages=("cpu-package",), by_device={"gpu": {"venv": "apart", "packages": ("gpu-package",)}}
    )
    assert spec.at("cpu") == spec
    assert (spec.at("gpu").venv, spec.at("gpu").packages, spec.at("gpu").formats) == ("apart", ("gpu-package",), ("onnx",))


@pytest.mark.parametrize(
    ("recipes", "engine", "precision"),
    [
        ((), "real", None),
        (("prune",), "real", None),
        (("prune", "int8"), "real", "int8"),
        (("int8", "prune"), "real", "int8"),
        (("int8", "fp16"), "real", "float16"),
        (("int8", "unknown"), "not installed", "int8"),
        (("int8",), "double", None),
        (("half",), "real", None),
        (("half",), "casting", "float16"),
        (("int8", "half", "prune"), "casting", "float16"),
    ],
)
def test_the_last_step_that_requests_a_precision_decides(recipes, engine, precision):
    """A test double computes nothing, so nothing is requested of it."""
    catalogue = Catalogue(ENGINES, {}, VARIANTS, {})
    case = CASE.model_copy(update={"engine": engine, "steps": tuple(Step(recipe=recipe) for recipe in recipes)})
    assert catalogue.requested_precision(case) == precision


def test_an_option_of_the_engine_requests_what_the_variant_would():
    """A dense case with it must run in that precision too."""
    catalogue = Catalogue(ENGINES, {}, VARIANTS, {})
    case = CASE.model_copy(update={"engine": "casting", "steps": (), "engine_options": {"dtype": "half", "threads": 1}})
    assert catalogue.requested_precision(case) == "float16"
    assert catalogue.requested_precision(case.model_copy(update={"engine_options": {"dtype": "float32"}})) is None
