"""The models of a suite: families, SavedModels, and data that are no arrays yet."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from harness.formats.fingerprint import fingerprint
from harness.suite import json_schema, load_suite
from harness.suite.expand import class_names
from tests.catalogue import CATALOGUE
from tests.suite.test_suite import complaint, load

FAMILY = "name: x\nmodels:\n  - MODEL\nmatrices:\n  - {engines: [litert, onnxruntime], variants: [dense, int8]}\n"
OWN = "name: x\nmodels:\n  - {name: m, path: m.onnx, data: {DATA}}\nmatrices:\n  - {engines: [onnxruntime], variants: [VARIANT]}\n"


@pytest.fixture
def folder(tmp_path):
    """A model, its tables and its images."""
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    (tmp_path / "train.csv").write_text("a,b,kind\n1,2,yes\n3,4,no\n")
    (tmp_path / "test.csv").write_text("a,b,kind\n1,2,yes\n")
    for name in ("train/cat", "train/dog", "test/dog"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.png").write_bytes(name.encode())
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "saved_model.pb").write_bytes(b"graph")
    return tmp_path


def own(data: str, variant: str = "dense") -> str:
    """A suite with data for the user's model."""
    return OWN.replace("DATA", data).replace("VARIANT", variant)


def recipes(suite) -> list[str]:
    """What is built, in order."""
    return [build.step.recipe for build in suite.builds]


def test_a_member_of_a_family_is_a_model(folder):
    """By its name; it is not trained, brings data without labels, and so has no metric."""
    suite = load(folder, FAMILY.replace("MODEL", "zoo/Ant"))
    model = suite.models[0]
    assert (model.name, model.workload, model.member, model.metric) == ("Ant", "zoo", "Ant", None)
    assert {case.dataset_id for case in suite.cases} == {suite.builds[0].build_id}
    assert recipes(suite)[:2] == ["dataset", "source"] and "train" not in recipes(suite)
    assert {case.variant for case in suite.cases} == {"dense", "int8"}


def test_options_make_another_model(folder):
    """Another hash, other builds."""
    plain = load(folder, FAMILY.replace("MODEL", "{name: a, workload: zoo/Ant}"))
    other = load(folder, FAMILY.replace("MODEL", "{name: a, workload: zoo/Ant, options: {weights: imagenet}}"))
    assert plain.models[0].options == {"weights": "random"}
    assert plain.models[0].sha256 != other.models[0].sha256 and plain.sha256 != other.sha256


def test_the_users_data_replace_those_of_a_family(folder):
    """And bring the metric with them."""
    data = "data: {train: {images: train}, test: {images: test}}"
    suite = load(folder, FAMILY.replace("MODEL", f"{{name: a, workload: zoo/Ant, {data}}}"))
    assert suite.models[0].metric == "accuracy" and suite.models[0].brings is None
    assert sorted(set(recipes(suite))) == ["data", "int8", "onnx", "source", "tflite"]


def test_a_built_in_model_may_bring_no_data(folder):
    """It is measured on noise, and nothing that learns can be made of it."""
    text = FAMILY.replace("MODEL", "bare")
    suite = load(folder, text.replace("dense, int8", "dense"))
    assert recipes(suite)[0] == "source" and {case.dataset_id for case in suite.cases} == {None}
    assert "int8 needs `data.train`" in complaint(folder, text)


def test_pruning_needs_labels(folder):
    """Which seeded images do not have."""
    said = complaint(folder, FAMILY.replace("MODEL", "zoo/Ant").replace("int8", "prune"))
    assert "prune needs labels in `data.train`" in said


def test_spaces_after_commas_belong_to_no_name(folder):
    """As in tables made by hand."""
    (folder / "train.csv").write_text("a, kind\n1, yes\n2, no\n")
    model = load(folder, own("train: {csv: train.csv, label: kind}")).models[0]
    assert model.train.source.options["classes"] == ["no", "yes"]
    assert model.train.source.options["features"] == {"": ["a"]}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("zoo/Beer", ["did you mean 'zoo/Bear'"]),
        ("zoo", ["did you mean 'zoo/"]),
        ("digits-cnn/x", ["did you mean 'digits-cnn'"]),
        ("{name: a, workload: zoo/Ant, options: {weigths: random}}", ["weigths", "did you mean 'weights'"]),
        ("{name: a, workload: zoo/Ant, options: {weights: randm}}", ["did you mean 'random'"]),
        ("{name: a, workload: digits-cnn, metric: accuracy}", ["brings its own data", "'metric'"]),
        ("{name: a}", ["`path`", "`workload`"]),
        ("{name: a, path: m.onnx, workload: zoo/Ant}", ["one of the two"]),
        ("{name: a, path: m.onnx, options: {weights: random}}", ["options belong to a built-in model"]),
        ("{name: a, path: train}", ["no SavedModel"]),
        ("{name: a, path: m.onnx, metric: accurac}", ["did you mean 'accuracy'"]),
        ("{name: a, path: m.onnx, metric: 'mod:f'}", ["--trust"]),
    ],
)
def test_a_mistake_in_a_model_has_its_line_and_what_was_meant(folder, model, words):
    """File, line, what is wrong, what was meant."""
    said = complaint(folder, FAMILY.replace("MODEL", model))
    assert "suite.yaml:3:" in said
    assert all(word in said for word in words), said


def test_a_saved_model_is_known_by_all_its_files(folder):
    """It runs as it is, or exported; another variable is another model."""
    text = "name: x\nmodels: [{name: m, path: saved}]\nmatrices: [{engines: [tensorflow, litert, onnxruntime]}]\n"
    suite = load(folder, text)
    assert suite.models[0].format == "savedmodel"
    assert sorted(recipes(suite)) == ["onnx", "source", "tflite"]
    (folder / "saved" / "variables").write_bytes(b"other")
    assert load(folder, text).models[0].sha256 != suite.models[0].sha256


def test_what_is_neither_file_nor_folder_is_not_opened(folder):
    """A pipe, which would wait for a writer, and a link that leads to itself."""
    (folder / "m.onnx").unlink()
    os.mkfifo(folder / "m.onnx")
    assert "'m.onnx' is neither a file nor a folder" in complaint(folder, own(""))
    (folder / "m.onnx").unlink()
    (folder / "m.onnx").symlink_to("m.onnx")
    assert "'m.onnx' cannot be read: " in complaint(folder, own(""))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere"), lambda path: path.symlink_to("..")])
def test_what_cannot_be_copied_is_found_before_anything_is_built(folder, make):
    """A pipe, a link to nothing, a link to the folder it lies in: their hash would be that of the folder without them."""
    (folder / "saved" / "assets").mkdir()
    make(folder / "saved" / "assets" / "odd")
    said = complaint(folder, "name: x\nmodels:\n  - {name: m, path: saved}\nmatrices:\n  - {engines: [litert], variants: [dense]}\n")
    assert "'assets/odd' in 'saved' is neither a file nor a folder" in said


def test_files_behind_a_link_to_a_folder_are_hashed(folder):
    """Else two models that differ in linked weights would be one."""
    (folder / "weights").mkdir()
    (folder / "saved" / "variables").symlink_to("../weights")
    hashes = set()
    for content in (b"one", b"two"):
        (folder / "weights" / "data").write_bytes(content)
        hashes.add(fingerprint(folder / "saved"))
    assert len(hashes) == 2


def test_a_link_in_a_folder_leads_nowhere_else(folder):
    """Neither in a SavedModel nor among images."""
    (folder / "saved" / "assets").symlink_to("/etc")
    said = complaint(folder, "name: x\nmodels: [{name: m, path: saved}]\nmatrices: [{engines: [tensorflow]}]\n")
    assert "leads out" in said


def test_each_split_is_turned_into_arrays_by_itself(folder):
    """The build of one says nothing of the other, and no step of the model depends on the test data."""
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
def test_a_build_is_another_where_something_that_decides_its_result_is(tmp_path, change, other):
    """Else an old artifact would be taken out of the cache for what the suite now says."""

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


def test_both_splits_number_their_classes_alike(folder):
    """By the training data, though the test data lack some."""
    images = load(folder, own("train: {images: train}, test: {images: test}")).models[0]
    assert class_names(images, "test") == class_names(images, "train") == ["cat", "dog"]
    table = load(folder, own("train: {csv: train.csv, label: kind}, test: {csv: test.csv, label: kind}")).models[0]
    assert class_names(table, "test") == ["no", "yes"]
    (folder / "classes.txt").write_text("dog\ncat\n")
    named = load(folder, own("test: {images: train, classes: classes.txt}")).models[0]
    assert class_names(named, "test") == ["dog", "cat"]


def test_without_labels_there_is_no_metric(folder):
    """Nor where the suite wants none."""
    assert load(folder, own("test: {csv: test.csv, features: [a]}")).models[0].metric is None
    assert load(folder, own("test: {csv: test.csv, label: kind}").replace("path:", "metric: null, path:")).models[0].metric is None
    assert load(folder, own("test: {csv: test.csv, label: kind}")).models[0].metric == "accuracy"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("test: {}", ["one of inputs, images, csv, function"]),
        ("test: {csv: test.csv, images: test}", ["not images and csv"]),
        ("test: {csv: test.csv, scale: 2}", ["'scale' belongs to 'images', not to 'csv'"]),
        ("test: {csv: test.csv, label: kindd}", ["no column 'kindd'", "did you mean 'kind'"]),
        ("test: {csv: test.csv, features: [a, c]}", ["no column 'c'"]),
        ("test: {csv: tst.csv}", ["did you mean 'test.csv'"]),
        ("test: {csv: train}", ["is a folder"]),
        ("test: {images: tset}", ["no file 'tset'"]),
        ("test: {images: m.onnx}", ["is a file: name a folder"]),
        ("test: {images: test, size: [8]}", ["size"]),
        ("test: {images: test, classes: test.csv}", ["'dog' is no class"]),
        ("test: {image: test}", ["did you mean 'images'"]),
        ("test: {function: 'mod:f'}", ["--trust"]),
        ("test: {function: mod.f}", ["package.module:function"]),
    ],
)
def test_a_mistake_in_the_data_has_its_line_and_what_was_meant(folder, data, words):
    """Before anything is built."""
    said = complaint(folder, own(data))
    assert "suite.yaml:3:" in said
    assert all(word in said for word in words), said


def test_a_function_is_known_by_its_code(folder):
    """A change beside the suite is another build; the suite's folder is where it is looked for."""
    (folder / "mod.py").write_text("def f(): return 1\n")
    first = load(folder, own("test: {function: 'mod:f'}"), trusted=True)
    (folder / "mod.py").write_text("def f(): return 2\n")
    assert first.sha256 != load(folder, own("test: {function: 'mod:f'}"), trusted=True).sha256
    assert first.models[0].folder == str(folder)
    metric = "metric: {function: 'mod:f', direction: lower}, path:"
    model = load(folder, own("test: {csv: test.csv, label: kind}").replace("path:", metric), trusted=True).models[0]
    assert (model.metric, model.metric_direction) == ("mod:f", "lower")


def test_the_hash_of_a_suite_with_arrays_is_what_it_was(tmp_path):
    """What the grammar has learnt since says nothing new of it."""
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 2)), y=np.zeros(4))
    from harness.suite.expand import _identity

    suite = load(tmp_path, own('test: {inputs: "d.npz:x", labels: "d.npz:y"}'))
    assert set(_identity(suite.models[0])) == {"name", "workload", "format", "sha256", "train", "test", "metric", "training", "trusted"}
    assert set(_identity(suite.models[0])["test"]) == {"inputs", "labels"}


def test_the_json_schema_knows_the_members():
    """An editor can complete them."""
    text = str(json_schema(CATALOGUE))
    assert "zoo/Ant" in text and "images" in text
