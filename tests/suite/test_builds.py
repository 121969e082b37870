"""Builds are shared, and their ids follow everything that determines an artifact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.suite import load_suite
from harness.suite.builds import class_names
from tests.catalogue import CATALOGUE
from tests.suites import GOOD, load, own


def test_builds_are_shared_and_parents_come_first(tmp_path):
    """One training serves every variant, and each build follows those that it needs."""
    suite = load(tmp_path, GOOD)
    assert sum(build.step.recipe == "train" for build in suite.builds) == 1
    assert sum(build.step.recipe == "prune" for build in suite.builds) == 1
    seen = set()
    for build in suite.builds:
        assert build.parent is None or build.parent in seen
        seen.add(build.build_id)


def test_each_split_has_a_build_of_its_own(folder):
    """No build of the model depends on the test data."""
    train, both = "train: {csv: train.csv, label: kind}", "train: {csv: train.csv, label: kind}, test: {csv: test.csv, label: kind}"
    alone, suite = load(folder, own(train, "int8")), load(folder, own(both, "int8"))
    data = {build.step.parameters["split"]: build for build in suite.builds if build.step.recipe == "data"}
    assert set(data) == {"train", "test"}
    int8 = next(build for build in suite.builds if build.step.recipe == "int8")
    assert int8.data_id == data["train"].build_id
    assert suite.cases[0].dataset_id == data["test"].build_id
    assert {b.build_id for b in alone.builds} == {b.build_id for b in suite.builds} - {data["test"].build_id}
    ids = [build.build_id for build in suite.builds]
    assert ids.index(int8.data_id) < ids.index(int8.build_id)


BUILT = """\
name: x
models:
  - {name: m, path: m.onnx, data: {train: {inputs: "train.npz:x"}, test: {inputs: "test.npz:x"}}, training: {epochs: 3}}
matrices:
  - {engines: [onnxruntime], variants: [int8]}
"""


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"m.onnx": b"another"}, {"source", "int8"}),
        ({"train": np.ones(3)}, {"int8"}),
        ({"test": np.ones(3)}, set()),
        ({"epochs: 3": "epochs: 4"}, {"int8"}),
        ({"version": 2}, {"int8"}),
        ({"packages": ("numpy",)}, {"int8"}),
    ],
    ids=lambda value: "-".join(sorted(value)) or "none",
)
def test_a_build_id_follows_everything_that_determines_the_artifact(tmp_path, change, other):
    """Otherwise the cache would return an outdated artifact."""

    def ids(name: str, **changed) -> dict[str, str]:
        (folder := tmp_path / name).mkdir()
        (folder / "m.onnx").write_bytes(changed.get("m.onnx", b"onnx"))
        for split in ("train", "test"):
            np.savez(folder / f"{split}.npz", x=changed.get(split, np.zeros(3)))
        text = BUILT.replace("epochs: 3", changed.get("epochs: 3", "epochs: 3"))
        recipe = CATALOGUE.variants["int8"].model_copy(update={k: changed[k] for k in ("version", "packages") if k in changed})
        catalogue = replace(CATALOGUE, variants={**CATALOGUE.variants, "int8": recipe})
        (folder / "suite.yaml").write_text(text)
        return {build.step.recipe: build.build_id for build in load_suite(folder / "suite.yaml", catalogue).builds}

    before, after = ids("before"), ids("after", **change)
    assert {recipe for recipe in before if before[recipe] != after[recipe]} == other


def test_both_splits_number_their_classes_in_the_same_way(folder):
    """By the training data, even if the test data lack some."""
    images = load(folder, own("train: {images: train}, test: {images: test}")).models[0]
    assert class_names(images, "test") == class_names(images, "train") == ["cat", "dog"]
    table = load(folder, own("train: {csv: train.csv, label: kind}, test: {csv: test.csv, label: kind}")).models[0]
    assert class_names(table, "test") == ["no", "yes"]
    (folder / "classes.txt").write_text("dog\ncat\n")
    named = load(folder, own("test: {images: train, classes: classes.txt}")).models[0]
    assert class_names(named, "test") == ["dog", "cat"]
