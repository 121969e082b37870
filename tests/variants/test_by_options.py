"""Variants that change no artifact."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import plugins
from harness.errors import EngineError
from harness.schema import Step
from harness.variants.base import Job
from harness.variants.by_options import Bfloat16, Compile, Fp8, Int4WeightOnly, Sparse24, Tf32
from tests.tasks import CASE


@pytest.mark.parametrize("variant", [Bfloat16, Compile, Fp8, Int4WeightOnly, Sparse24, Tf32])
def test_there_is_nothing_to_build_and_an_engine_applies_it(variant):
    """With options that it has."""
    with pytest.raises(EngineError, match="changes no artifact") as caught:
        variant().apply(Job(Path("x"), "torch", "torch", Path("x")))
    assert caught.value.refused
    engines = [engine for engine in plugins.catalogue().engines.values() if variant.spec.name in engine.by_options]
    assert engines
    for engine in engines:
        case = CASE.model_copy(update={"engine": engine.name, "steps": (Step(recipe=variant.spec.name),)})
        assert plugins.catalogue().requested_precision(case) == variant.spec.precision
        assert engine.parameters
        engine.parameters(**engine.by_options[variant.spec.name])
