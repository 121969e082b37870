"""Variants that an engine applies by its options."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, model_validator

from harness.schema import EngineSpec, Step, VariantSpec
from harness.suite import load_suite
from harness.suite.options import applied_text, merged_options
from tests.catalogue import CATALOGUE


class Options(BaseModel):
    """Options of an engine."""

    model_config = ConfigDict(extra="forbid")  # codespell:ignore forbid
    mode: Literal["eager", "compile"] = "eager"
    dtype: Literal["stored", "half", "brain"] = "stored"
    graphs: bool = False

    @model_validator(mode="after")
    def _compatible(self) -> Options:
        if self.graphs and self.mode == "compile":
            raise ValueError("graphs need `mode: eager`")
        return self


ENGINE = EngineSpec(
    name="flexible",
    formats=("keras",),
    devices=("cpu", "gpu"),
    parameters=Options,
    by_options={
        "broken": {"speed": "high"},
        "compile": {"mode": "compile"},
        "float16": {"dtype": "half"},
        "bfloat16": {"dtype": "brain"},
        "fast": {"dtype": "brain", "mode": "compile"},
    },
)
EMPTY = {name: VariantSpec(name=name, conversions=()) for name in ("compile", "bfloat16", "fast", "broken")}
EMPTY["tensor_cores"] = VariantSpec(name="tensor_cores", conversions=(), devices=("gpu",))


def suite(folder, variants, engines="flexible", more=""):
    """A suite of these variants of a built-in model."""
    catalogue = replace(CATALOGUE, engines={**CATALOGUE.engines, "flexible": ENGINE}, variants={**CATALOGUE.variants, **EMPTY})
    path = folder / "suite.yaml"
    path.write_text(f"name: x\nmodels: [digits-cnn]\nmatrices:\n  - {{variants: [{variants}], engines: [{engines}]{more}}}\n")
    return load_suite(path, catalogue, devices=("cpu",)), catalogue


def test_nothing_is_built_for_it_and_dense_is_its_baseline(tmp_path):
    """The case runs the dense artifact with the options of the variant."""
    made, catalogue = suite(tmp_path, "dense, compile, [bfloat16, compile]")
    dense, compiled, both = made.cases
    assert {case.build_id for case in made.cases} == {dense.build_id}
    assert dense.engine_options == {"mode": "eager", "dtype": "stored", "graphs": False}
    assert compiled.engine_options == {**dense.engine_options, "mode": "compile"}
    assert both.engine_options == {"mode": "compile", "dtype": "brain", "graphs": False}
    assert both.variant == "bfloat16+compile" and [step.recipe for step in both.steps] == ["bfloat16", "compile"]
    assert compiled.baseline_case_id == both.baseline_case_id == dense.case_id
    assert applied_text(both, catalogue) == "bfloat16: dtype=brain; compile: mode=compile"
    assert applied_text(dense, catalogue) is None


def test_a_variant_that_is_also_a_recipe_is_built_for_the_other_engines(tmp_path):
    """The engine's own options come first."""
    made, _ = suite(tmp_path, "dense, float16, [prune, float16]", "flexible, litert")
    builds = {(case.engine, case.variant): made.build(case.build_id).lineage[-1] for case in made.cases}
    assert builds["flexible", "float16"] == builds["flexible", "dense"] and "float16" in builds["litert", "float16"]
    assert "prune" in builds["flexible", "prune(final_sparsity=0.9)+float16"]


def test_written_options_stay(tmp_path):
    """The variant adds to them."""
    made, _ = suite(tmp_path, "dense, compile", "{name: flexible, options: {dtype: half}}")
    assert [case.engine_options["dtype"] for case in made.cases] == ["half", "half"]
    assert made.cases[1].case_id == "digits-cnn/compile/flexible(dtype=half)/cpu/b1/t1/single_stream"


@pytest.mark.parametrize(
    ("variants", "engines", "reason"),
    [
        ("float16", "{name: flexible, options: {dtype: brain}}", "float16 is dtype: half on flexible, but the suite sets dtype: brain"),
        (
            "compile",
            "{name: flexible, options: {mode: compile}}",
            "the suite sets mode: compile for flexible, so that compile would change",
        ),
        ("compile", "{name: flexible, options: {graphs: true}}", "flexible with compile: graphs need `mode: eager`"),
        ("[float16, bfloat16]", "flexible", "float16 is dtype: half on flexible, and bfloat16 is dtype: brain"),
        ("[compile, prune]", "flexible", "flexible applies compile when it loads the model: write that after every step that builds"),
        ("compile", "litert", "litert does not apply compile: no option of it does; engines that do: flexible"),
        ("broken", "flexible", "flexible declares the option speed for broken, but does not have it"),
        ("tensor_cores", "flexible", "tensor_cores has an effect on gpu only: no kernel of cpu uses it"),
    ],
)
def test_a_contradiction_is_unsupported_with_its_reason(tmp_path, variants, engines, reason):
    """And not run as something else."""
    made, _ = suite(tmp_path, variants, engines)
    assert not made.cases and reason in made.impossible[0].reason


def test_two_steps_may_request_the_same_option():
    """They agree."""
    steps = [Step(recipe="bfloat16"), Step(recipe="fast")]
    assert merged_options(ENGINE, Options().model_dump(), steps) == {"mode": "compile", "dtype": "brain", "graphs": False}
