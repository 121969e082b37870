"""Builds for one card: appended where card, driver and versions are known; their ids hold all of these."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from harness import plugins
from harness.run import plan, prepared
from harness.run.prepared import chosen_card, device_of, target_of, with_prepared
from harness.schema import EngineSpec, Prepares, Suite, Task
from harness.schema.served import TokenLoad
from harness.suite import load_suite
from harness.suite.environments import maker
from tests import tiny

CARD = {
    "domain": "gpu:0", "device": "gpu", "uuid": "GPU-1", "name": "NVIDIA H100", "compute_capability": "9.0", "driver": "580.65.06",
    "cuda_driver_version": "13.0", "mig": False,
}  # fmt: skip
SECOND = {**CARD, "domain": "gpu:1", "device": "gpu:1", "uuid": "GPU-2"}
VERSIONS = {"onnxruntime-gpu": "1.31.1", "onnx": "1.19.0", "tensorrt": "10.9.0"}
TEXT = """
name: x
models: [{name: product, path: product.onnx, data: {test: {inputs: "data.npz:x", labels: "data.npz:y"}}}]
matrices:
  - {engines: [onnxruntime], devices: [cpu, gpu], variants: [dense, tensorrt], batch_sizes: [1, 4]}
"""


@pytest.fixture
def suite(tmp_path) -> Suite:
    """Cases on the CPU, on CUDA and on TensorRT."""
    return load_suite(tiny.write(tmp_path, TEXT), plugins.catalogue())


@pytest.fixture(autouse=True)
def versions(monkeypatch):
    """Versions of the engine's packages and of TensorRT, which the tests may change."""
    installed = dict(VERSIONS)
    monkeypatch.setattr(prepared, "_versions", lambda spec: installed)
    return installed


def on(suite: Suite, *cards) -> Suite:
    """The suite on a machine with these cards."""
    return with_prepared(suite, plugins.catalogue(), cards)


def compiled(suite: Suite) -> list[str]:
    """Ids of the builds for a card."""
    return [build.build_id for build in suite.builds if build.target]


def test_each_case_that_needs_it_gets_one_build(suite):
    """By batch; those of CUDA and of the CPU keep their build, and neither the suite's hash nor an id changes."""
    here = on(suite, CARD)
    assert (here.sha256, [c.case_id for c in here.cases]) == (suite.sha256, [c.case_id for c in suite.cases])
    assert here.builds[: len(suite.builds)] == suite.builds
    targets = {case.case_id: target_of(here, case) for case in here.cases}
    assert {case_id for case_id, build in targets.items() if build} == {
        f"product/tensorrt/onnxruntime/gpu/b{n}/t1/single_stream" for n in (1, 4)
    }
    for case, before in zip(here.cases, suite.cases, strict=True):
        build = targets[case.case_id]
        assert (build.parent if build else case.build_id) == before.build_id
    assert len(compiled(here)) == 2


def test_the_plan_shows_card_driver_and_versions(suite):
    """So that a reader sees why it is built again."""
    build = next(build for build in on(suite, CARD).builds if build.target and build.target.batch_size == 4)
    assert build.lineage[-1] == "tensorrt for NVIDIA H100 (9.0), driver 580.65.06, tensorrt 10.9.0, batch 4"


def test_the_same_machine_gives_the_same_ids(suite):
    """A second run uses what the first one built, also where the suite has been prepared before."""
    here = on(suite, CARD)
    assert compiled(on(suite, CARD)) == compiled(here)
    assert on(here, CARD) == here


@pytest.mark.parametrize(
    "change",
    [
        {"name": "NVIDIA A100"},
        {"compute_capability": "9.1"},
        {"driver": "580.82.07"},
        {"cuda_driver_version": "13.1"},
        {"cuda_driver_version": None},
    ],
)
def test_another_card_or_driver_is_another_build(suite, change):
    """What was compiled for one is not loaded on another."""
    assert not set(compiled(on(suite, {**CARD, **change}))) & set(compiled(on(suite, CARD)))


@pytest.mark.parametrize("name", VERSIONS)
@pytest.mark.parametrize("version", ["99.0", None])
def test_another_version_is_another_build(suite, versions, name, version):
    """Of the packages and of the library."""
    before = compiled(on(suite, CARD))
    versions[name] = version
    assert not set(compiled(on(suite, CARD))) & set(before)


def test_equal_cards_share_what_was_compiled(suite):
    """The UUID is not part of the id."""
    other = {**CARD, "uuid": "GPU-9", "domain": "gpu:7"}
    assert compiled(on(suite, other)) == compiled(on(suite, CARD))


@pytest.mark.parametrize("change", [{"name": None}, {"driver": None}, {"compute_capability": None}, {"mig": True}])
def test_a_card_that_is_not_known_has_no_build(suite, change):
    """Nothing is kept that might be loaded on another one; the suite is as it was, and the engine compiles at each load."""
    assert on(suite, {**CARD, **change}) == suite


def test_a_case_that_generates_text_has_no_such_build(suite):
    """Its session is another one, which gets no prepared model."""
    load = TokenLoad(concurrency=1, input_tokens=8, output_tokens=8)
    texts = suite.model_copy(update={"cases": tuple(case.model_copy(update={"load": load}) for case in suite.cases)})
    assert on(texts, CARD) == texts


def test_without_a_card_the_suite_is_as_it_was(suite):
    """Its cases are unsupported, or run without a build."""
    assert on(suite) == suite


def test_a_case_that_chooses_a_card_is_built_for_that_one(tmp_path):
    """Two different cards have two builds."""
    text = TEXT.replace("[cpu, gpu]", '["gpu:GPU-1", "gpu:GPU-2"]').replace("[1, 4]", "[1]")
    suite = load_suite(tiny.write(tmp_path, text), plugins.catalogue(), {"cpu": None, "gpu": None, "gpu:GPU-1": None, "gpu:GPU-2": None})
    here = on(suite, CARD, {**SECOND, "name": "NVIDIA A100"})
    assert [(b.target.card, b.target.depends_on["name"]) for b in here.builds if b.target] == [
        ("GPU-1", "NVIDIA H100"),
        ("GPU-2", "NVIDIA A100"),
    ]
    build = next(build for build in here.builds if build.target)
    assert (device_of(Task(build=build)), chosen_card(Task(build=build))) == ("gpu", "GPU-1")
    assert (device_of(Task(build=here.builds[0])), chosen_card(Task(build=here.builds[0]))) == (None, None)
    case = next(case for case in here.cases if case.card == "GPU-2")
    assert (device_of(Task(case=case)), chosen_card(Task(case=case))) == ("gpu", "GPU-2")


def test_other_options_and_other_data_are_other_builds(tmp_path, suite):
    """Float16, and test data whose shapes may differ."""
    fp16 = TEXT.replace("engines: [onnxruntime]", "engines: [{name: onnxruntime, options: {provider: tensorrt, trt_fp16: true}}]").replace(
        "[cpu, gpu], variants: [dense, tensorrt]", "[gpu], variants: [dense]"
    )
    other = load_suite(tiny.write(tmp_path, fp16), plugins.catalogue())
    assert not set(compiled(on(other, CARD))) & set(compiled(on(suite, CARD)))
    assert "tensorrt(trt_fp16=true) for" in on(other, CARD).builds[-1].lineage[-1]
    unlabelled = TEXT.replace(', labels: "data.npz:y"', "")
    assert not set(compiled(on(load_suite(tiny.write(tmp_path, unlabelled), plugins.catalogue()), CARD))) & set(compiled(on(suite, CARD)))


def test_what_was_prepared_needs_its_model_too(suite):
    """A cached build alone is not enough: the model itself is loaded with it."""
    here = on(suite.model_copy(update={"cases": tuple(case for case in suite.cases if case.variant == "tensorrt")}), CARD)
    assert {b.build_id for b in plan.needed_builds(here, compiled(here))} == {b.build_id for b in here.builds} > set(compiled(here))


def test_the_build_runs_in_the_environment_of_its_engine_and_takes_as_long_as_that_declares(suite):
    """For the plan and the list of environments."""
    catalogue = plugins.catalogue()
    here = on(suite, CARD)
    build = next(build for build in here.builds if build.target)
    assert maker(build, here, catalogue) == catalogue.engines["onnxruntime"].at("gpu")
    assert plan.build_s(build, catalogue) == catalogue.engines["onnxruntime"].prepares.build_s > plan.build_s(here.builds[0], catalogue)
    assert plan.build_s(build, replace(catalogue, engines={})) == plan.BUILD_S, "the engine is not installed here"


def test_an_engine_of_all_cases_needs_no_options(suite):
    """As one that loads nothing but what it compiled."""
    catalogue = plugins.catalogue()
    native = EngineSpec(name="onnxruntime", formats=("onnx",), devices=("cpu", "gpu"), prepares=Prepares(format="plan"))
    here = with_prepared(suite, replace(catalogue, engines={**catalogue.engines, "onnxruntime": native}), [CARD])
    assert {case.device for case in here.cases if target_of(here, case)} == {"gpu"}
    assert sum(target_of(here, case) is not None for case in here.cases) == 4


def test_the_versions_come_from_the_environment_of_the_engine(monkeypatch):
    """By a process there; if it fails they are unknown, and the build fails, which asks again."""
    monkeypatch.undo()
    spec = plugins.catalogue().engines["onnxruntime"].at("cpu")
    asked = []

    def answer(command, **options):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, 'a warning\n{"tensorrt": "10.9.0"}\n')

    monkeypatch.setattr(subprocess, "run", answer)
    assert prepared._versions(spec)["tensorrt"] == "10.9.0" and prepared._versions(spec)["onnx"]
    assert asked[0][-2:] == ["harness.worker.libraries", "onnxruntime"]

    def fail(command, **options):
        raise subprocess.TimeoutExpired(command, 60)

    monkeypatch.setattr(subprocess, "run", fail)
    assert "tensorrt" not in prepared._versions(spec)


def test_an_environment_that_is_missing_has_no_versions(monkeypatch, tmp_path):
    """The build is then refused with the command that sets it up."""
    monkeypatch.undo()
    monkeypatch.setenv("HARNESS_VENV_ONNXRUNTIME_GPU", str(tmp_path / "none"))
    assert prepared._versions(plugins.catalogue().engines["onnxruntime"].at("gpu")) == {"onnxruntime-gpu": None, "onnx": None}
