"""Separate environments that a suite needs."""

from __future__ import annotations

import sys

import pytest

from harness import plugins, venvs
from harness.schema import Step
from harness.suite import load_suite
from harness.suite.environments import maker, needs

SUITE = """\
name: x
models: [digits-cnn-torch, {name: net, workload: torchvision/resnet18}, digits-cnn]
matrices:
  - {engines: [torch], models: [net], devices: [cpu], variants: [dense], batch_sizes: [1, 2]}
  - {engines: [onnxruntime], models: [digits-cnn-torch], devices: [cpu]}
  - {engines: [litert], models: [digits-cnn], devices: [cpu], variants: [dense, prune_low_magnitude]}
"""

SERVED = """\
name: served
models: [{name: llama, workload: random-llama}]
matrices:
  - engines: [openai-server, {name: openai-server, options: {preset: llama-server}}]
    devices: [cpu]
    concurrency: [1]
    lengths: [{input: 16, output: 24}]
"""


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A suite for three environments, none of which is installed, while ours has no PyTorch."""
    for name in ("TORCH", "TFMOT"):
        monkeypatch.setenv(f"HARNESS_VENV_{name}", str(tmp_path / "nowhere"))
    monkeypatch.setattr(venvs, "versions", lambda name, packages: dict.fromkeys(packages))
    (tmp_path / "suite.yaml").write_text(SUITE)
    return load_suite(tmp_path / "suite.yaml", plugins.catalogue())


def test_engines_and_builds_need_environments(suite):
    """A case whose engine is in ours needs one for its build; a case for which ours suffices needs none."""
    found = {need.environment.name: need for need in needs(suite, plugins.catalogue())}
    assert list(found) == ["tfmot", "torch"]
    assert [case_id.split("/")[0] for case_id in found["torch"].case_ids] == ["digits-cnn-torch", "net", "net"]
    assert [case_id.split("/")[1].split("(")[0] for case_id in found["tfmot"].case_ids] == ["prune_low_magnitude"]
    assert not found["torch"].environment.installed and "make torch" in found["torch"].environment.setup


def test_an_environment_that_ours_replaces_is_not_needed(suite, monkeypatch):
    """As in an image with PyTorch."""
    monkeypatch.setattr(venvs, "versions", lambda name, packages: dict.fromkeys(packages, "1.0"))
    assert needs(suite, plugins.catalogue()) == []


def test_data_are_made_in_the_environment_of_the_workload(suite):
    """So that PyTorch's needs no scikit-learn; the training is its framework's."""
    catalogue = plugins.catalogue()
    of = {build.step.recipe: build for build in suite.builds if build.model == "digits-cnn-torch"}
    assert venvs.python(maker(of["dataset"], suite, catalogue)) == sys.executable
    assert maker(of["train"], suite, catalogue) is catalogue.frameworks["torch"]
    assert maker(of["torch_onnx"], suite, catalogue) is catalogue.variants["torch_onnx"]


def test_pictures_are_read_in_the_environment_of_the_models_format(suite):
    """Since the size of the images is that of the model's input; a table needs no model."""
    catalogue = plugins.catalogue()
    source = next(build for build in suite.builds if build.model == "net")
    data = source.model_copy(update={"build_id": "data", "step": Step(recipe="data"), "parent": source.build_id, "format": "npz"})
    assert maker(data, suite, catalogue) is catalogue.formats["torch"]
    assert maker(data.model_copy(update={"parent": None}), suite, catalogue) is catalogue.frameworks["torch"]


def test_a_program_that_an_engine_starts_needs_its_environment(tmp_path, monkeypatch):
    """By the options of the case; the engine itself runs in ours."""
    monkeypatch.setenv("HARNESS_VENV_LLAMA_CPP", str(tmp_path / "nowhere"))
    (tmp_path / "suite.yaml").write_text(SERVED)
    suite = load_suite(tmp_path / "suite.yaml", plugins.catalogue())
    assert [(need.environment.name, need.environment.setup) for need in needs(suite, plugins.catalogue())] == [
        ("llama-cpp", "make llama-cpp")
    ]
    assert [case_id.split("/")[2] for case_id in needs(suite, plugins.catalogue())[0].case_ids] == ["openai-server(preset=xllamacpp)"]
