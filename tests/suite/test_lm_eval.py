"""Tasks of lm_eval as the metric of a served model."""

from __future__ import annotations

import pytest

from harness import plugins, suite
from harness.errors import SuiteError
from harness.suite.environments import needs

LLAMA = "{name: llama, path: llama.gguf}"
HASH = "b796f0b6675d778b0951ff35476f6af9914c8b32b47f6f01f61ef93e7ef2b6fd"
"""Of the suite without a metric, as it was before there were tasks."""


def load(folder, metric="", engine="openai-server", trusted=False, head=""):
    (folder / "llama.gguf").write_bytes(b"GGUF")
    (folder / "own.yaml").write_text("task: mine\n")
    model = LLAMA.replace("}", f", metric: {metric}}}") if metric else LLAMA
    path = folder / "s.yaml"
    path.write_text(f"name: s\nmodels: [{model}]\n{head}matrices:\n  - engines: [{engine}]\n")
    return suite.load_suite(path, plugins.catalogue(), trusted=trusted)


def test_a_task_is_the_quality_of_a_served_model(tmp_path):
    """And makes its environment one that the suite needs."""
    loaded = load(tmp_path, "{lm_eval: gsm8k, limit: 200}")
    task = loaded.models[0].lm_eval
    assert (task.task, task.limit, task.path, loaded.models[0].metric) == ("gsm8k", 200, None, None)
    (case,) = loaded.cases
    by_name = {need.environment.name: need.case_ids for need in needs(loaded, plugins.catalogue())}
    assert by_name["lm-eval"] == (case.case_id,)


def test_a_suite_without_one_keeps_its_hash_and_needs_no_environment(tmp_path):
    """Another task, another limit and another definition make another suite."""
    plain = load(tmp_path)
    assert plain.sha256 == HASH
    assert load(tmp_path, head="limits: {lm_eval_timeout_s: 3600}\n").sha256 == load(tmp_path, head="limits: {}\n").sha256
    assert "lm-eval" not in {need.environment.name for need in needs(plain, plugins.catalogue())}
    first, other, fewer = (load(tmp_path, metric).sha256 for metric in ("{lm_eval: a}", "{lm_eval: b}", "{lm_eval: a, limit: 5}"))
    assert len({plain.sha256, first, other, fewer}) == 4


def test_a_definition_of_the_user_is_identified_by_its_content(tmp_path):
    """Not by its folder."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (load(tmp_path / name, "{lm_eval: own.yaml}", trusted=True) for name in "ab")
    assert first.models[0].lm_eval.path == str(tmp_path / "a" / "own.yaml")
    assert first.sha256 == second.sha256


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ("{lm_eval: gsm8k, name: accuracy}", "'name' does not belong to a task of lm_eval"),
        ("{lm_eval: gsm8k, threshold: 0.5}", "'threshold' does not belong"),
        ("{lm_eval: 'gsm8k,mmlu'}", "is not the name of one task"),
        ("{lm_eval: 'mmlu_*'}", "is not the name of one task"),
        ("{lm_eval: ''}", "is not the name of one task"),
        ("{lm_eval: '--help'}", "is not the name of one task"),
        ("{lm_eval: gsm8k, limit: 0}", "limit"),
        ("{name: accuracy, limit: 5}", "'limit' belongs to `lm_eval`"),
        ("{limit: 5}", "'limit' belongs to `lm_eval`"),
        ("{lm_eval: own.yaml}", "can run code: use --trust"),
        ("{lm_eval: none.yaml}", "there is no file 'none.yaml'"),
        ("{lm_evl: gsm8k}", "lm_eval"),
    ],
)
def test_what_does_not_fit_is_a_sentence(tmp_path, metric, sentence):
    """With the field that is wrong."""
    with pytest.raises(SuiteError) as error:
        load(tmp_path, metric)
    assert sentence in str(error.value)


def test_a_model_without_a_server_is_not_supported(tmp_path):
    """With the engine that has one."""
    loaded = load(tmp_path, "{lm_eval: gsm8k}", engine="transformers")
    assert not loaded.cases
    assert "transformers has none: use the engine openai-server" in loaded.impossible[0].reason
