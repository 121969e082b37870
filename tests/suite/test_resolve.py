"""Models of a suite: built-in ones, families, and the user's own."""

from __future__ import annotations

import pytest

from tests.suites import FAMILY, errors, load, own, recipes


def test_the_users_own_model(folder):
    """Paths are relative to the suite, and formats follow the suffix."""
    suite = load(folder, own('test: {inputs: "d.npz:x", labels: "d.npz:y"}'))
    model = suite.models[0]
    assert (model.format, model.metric) == ("onnx", "accuracy")
    assert [build.step.recipe for build in suite.builds] == ["source"]
    assert "path" not in suite.sha256


@pytest.mark.parametrize(
    ("data", "metric", "expected"),
    [
        ('{inputs: "d.npz:x", labels: "d.npz:y"}', "null", None),
        ('{inputs: "d.npz:x"}', "mean_squared_error", "mean_squared_error"),
        ('{inputs: "d.npz:x"}', "null", None),
    ],
)
def test_a_metric_may_be_null_or_describe_unlabelled_outputs(folder, data, metric, expected):
    """Null measures none despite labels; without labels a metric states whether outputs are classes."""
    suite = load(folder, own(f"test: {data}").replace("path:", f"metric: {metric}, path:"))
    assert suite.models[0].metric == expected


def test_a_member_of_a_family_is_a_model(folder):
    """By its name; it is not trained and brings data without labels, so it has no metric."""
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
    """It is measured on noise, and has no variant that needs training data."""
    text = FAMILY.replace("MODEL", "bare")
    suite = load(folder, text.replace("dense, int8", "dense"))
    assert recipes(suite)[0] == "source" and {case.dataset_id for case in suite.cases} == {None}
    assert "int8 needs `data.train`" in errors(folder, text)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("zoo/Beer", ["did you mean 'zoo/Bear'"]),
        ("zoo", ["did you mean 'zoo/"]),
        ("digits-cnn/x", ["did you mean 'digits-cnn'"]),
        ("{name: a, workload: zoo/Ant, options: {weigths: random}}", ["weigths", "did you mean 'weights'"]),
        ("{name: a, workload: zoo/Ant, options: {weights: randm}}", ["did you mean 'random'"]),
        ("{name: a, workload: digits-cnn, metric: accuracy}", ["has its own data", "'metric'"]),
        ("{name: a}", ["`path`", "`workload`"]),
        ("{name: a, path: m.onnx, workload: zoo/Ant}", ["needs exactly one of"]),
        ("{name: a, path: m.onnx, options: {weights: random}}", ["options belong to a built-in model"]),
        (
            "{name: a, path: train}",
            ["is not a model: ", "a TensorFlow SavedModel has saved_model.pb", "a Hugging Face folder has config.json"],
        ),
        ("{name: a, path: m.onnx, metric: accurac}", ["did you mean 'accuracy'"]),
        ("{name: a, path: m.onnx, metric: 'mod:f'}", ["--trust"]),
    ],
)
def test_an_error_in_a_model_has_its_line_and_what_was_meant(folder, model, words):
    """File, line, what is wrong, what was meant."""
    problems = errors(folder, FAMILY.replace("MODEL", model))
    assert "suite.yaml:3:" in problems
    assert all(word in problems for word in words), problems


def test_a_saved_model_is_identified_by_all_its_files(folder):
    """It runs directly or exported; other variables are another model."""
    text = "name: x\nmodels: [{name: m, path: saved}]\nmatrices: [{engines: [tensorflow, litert, onnxruntime]}]\n"
    suite = load(folder, text)
    assert suite.models[0].format == "savedmodel"
    assert sorted(recipes(suite)) == ["onnx", "source", "tflite"]
    (folder / "saved" / "variables").write_bytes(b"other")
    assert load(folder, text).models[0].sha256 != suite.models[0].sha256


def test_without_labels_there_is_no_metric(folder):
    """Nor if the suite sets null."""
    assert load(folder, own("test: {csv: test.csv, features: [a]}")).models[0].metric is None
    assert load(folder, own("test: {csv: test.csv, label: kind}").replace("path:", "metric: null, path:")).models[0].metric is None
    assert load(folder, own("test: {csv: test.csv, label: kind}")).models[0].metric == "accuracy"
