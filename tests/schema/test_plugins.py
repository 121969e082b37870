"""The precision that a case requests."""

from __future__ import annotations

import pytest

from harness.schema import Catalogue, EngineSpec, Step, VariantSpec
from tests.tasks import CASE

VARIANTS = {
    name: VariantSpec(name=name, conversions=(), precision=p) for name, p in (("prune", None), ("int8", "int8"), ("fp16", "float16"))
}
ENGINES = {"real": EngineSpec(name="real", formats=()), "double": EngineSpec(name="double", formats=(), simulated=True)}


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
    ],
)
def test_the_last_step_that_requests_a_precision_decides(recipes, engine, precision):
    """A test double computes nothing, so nothing is requested of it."""
    catalogue = Catalogue(ENGINES, {}, VARIANTS, {})
    case = CASE.model_copy(update={"engine": engine, "steps": tuple(Step(recipe=recipe) for recipe in recipes)})
    assert catalogue.requested_precision(case) == precision
