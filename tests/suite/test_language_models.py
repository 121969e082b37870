"""Routes of language models in a suite: what a user writes, and the builds and refusals that follow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness import plugins
from harness.schema import EngineSpec
from harness.suite import load_suite
from tests.gguf_models import tiny
from tests.hf_models import hf_folder

SUITE = """\
name: x
models:
  - smollm2-135m
  - {{name: mine, path: tiny.gguf}}
  - {{name: folder, path: tiny-llama}}
  - {{name: random, workload: random-llama, options: {{layers: 1, dim: 64}}}}
  - {{name: twin, workload: random-llama-hf}}
matrices:
  - {{engines: [server], variants: [{variants}]}}
"""


@pytest.fixture
def suite(tmp_path):
    """The suite with some variants, and an engine that opens both formats."""
    tiny(tmp_path)
    hf_folder(tmp_path)
    engines = {"server": EngineSpec(name="server", formats=("gguf", "hf"))}

    def load(variants):
        (tmp_path / "suite.yaml").write_text(SUITE.format(variants=variants))
        return load_suite(tmp_path / "suite.yaml", replace(plugins.catalogue(), engines=engines))

    return load


def test_each_model_is_stored_in_its_format(suite):
    """By its suffix, its folder or its framework; none has data or a metric."""
    made = suite("dense")
    formats = {case.model: made.build(case.build_id).format for case in made.cases}
    assert formats == {"smollm2-135m": "gguf", "mine": "gguf", "folder": "hf", "random": "gguf", "twin": "hf"}
    assert all(model.metric is None and model.test is None for model in made.models) and not made.impossible


def test_variants_are_made_from_gguf_files(suite):
    """`float16` by a recipe of its own; a folder has no such variant, with the reason."""
    made = suite("float16, q8_0, q4_0, q4_k_m, [q8_0, q4_0]")
    lineage = {case.variant: made.build(case.build_id).lineage[1:] for case in made.cases if case.model == "mine"}
    assert lineage == {
        "float16": ("gguf_float16 (gguf)",),
        "q8_0": ("q8_0 (gguf)",),
        "q4_0": ("q4_0 (gguf)",),
        "q4_k_m": ("q4_k_m (gguf)",),
        "q8_0+q4_0": ("q8_0 (gguf)", "q4_0 (gguf)"),
    }
    reasons = {each.reason for each in made.impossible if each.case_id.startswith("folder/q8_0/")}
    assert reasons == {"q8_0 takes gguf, but the model is available only as hf (from hf)"}
    assert {case.model for case in made.cases} == {"smollm2-135m", "mine", "random"}
