"""A suite file in, a resolved suite or a sentence out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import SuiteError
from harness.schema import EngineSpec, Model, Step, Suite, VariantSpec
from harness.suite import json_schema, load_suite
from harness.suite.expand import find_route
from tests.catalogue import CATALOGUE

GOOD = """\
name: good
models: [digits-cnn]
matrices:
  - variants: [dense, int8, [{prune: {final_sparsity: 0.8}}, int8]]
    engines: [litert, {name: onnxruntime, options: {graph_optimization: basic}}]
    batch_sizes: [1, 8]
"""


def load(folder: Path, text: str, **options: object) -> Suite:
    """The suite of a text."""
    path = folder / "suite.yaml"
    path.write_text(text)
    return load_suite(path, CATALOGUE, **options)


def complaint(folder: Path, text: str, **options: object) -> str:
    """What is said of a spoilt text."""
    with pytest.raises(SuiteError) as caught:
        load(folder, text, **options)
    assert caught.value.exit_code == 2
    return str(caught.value)


def matrix(line: str) -> str:
    """A suite whose matrix has one line more; it stands on line 5."""
    return f"name: x\nmodels: [digits-cnn]\nmatrices:\n  - engines: [litert]\n    {line}\n"


def test_a_matrix_is_a_product(tmp_path):
    """Every variant on every engine at every batch size is a case with its own readable id, and dense is its baseline."""
    suite = load(tmp_path, GOOD)
    assert len(suite.cases) == 3 * 2 * 2
    ids = {case.case_id for case in suite.cases}
    assert "digits-cnn/prune(final_sparsity=0.8)+int8/onnxruntime(graph_optimization=basic)/cpu/b8/t1/single_stream" in ids
    assert all(case.baseline_case_id in ids for case in suite.cases)
    assert not suite.impossible


def test_the_cases_of_a_model_stand_together(tmp_path):
    """In the order of the models, whichever matrix they come from."""
    two = (
        GOOD.replace("[digits-cnn]", "[digits-cnn, {name: second, workload: digits-cnn}]")
        + "  - {variants: [dense], engines: [tensorflow]}\n"
    )
    models = [case.model for case in load(tmp_path, two).cases]
    assert models == ["digits-cnn"] * 13 + ["second"] * 13


def test_a_case_without_dense_beside_it_has_no_baseline(tmp_path):
    """A baseline that the suite does not measure would never have a record."""
    suite = load(tmp_path, matrix("variants: [int8]") + "  - {engines: [litert], variants: [dense], batch_sizes: [8]}\n")
    assert [(case.variant, case.baseline_case_id is None) for case in suite.cases] == [("int8", True), ("dense", False)]


def test_builds_are_shared_and_come_parents_first(tmp_path):
    """One training serves every variant, and no build stands before the one it needs."""
    suite = load(tmp_path, GOOD)
    assert sum(build.step.recipe == "train" for build in suite.builds) == 1
    assert sum(build.step.recipe == "prune" for build in suite.builds) == 1
    seen = set()
    for build in suite.builds:
        assert build.parent is None or build.parent in seen
        seen.add(build.build_id)


@pytest.mark.parametrize("text", ["[prune]", "[{prune: {}}]", "[{prune: }]", "[{prune: {final_sparsity: 0.90}}]", "[[prune]]"])
def test_one_variant_has_one_text(tmp_path, text):
    """However it is written, the same variant is the same text."""
    suite = load(tmp_path, matrix(f"variants: {text}"))
    assert [case.variant for case in suite.cases] == ["prune(final_sparsity=0.9)"]


def test_a_content_hash_follows_what_determines_the_result(tmp_path):
    """Another seed or another sparsity is another build; another name of the suite is not."""
    a = load(tmp_path, GOOD)
    assert {b.build_id for b in a.builds} == {b.build_id for b in load(tmp_path, GOOD.replace("good", "other")).builds}
    assert not {b.build_id for b in a.builds} & {b.build_id for b in load(tmp_path, GOOD + "seed: 1\n").builds}
    assert a.sha256 != load(tmp_path, GOOD.replace("0.8", "0.7")).sha256


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: x\nmodels: [digits-cn]\nmatrices: [{engines: [litert]}]\n", 2, ["digits-cn", "did you mean 'digits-cnn'"]),
        (matrix("variants: [dens]"), 5, ["'dens'", "did you mean 'dense'"]),
        (matrix("variants: [{prune: {final_sparsty: 0.9}}]"), 5, ["final_sparsty", "did you mean 'final_sparsity'"]),
        (matrix("variants: [{prune: {final_sparsity: 1.5}}]"), 5, ["final_sparsity", "less than 1"]),
        (matrix("variants: [{prune: {final_sparsity: '0.9'}}]"), 5, ["final_sparsity", "plain number"]),
        (matrix("variants: [{prune: {}, int8: {}}]"), 5, ["list for a chain"]),
        (matrix("variants: [[dense, int8]]"), 5, ["no step of a chain"]),
        (matrix("variants: int8"), 5, ["must be a list", "[int8]"]),
        (matrix("variants: []"), 5, ["variants", "at least one"]),
        (matrix("variants: [3]"), 5, ["neither a name nor a mapping"]),
        (matrix("variants: [tflite]"), 5, ["no variant is named 'tflite'"]),
        (matrix("batch_sizes: [0]"), 5, ["greater than or equal to 1"]),
        (matrix("batch_sizes: [true]"), 5, ["batch_sizes", "a whole number, not true"]),
        (matrix("batch_sizes: ['8 samples']"), 5, ["a whole number, not the text"]),
        (matrix("batch_size: [8]"), 5, ["batch_size", "did you mean 'batch_sizes'"]),
        (matrix("devices: [gpuu]"), 5, ["gpuu"]),
        (matrix("scenarios: [single-stream]"), 5, ["did you mean 'single_stream'"]),
        (matrix("limits: {}"), 5, ["limits"]),
        ("name: x\nmodels: [digits-cnn]\nmatrices:\n  - engines: [litertt]\n", 4, ["did you mean 'litert'"]),
        ("name: x\nmodels: [digits-cnn]\nmatrices:\n  - engines: [vendor]\n", 4, ["no libvendor"]),
        ("name: x\nmodels: [digits-cnn]\nmatrices:\n  - engines: [{name: onnxruntime, options: {graph_optimization: al}}]\n", 4, ["did you mean 'all'"]),
        ("name: x\nmodels: [digits-cnn]\nmatrices:\n  - engines: [{name: litert, options: {fast: 1}}]\n", 4, ["takes no parameters"]),
        (GOOD + "quality: {margin: 1 %}\n", 7, ["margin", "fraction"]),
        (GOOD + "limits: {timeout_s: 60 s}\n", 7, ["timeout_s", "seconds"]),
        (GOOD + "limits: {timeout_ms: 60}\n", 7, ["did you mean 'timeout_s'"]),
        (GOOD + "stopping: open_pair\n", 7, ["'stopping'", "did you mean 'open_pairs'"]),
        (GOOD + "stopping: 0.01\n", 7, ["'stopping'", "half_width", "open_pairs"]),
        (GOOD + "stoping: open_pairs\n", 7, ["did you mean 'stopping'"]),
        (GOOD + "variannts: [dense]\n", 7, ["variannts", "'variants'"]),
        (GOOD + "name: again\n", 7, ["duplicate key"]),
        (GOOD + "1: 2\n", 7, ["not text"]),
        ("name: 2024-01-01\nmodels: [digits-cnn]\nmatrices: [{engines: [litert]}]\n", 1, ["'name'", "put it in quotes"]),
        ("name: !!python/object/apply:os.system [id]\nmodels: [digits-cnn]\nmatrices: [{engines: [litert]}]\n", 1, ["'name'"]),
        ("name: x\nmodels: [digits-cnn, digits-cnn]\nmatrices: [{engines: [litert]}]\n", 2, ["two models"]),
        ("suite: [unclosed\n", 2, ["not valid YAML"]),
        ("%YAML 9.9\n---\n" + GOOD, 1, ["not valid YAML", "version"]),
        ("", 1, ["empty"]),
        ("- a\n", 1, ["mapping"]),
    ],
)  # fmt: skip
def test_a_mistake_has_its_line_and_what_was_meant(tmp_path, text, line, words):
    """File, line, what is wrong, what was meant."""
    said = complaint(tmp_path, text)
    assert f"suite.yaml:{line}:" in said
    assert all(word in said for word in words), said


def test_every_mistake_of_a_kind_is_told_at_once(tmp_path):
    """Three wrong names are three lines."""
    said = complaint(tmp_path, matrix("variants: [dens, flot16, nonsense]"))
    assert said.count("suite.yaml:5:") == 3


def test_a_long_mistake_is_not_quoted_in_full(tmp_path):
    """The sentence stays one that can be read, with its beginning and its end."""
    said = complaint(tmp_path, matrix(f"variants: [{{prune: {{final_sparsity: {'x' * 5000}}}}}]"))
    assert len(said) < 1000
    assert "final_sparsity" in said


def test_aliases_that_explode_are_refused(tmp_path):
    """A small file that stands for millions of values is an error, not a full memory."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "aliases" in complaint(tmp_path, "\n".join(levels))
    assert "suite.yaml" in complaint(tmp_path, "a: &a [*a]\n")
    assert "nested" in complaint(tmp_path, "[" * 3000)


def test_a_file_that_is_no_suite(tmp_path):
    """Missing, a folder, no text: each a sentence."""
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SuiteError):
            load_suite(path, CATALOGUE)
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00\x00")
    with pytest.raises(SuiteError, match="UTF-8"):
        load_suite(tmp_path / "x.yaml", CATALOGUE)


def test_a_pair_that_cannot_be_has_its_reason(tmp_path):
    """Formats and devices that do not meet are listed, not run."""
    suite = load(tmp_path, matrix("variants: [dense]").replace("litert", "tensorflow, litert") + "    devices: [gpu]\n")
    assert [case.device for case in suite.cases] == ["gpu"]
    assert ["not on gpu" in pair.reason for pair in suite.impossible] == [True]
    suite = load(tmp_path, matrix("variants: [float16]").replace("litert", "tensorflow"))
    assert not suite.cases
    assert "tensorflow opens keras" in suite.impossible[0].reason
    assert "keras" not in suite.impossible[0].reason.split("with float16 only")[1]  # which would be what it opens


def test_auto_is_what_the_machine_has(tmp_path):
    """With a GPU present its cases join; the command line may keep one device; the hash of the suite does not depend on it."""
    text = matrix("devices: [auto]").replace("litert", "tensorflow")
    assert [c.device for c in load(tmp_path, text).cases] == ["cpu"]
    with_gpu = load(tmp_path, text, devices=("cpu", "gpu"))
    assert [c.device for c in with_gpu.cases] == ["cpu", "gpu"]
    assert [c.device for c in load(tmp_path, text, device="gpu").cases] == ["gpu"]
    assert with_gpu.sha256 == load(tmp_path, text).sha256


@pytest.fixture
def own(tmp_path):
    """A suite with a model of the user's own; the model file is looked at only when it is built."""
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 2)), y=np.zeros(4))
    return "name: x\nmodels:\n  - {name: m, path: m.onnx, data: {DATA}}\nmatrices:\n  - {engines: [onnxruntime], variants: [dense]}\n"


def test_the_users_own_model(tmp_path, own):
    """Paths are relative to the suite, formats known by the suffix, contents by their hash."""
    suite = load(tmp_path, own.replace("DATA", 'test: {inputs: "d.npz:x", labels: "d.npz:y"}'))
    model = suite.models[0]
    assert (model.format, model.metric) == ("onnx", "accuracy")
    assert [build.step.recipe for build in suite.builds] == ["source"]
    assert "path" not in suite.sha256


@pytest.mark.parametrize(
    ("data", "metric", "found"),
    [
        ('{inputs: "d.npz:x", labels: "d.npz:y"}', "null", None),
        ('{inputs: "d.npz:x"}', "mean_squared_error", "mean_squared_error"),
        ('{inputs: "d.npz:x"}', "null", None),
    ],
)
def test_a_metric_may_be_left_out_and_may_say_what_unlabelled_outputs_are(tmp_path, own, data, metric, found):
    """Null beside labels measures none; without labels it tells whether outputs are classes."""
    suite = load(tmp_path, own.replace("DATA}", f"test: {data}}}, metric: {metric}"))
    assert suite.models[0].metric == found


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('test: {inputs: "d.npz:xx"}', ["no array 'xx'", "'x'"]),
        ('test: {inputs: "e.npz:x"}', ["no file 'e.npz'"]),
        ('test: {inputs: "d.npz"}', ["file.npz:key"]),
        ('test: {inputs: "m.onnx:x"}', ["file.npz:key"]),
        ('test: {input: "d.npz:x"}', ["did you mean 'inputs'"]),
    ],
)
def test_data_that_is_not_there(tmp_path, own, data, words):
    """A wrong file or key is told before anything is built."""
    said = complaint(tmp_path, own.replace("DATA", data))
    assert "suite.yaml:3:" in said
    assert all(word in said for word in words), said


def test_a_variant_that_must_learn_needs_training_data(tmp_path, own):
    """It is never given the test data instead."""
    text = own.replace("DATA", 'test: {inputs: "d.npz:x", labels: "d.npz:y"}').replace("[dense]", "[int8]")
    assert "int8 needs `data.train`" in complaint(tmp_path, text)
    load(tmp_path, text.replace("test:", "train:"))


@pytest.mark.parametrize(
    ("path", "words"),
    [("../m.onnx", "leads out"), ("/etc/passwd", "leads out"), ("os.path:join", "--trust"), ("m.bin", "no file"), ("", "path")],
)
def test_what_is_not_trusted(tmp_path, own, path, words):
    """No path out of the suite's folder, no code, without --trust."""
    assert words in complaint(tmp_path, own.replace("DATA", "").replace("m.onnx", f'"{path}"'))


def test_a_folder_whose_name_no_record_can_hold_is_refused(tmp_path):
    """Before anything is measured."""
    folder = tmp_path / os.fsdecode(b"latin-\xff")
    folder.mkdir()
    assert "no text in UTF-8" in complaint(folder, GOOD)


def test_a_link_out_of_the_folder_is_a_path_out_of_it(tmp_path, own):
    """A symbolic link does not smuggle a file in."""
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "m.onnx").symlink_to(tmp_path / "m.onnx")
    assert "leads out" in complaint(folder, own.replace("DATA", ""))
    load(folder, own.replace("DATA", ""), trusted=True)


def test_the_json_schema_knows_the_names():
    """An editor can complete engines, variants and their parameters."""
    text = str(json_schema(CATALOGUE))
    assert all(word in text for word in ("litert", "final_sparsity", "digits-cnn", "graph_optimization"))


def test_a_suite_accepts_a_finding_by_its_name(tmp_path):
    """A suite that accepts none is the suite that it was before there was anything to accept; what cannot be accepted is a mistake with its line."""
    plain, chosen = load(tmp_path, GOOD), load(tmp_path, GOOD + "allow: [mig_shared]\n")
    assert (plain.allow, chosen.allow) == ((), ("mig_shared",))
    assert plain.sha256 == load(tmp_path, GOOD + "allow: []\n").sha256 != chosen.sha256
    for text in ("allow: [sensor_stuck]", "allow: mig_shared"):
        with pytest.raises(SuiteError, match=r":7: .*mig_shared"):
            load(tmp_path, GOOD + text + "\n")


def test_a_suite_chooses_its_stopping_rule(tmp_path):
    """By name; told in the schema; the default leaves the hash of suites that were written before there was a choice."""
    plain, chosen = load(tmp_path, GOOD), load(tmp_path, GOOD + "stopping: open_pairs\n")
    assert (plain.stopping, chosen.stopping) == ("half_width", "open_pairs")
    assert plain.sha256 == load(tmp_path, GOOD + "stopping: half_width\n").sha256 != chosen.sha256
    assert json_schema(CATALOGUE)["properties"]["stopping"]["enum"] == ["half_width", "open_pairs"]


def test_a_device_that_must_be_named_is_not_taken_by_itself(tmp_path):
    """What is installed cannot use it: `auto` leaves it out, naming it makes a case that will be refused with what to install."""
    engines = {"onnxruntime": EngineSpec(name="onnxruntime", formats=("onnx",), devices=("cpu", "gpu"), on_request=("gpu",))}
    catalogue = replace(CATALOGUE, engines=engines)
    path = tmp_path / "suite.yaml"
    for devices, expected in (("auto", ["cpu"]), ("gpu", ["gpu"])):
        path.write_text(
            f"name: x\nmodels: [digits-cnn]\nmatrices:\n  - {{engines: [onnxruntime], devices: [{devices}], variants: [dense]}}\n"
        )
        assert [case.device for case in load_suite(path, catalogue, devices=("cpu", "gpu")).cases] == expected


@pytest.mark.parametrize("native", ["keras", "onnx"])
def test_of_two_ways_as_short_the_one_that_exports_first_is_taken(native):
    """`int8` is then that of the engine's own format: an ONNX model is quantized for OpenVINO by OpenVINO's tool."""
    both = (("keras", "tflite"), ("onnx", "onnx"), ("ir", "ir"))
    variants = {
        "int8": VariantSpec(name="int8", conversions=both),
        "ir": VariantSpec(name="ir", conversions=(("keras", "ir"), ("onnx", "ir")), exporter=True),
        "onnx": VariantSpec(name="onnx", conversions=(("keras", "onnx"),), exporter=True),
    }
    model = Model(name="m", path="m", format=native, sha256="-")
    route = find_route(model, [Step(recipe="int8")], EngineSpec(name="openvino", formats=("ir",)), variants)
    assert [hop.step.recipe for hop in route] == ["source", "ir", "int8"]
