"""Magnitude pruning: schedules, masks, and the zeros in the saved file."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from harness.errors import EngineError
from harness.variants.prune import Parameters, Schedule, check_sparsity, masks, schedule_of
from tests.models import model_facts, models
from tests.variants.made import builds
from tests.worker.test_measure import measured


@pytest.mark.parametrize("name", ["pruned.keras", "pruned-int8.tflite"])
def test_zeros_are_there_after_saving_and_after_quantizing(name):
    """At least the final sparsity in each kernel, also after int8."""
    found = model_facts()["built"][name]
    assert min(model_facts()["built"]["pruned.keras"]["notes"]["sparsity"].values()) >= 0.9
    assert found["nonzero_parameters"] <= 0.1 * (16 * 9 + 2048) + 18 + 1
    assert found["parameters"] == 16 * 9 + 16 + 2048 + 2


def test_the_same_seed_gives_the_same_model():
    """Two builds in one process."""
    built = model_facts()["built"]
    assert built["pruned.keras"]["notes"] == built["again.keras"]["notes"]


def test_a_schedule_that_the_fit_cannot_reach_is_refused():
    """With the number of steps it needs."""
    assert "at least 101 steps" in model_facts()["too_short"][0]
    with pytest.raises(EngineError, match="at least 11 steps"):
        schedule_of(Parameters(begin_step=10), 10)


def test_the_schedule_is_the_polynomial_of_the_paper():
    """Cubic from the initial to the final share; the last change is at its end."""
    schedule = Schedule(0.5, 0.9, begin=10, end=40, frequency=7)
    assert schedule.sparsity(9) == 0
    assert schedule.sparsity(10) == pytest.approx(0.5)
    assert schedule.sparsity(25) == pytest.approx(0.9 - 0.4 * 0.5**3)
    assert schedule.sparsity(40) == schedule.sparsity(400) == pytest.approx(0.9)
    assert [step for step in range(60) if schedule.changes(step)] == [10, 17, 24, 31, 38, 40]


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.999])
def test_a_mask_drops_the_smallest(sparsity):
    """At least the requested share, by magnitude, with ties or without; one weight stays."""
    kernel = np.random.default_rng(2).normal(size=(3, 3, 5, 7)).astype(np.float32)
    (kept,) = masks([kernel], sparsity)
    assert kept.sum() == max(1, int(kernel.size * (1 - sparsity) + 1e-9))
    if sparsity:
        assert np.abs(kernel[kept == 0]).max() <= np.abs(kernel[kept == 1]).min()
    assert masks([np.zeros((4, 5), np.float32)], sparsity)[0].sum() == max(1, int(20 * (1 - sparsity) + 1e-9))


@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.999])
def test_a_global_mask_has_one_threshold(sparsity):
    """A kernel of small weights loses more; its largest weight stays."""
    rng = np.random.default_rng(3)
    kernels = [rng.normal(size=(20, 30)).astype(np.float32), 1e-3 * rng.normal(size=(10, 10)).astype(np.float32)]
    large, small = masks(kernels, sparsity)
    assert large.sum() + small.sum() == max(2, 700 - np.ceil(sparsity * 700 - 1e-9))
    assert small.sum() == 1 and small.flat[np.abs(kernels[1]).argmax()] == 1
    assert (large.shape, small.shape, large.dtype) == ((20, 30), (10, 10), np.float32)
    assert np.abs(kernels[0][large == 0]).max() <= np.abs(kernels[0][large == 1]).min()


def test_a_constant_schedule_prunes_at_once():
    """From its first step on, for any initial share."""
    schedule = schedule_of(Parameters(schedule="constant", final_sparsity=0.8, begin_step=5), 60)
    assert [schedule.sparsity(step) for step in (4, 5, 6, 50)] == [0, 0.8, 0.8, 0.8]
    assert schedule.changes(5) and not schedule.changes(4)


def test_newer_parameters_keep_the_hash_of_older_builds():
    """They are dumped only if they differ from the default."""
    assert not {"schedule", "scope"} & Parameters().model_dump().keys()
    dumped = Parameters(schedule="constant", scope="global").model_dump()
    assert (dumped["schedule"], dumped["scope"]) == ("constant", "global")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["constant", "global"])
def test_both_schedules_and_scopes_reach_the_share_in_the_file(name):
    """A constant schedule in each kernel, a global scope over all kernels."""
    found = builds()["built"][f"{name}.keras"]
    zeros = {key: value for key, value in found["zeros"].items() if key.endswith("kernel")}
    sizes = {"conv2d/kernel": 16 * 9, "dense/kernel": 2048}
    assert zeros.keys() == sizes.keys()
    assert sum(zeros[key] * size for key, size in sizes.items()) >= 0.8 * sum(sizes.values())
    assert (min(zeros.values()) >= 0.8) == (name == "constant")


@pytest.mark.parametrize("name", ["pruned-int8.tflite", "pruned.keras"])
def test_zeros_are_listed_by_tensor(name):
    """Counted in the file, biases left out."""
    zeros = model_facts()["built"][name]["zeros"]
    assert len(zeros) == 2 and min(zeros.values()) >= 0.9


def test_a_variant_of_a_variant_runs():
    """Pruned, then int8."""
    record = measured(
        engine="litert", engine_options={"xnnpack": True}, artifact={"path": str(models() / "pruned-int8.tflite"), "format": "tflite"}
    )[0].record
    assert record.status == "ok" and record.precision_ran == "int8"


def test_a_file_with_too_few_zeros_is_an_error():
    """In one kernel by layer, in all together globally; other layers do not count."""
    half, full = np.array([0.0, 1.0] * 10), np.zeros(20)
    Dense, Norm = type("Dense", (SimpleNamespace,), {}), type("BatchNormalization", (SimpleNamespace,), {})
    model = SimpleNamespace(layers=[Dense(name="a", kernel=half), Norm(name="b"), Dense(name="c", kernel=full)])
    assert check_sparsity(model, 0.5) == {"a": 0.5, "c": 1.0}
    assert check_sparsity(model, 0.75, "global") == {"a": 0.5, "c": 1.0}
    with pytest.raises(EngineError, match=r"fell short of 0\.75 zeros: a 0\.5000, c 1\.0000"):
        check_sparsity(model, 0.75)
