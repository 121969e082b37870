"""Errors in a suite have their line and what was probably meant; the grammar is a JSON schema."""

from __future__ import annotations

import pytest

from harness.errors import SuiteError
from harness.suite import json_schema
from tests.catalogue import CATALOGUE
from tests.suites import GOOD, errors, load, matrix


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: x\nmodels: [digits-cn]\nmatrices: [{engines: [litert]}]\n", 2, ["digits-cn", "did you mean 'digits-cnn'"]),
        (matrix("variants: [dens]"), 5, ["'dens'", "did you mean 'dense'"]),
        (matrix("variants: [{prune: {final_sparsty: 0.9}}]"), 5, ["final_sparsty", "did you mean 'final_sparsity'"]),
        (matrix("variants: [{prune: {final_sparsity: 1.5}}]"), 5, ["final_sparsity", "less than 1"]),
        (matrix("variants: [{prune: {final_sparsity: '0.9'}}]"), 5, ["final_sparsity", "plain number"]),
        (matrix("variants: [{prune: {}, int8: {}}]"), 5, ["list for a chain"]),
        (matrix("variants: [[dense, int8]]"), 5, ["cannot be a step of a chain"]),
        (matrix("variants: [{dense: {}}]"), 5, ["'dense' is the unchanged model", "write dense"]),
        (matrix("variants: int8"), 5, ["must be a list", "[int8]"]),
        (matrix("variants: []"), 5, ["variants", "at least one"]),
        (matrix("variants: [3]"), 5, ["neither a name nor a mapping"]),
        (matrix("variants: [tflite]"), 5, ["unknown variant 'tflite'"]),
        (matrix("batch_sizes: [0]"), 5, ["greater than or equal to 1"]),
        (matrix("batch_sizes: [true]"), 5, ["batch_sizes", "a whole number, not true"]),
        (matrix("batch_sizes: ['8 samples']"), 5, ["a whole number, not the text"]),
        (matrix("batch_size: [8]"), 5, ["batch_size", "did you mean 'batch_sizes'"]),
        (matrix("devices: [gpuu]"), 5, ["gpuu"]),
        (matrix("scenarios: [single-stream]"), 5, ["did you mean 'single_stream'"]),
        (matrix("limits: {}"), 5, ["limits"]),
        (matrix("copies: both"), 5, ["must be a list", "[inside, outside]"]),
        (matrix("copies: [both]"), 5, ["'copies' cannot be 'both'", "inside, outside"]),
        (matrix("copies: [insid]"), 5, ["did you mean 'inside'"]),  # codespell:ignore
        (matrix("copies: []"), 5, ["at least one"]),
        (matrix("copies: [null]"), 5, ["cannot be nothing"]),
        (matrix("in_flight: [0]"), 5, ["in_flight", "greater than or equal to 1"]),
        (matrix("in_flight: 4"), 5, ["must be a list", "[4]"]),
        (matrix("in_flight: [1.5]"), 5, ["in_flight", "a whole number"]),
        (matrix("in_flight: [9999]"), 5, ["in_flight", "less than or equal to 1024"]),
        (matrix("in_flight: [1, 4]"), 5, ["in_flight: 4 needs `scenarios: [offline]`", "a matrix of its own"]),
        (matrix("in_flight: [4]\n    scenarios: [offline, single_stream]"), 5, ["in_flight: 4 needs `scenarios: [offline]`"]),
        ("name: x\nmodels: [digits-cnn]\nmatrices:\n  - engines: [litertt]\n", 4, ["did you mean 'litert'"]),
        ("name: x\nmodels: [digits-cnn]\nmatrices:\n  - engines: [vendor]\n", 4, ["no libvendor"]),
        ("name: x\nmodels: [digits-cnn]\nmatrices:\n  - engines: [{name: onnxruntime, options: {graph_optimization: al}}]\n", 4, ["did you mean 'all'"]),
        ("name: x\nmodels: [digits-cnn]\nmatrices:\n  - engines: [{name: litert, options: {fast: 1}}]\n", 4, ["takes no parameters"]),
        (GOOD + "quality: {margin: 1 %}\n", 7, ["margin", "fraction"]),
        (GOOD + "limits: {timeout_s: 60 s}\n", 7, ["timeout_s", "seconds"]),
        (GOOD + "limits: {load_timeout_s: 10 min}\n", 7, ["load_timeout_s", "seconds"]),
        (GOOD + "limits: {load_timeout_s: 0}\n", 7, ["load_timeout_s", "greater than 0"]),
        (GOOD + "limits: {load_timout_s: 60}\n", 7, ["did you mean 'load_timeout_s'"]),  # codespell:ignore
        (GOOD + "acceptance: {exclusive_card: yes}\n", 7, ["'exclusive_card' must be true or false, not the text 'yes'"]),
        (GOOD + "slo: {}\n", 7, ["slo", "at least one of max_ttft_s, max_tpot_s and max_e2e_s"]),
        (GOOD + "slo: {max_ttft_s: 200 ms}\n", 7, ["max_ttft_s", "seconds"]),
        (GOOD + "slo: {max_tpot_s: 0}\n", 7, ["max_tpot_s", "greater than 0"]),
        (GOOD + "slo: {max_ttft: 1}\n", 7, ["did you mean 'max_ttft_s'"]),
        (GOOD + "slo: {max_e2e_s: .nan}\n", 7, ["max_e2e_s"]),
        ("name: x\nmodels: [timm]\nmatrices: [{engines: [litert]}]\n", 2, ["timm is a family of models: write timm/NAME"]),
        ("name: x\nmodels: [timm/]\nmatrices: [{engines: [litert]}]\n", 2, ["timm is a family of models: write timm/NAME"]),
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
def test_an_error_has_its_line_and_what_was_meant(tmp_path, text, line, words):
    """File, line, what is wrong, what was meant."""
    problems = errors(tmp_path, text)
    assert f"suite.yaml:{line}:" in problems
    assert all(word in problems for word in words), problems


def test_all_errors_are_reported_at_once(tmp_path):
    """Three wrong names are three lines."""
    problems = errors(tmp_path, matrix("variants: [dens, flot16, nonsense]"))
    assert problems.count("suite.yaml:5:") == 3


def test_the_json_schema_knows_the_names():
    """So that an editor can complete engines, variants and their parameters."""
    text = str(json_schema(CATALOGUE))
    assert all(word in text for word in ("litert", "final_sparsity", "digits-cnn", "graph_optimization"))


def test_a_suite_accepts_a_finding_by_its_name(tmp_path):
    """An empty list leaves the hash of the suite; a finding that cannot be accepted is an error with its line."""
    plain, chosen = load(tmp_path, GOOD), load(tmp_path, GOOD + "allow: [mig_shared]\n")
    assert (plain.allow, chosen.allow) == ((), ("mig_shared",))
    assert plain.sha256 == load(tmp_path, GOOD + "allow: []\n").sha256 != chosen.sha256
    for text in ("allow: [sensor_stuck]", "allow: mig_shared"):
        with pytest.raises(SuiteError, match=r":7: .*mig_shared"):
            load(tmp_path, GOOD + text + "\n")


def test_a_suite_chooses_its_stopping_rule(tmp_path):
    """By name; the default leaves the hash of the suite, and the schema lists the rules."""
    plain, chosen = load(tmp_path, GOOD), load(tmp_path, GOOD + "stopping: open_pairs\n")
    assert (plain.stopping, chosen.stopping) == ("half_width", "open_pairs")
    assert plain.sha256 == load(tmp_path, GOOD + "stopping: half_width\n").sha256 != chosen.sha256
    assert json_schema(CATALOGUE)["properties"]["stopping"]["enum"] == ["half_width", "open_pairs"]


def test_the_json_schema_knows_the_members():
    """So that an editor can complete them."""
    text = str(json_schema(CATALOGUE))
    assert "zoo/Ant" in text and "images" in text


def test_the_json_schema_accepts_any_member_and_a_recipe_without_parameters():
    """As the grammar does: `timm/NAME` of a family that lists no members, but not the family alone; `- prune:`."""
    schema = json_schema(CATALOGUE)
    names, families, _ = schema["properties"]["models"]["items"]["anyOf"]
    assert "timm" not in names["enum"] and families == {"type": "string", "pattern": "^timm/."}
    step = schema["$defs"]["Matrix"]["properties"]["variants"]["items"]["anyOf"][0]
    recipes = step["oneOf"][1]["properties"]
    assert all({"type": "null"} in recipe["anyOf"] for recipe in recipes.values())
