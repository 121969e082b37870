"""Exporters, quantization, pruning, in the child that makes the models: what comes out, and what is counted in it."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import EngineError
from harness.variants.prune import Parameters, Schedule, masks, schedule_of
from harness.variants.quantize import calibration
from tests.launch import measured
from tests.make_models import SAMPLES
from tests.models import models, said
from tests.variants.made import builds

QUANTIZED = [f"{recipe}.{target}" for recipe in ("float16", "dynamic_int8", "int8") for target in ("tflite", "onnx")]


@pytest.mark.parametrize(
    ("layer", "truth"),
    [
        ("dense", 6 * 4),
        ("conv2d", 6 * 6 * 5 * 3 * 9),
        ("strided", 4 * 4 * 5 * 3 * 9),
        ("grouped", 6 * 6 * 6 * 2 * 9),
        ("depthwise", 6 * 6 * 3 * 9),
        ("separable", 6 * 6 * (3 * 9 + 3 * 5)),
        ("transposed", 4 * 4 * 3 * 5 * 9),
        ("conv1d", 8 * 4 * 2 * 3),
        ("normalized", 6 * 4),
        ("sequential", 6 * 4),
        ("nested", 6 * 4 + 4 * 2),
        ("unknown", None),
        ("open", None),
        ("shared", None),
    ],
)
def test_multiply_accumulates(layer, truth):
    """By hand; null where a layer with weights is unknown, runs twice, or has no size."""
    assert said()["macs"][layer] == truth


@pytest.mark.parametrize("name", ["small.tflite", "small.onnx", *QUANTIZED])
def test_nothing_but_numbers_changes(name):
    """Parameters stay, zeros are counted in the file itself, and an artifact made from ONNX does not invent multiply-accumulates."""
    found = said()["built"][name]
    assert found["nonzero_parameters"] <= found["parameters"] <= 16 * 9 + 16 + 2 * 1024 + 2
    assert found["nonzero_parameters"] > 0.97 * (16 * 9 + 2 * 1024)
    if name.endswith(".tflite"):
        assert found["macs"] == 64 * 16 * 9 + 1024 * 2


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantized_models_answer_nearly_the_same_and_are_smaller(name):
    """With float32 at both ends, whatever is inside."""
    from harness import plugins
    from harness.engines.base import Load

    format_ = name.split(".")[1]
    engine = plugins.load("engines", {"tflite": "litert", "onnx": "onnxruntime"}[format_])
    session = engine().open(Load(models() / name, format_, "cpu", 32, 1, engine.spec.parameters()))
    assert {tensor.dtype for tensor in (*session.inputs, *session.outputs)} == {np.dtype(np.float32)}
    assert np.allclose(session.run([SAMPLES[:32]])[0], np.load(models() / "small.npy")[:32], atol=0.05)
    assert (models() / name).stat().st_size < (models() / f"small.{format_}").stat().st_size


def test_calibration_takes_training_samples_by_seed():
    """The same each time, the same rows of each input, never more than there are."""
    rows = np.arange(50)
    first, second = calibration([rows, rows * 2], 20, seed=1)
    assert len(set(first)) == 20 and np.array_equal(first * 2, second)
    assert np.array_equal(first, calibration([rows], 20, seed=1)[0])
    assert len(calibration([rows], 80, seed=1)[0]) == 50


@pytest.mark.parametrize("name", ["pruned.keras", "pruned-int8.tflite"])
def test_zeros_are_there_after_saving_and_after_quantizing(name):
    """At least the final sparsity in each kernel, counted in the file."""
    found = said()["built"][name]
    assert min(said()["built"]["pruned.keras"]["notes"]["sparsity"].values()) >= 0.9
    assert found["nonzero_parameters"] <= 0.1 * (16 * 9 + 2048) + 18 + 1
    assert found["parameters"] == 16 * 9 + 16 + 2048 + 2


def test_the_same_seed_gives_the_same_model():
    """Two builds of one process."""
    built = said()["built"]
    assert built["pruned.keras"]["notes"] == built["again.keras"]["notes"]


def test_a_schedule_that_the_fit_cannot_reach_is_refused():
    """With the steps it would take."""
    assert "at least 101 steps" in said()["too_short"][0]
    with pytest.raises(EngineError, match="at least 11 steps"):
        schedule_of(Parameters(begin_step=10), 10)


def test_the_schedule_is_the_polynomial_of_the_paper():
    """From the initial to the final share, of third degree, and the last change lies at its end."""
    schedule = Schedule(0.5, 0.9, begin=10, end=40, frequency=7)
    assert schedule.sparsity(9) == 0
    assert schedule.sparsity(10) == pytest.approx(0.5)
    assert schedule.sparsity(25) == pytest.approx(0.9 - 0.4 * 0.5**3)
    assert schedule.sparsity(40) == schedule.sparsity(400) == pytest.approx(0.9)
    assert [step for step in range(60) if schedule.changes(step)] == [10, 17, 24, 31, 38, 40]


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.999])
def test_a_mask_drops_the_smallest(sparsity):
    """At least the share asked for, by magnitude, ties or not; one weight always stays."""
    kernel = np.random.default_rng(2).normal(size=(3, 3, 5, 7)).astype(np.float32)
    (kept,) = masks([kernel], sparsity)
    assert kept.sum() == max(1, int(kernel.size * (1 - sparsity) + 1e-9))
    if sparsity:
        assert np.abs(kernel[kept == 0]).max() <= np.abs(kernel[kept == 1]).min()
    assert masks([np.zeros((4, 5), np.float32)], sparsity)[0].sum() == max(1, int(20 * (1 - sparsity) + 1e-9))


@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.999])
def test_a_global_mask_has_one_threshold(sparsity):
    """The smallest of all kernels go, so that a kernel of small weights loses more; its largest weight stays."""
    rng = np.random.default_rng(3)
    kernels = [rng.normal(size=(20, 30)).astype(np.float32), 1e-3 * rng.normal(size=(10, 10)).astype(np.float32)]
    large, small = masks(kernels, sparsity)
    assert large.sum() + small.sum() == max(2, 700 - np.ceil(sparsity * 700 - 1e-9))
    assert small.sum() == 1 and small.flat[np.abs(kernels[1]).argmax()] == 1
    assert (large.shape, small.shape, large.dtype) == ((20, 30), (10, 10), np.float32)
    assert np.abs(kernels[0][large == 0]).max() <= np.abs(kernels[0][large == 1]).min()


def test_a_constant_schedule_prunes_at_once():
    """From its first step on, whatever the initial share says."""
    schedule = schedule_of(Parameters(schedule="constant", final_sparsity=0.8, begin_step=5), 60)
    assert [schedule.sparsity(step) for step in (4, 5, 6, 50)] == [0, 0.8, 0.8, 0.8]
    assert schedule.changes(5) and not schedule.changes(4)


def test_newer_parameters_leave_older_builds_their_hash():
    """They are told only where they differ from the default."""
    assert not {"schedule", "scope"} & Parameters().model_dump().keys()
    told = Parameters(schedule="constant", scope="global").model_dump()
    assert (told["schedule"], told["scope"]) == ("constant", "global")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["constant", "global"])
def test_both_schedules_and_scopes_reach_the_share_in_the_file(name):
    """A constant one in each kernel, a global one over all, with a share of its own in each."""
    found = builds()["built"][f"{name}.keras"]
    zeros = {key: value for key, value in found["zeros"].items() if key.endswith("kernel")}
    sizes = {"conv2d/kernel": 16 * 9, "dense/kernel": 2048}
    assert zeros.keys() == sizes.keys()
    assert sum(zeros[key] * size for key, size in sizes.items()) >= 0.8 * sum(sizes.values())
    assert (min(zeros.values()) >= 0.8) == (name == "constant")


@pytest.mark.parametrize("name", ["pruned-int8.tflite", "pruned.keras"])
def test_zeros_are_told_by_tensor(name):
    """Counted in the file, biases left out."""
    zeros = said()["built"][name]["zeros"]
    assert len(zeros) == 2 and min(zeros.values()) >= 0.9


def test_a_variant_of_a_variant_runs():
    """Pruned, then int8."""
    record = measured(
        engine="litert", engine_options={"xnnpack": True}, artifact={"path": str(models() / "pruned-int8.tflite"), "format": "tflite"}
    )[0].record
    assert record.status == "ok" and record.precision_ran == "int8"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["tensorflow", "litert", "onnxruntime", "openvino"])
def test_names_that_a_graph_cannot_have_are_no_hindrance(engine):
    """Of layers and inputs of an `.h5`: not ASCII, spaces, a backslash, equal up to case; data are found by the inputs' own names."""
    assert builds()["odd"][engine] < 1e-5
