"""Loads of text generation in a suite: their cases, and what does not fit."""

from __future__ import annotations

import pytest

from harness import plugins, suite
from harness.errors import SuiteError
from harness.schema.served import TokenLoad

HEAD = "name: s\nmodels: [{name: llama, path: llama.gguf}]\nmatrices:\n  - "
SERVER = "engines: [openai-server]"


def load(tmp_path, matrix):
    (tmp_path / "llama.gguf").write_bytes(b"GGUF")
    path = tmp_path / "s.yaml"
    path.write_text(f"{HEAD}{{{matrix}}}\n")
    return suite.load_suite(path, plugins.catalogue())


def test_concurrency_and_lengths_are_axes(tmp_path):
    """Each length at each concurrency; batch sizes and copies are no axes of text generation."""
    cases = load(
        tmp_path, f"{SERVER}, concurrency: [1, 4], lengths: [{{input: 16, output: 48}}, {{input: 256, output: 1, spread: 0}}]"
    ).cases
    assert [case.load for case in cases] == [
        TokenLoad(concurrency=1, input_tokens=16, output_tokens=48),
        TokenLoad(concurrency=4, input_tokens=16, output_tokens=48),
        TokenLoad(concurrency=1, input_tokens=256, output_tokens=1, spread=0),
        TokenLoad(concurrency=4, input_tokens=256, output_tokens=1, spread=0),
    ]
    assert cases[0].case_id.endswith("/cpu/t1/closed/c1/in16/out48")
    assert {case.unit for case in cases} == {"output_token"}
    assert [case.timing for case in cases] == ["in16/out48", "in16/out48", "in256/out1/spread_0", "in256/out1/spread_0"]


def test_rates_are_an_axis_of_poisson(tmp_path):
    """In place of the concurrency."""
    (case,) = load(tmp_path, f"{SERVER}, scenarios: [poisson], rates_per_s: [2], lengths: [{{input: 16, output: 48}}]").cases
    assert (case.scenario, case.load.rate_per_s, case.load.concurrency) == ("poisson", 2.0, None)


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        (f"{SERVER}, scenarios: [poisson]", "poisson needs rates"),
        (f"{SERVER}, rates_per_s: [1.0]", "'rates_per_s' needs `scenarios: [poisson]`"),
        (f"{SERVER}, scenarios: [poisson], rates_per_s: [1.0], concurrency: [4]", "'concurrency' needs `scenarios: [closed]`"),
        (f"{SERVER}, lengths: [{{input: 16}}]", "output"),
        (f"{SERVER}, lengths: [{{input: 16, output: 0}}]", "output"),
        (f"{SERVER}, lengths: [{{input: 16, output: 4, spread: 1.5}}]", "spread"),
        (f"{SERVER}, lengths: [{{input: 16, output: 4, prompts: nothing.jsonl}}]", "nothing.jsonl"),
        (f"{SERVER}, concurrency: [0]", "concurrency"),
        (f"{SERVER}, scenarios: [close]", "did you mean 'closed'"),
    ],
)
def test_what_does_not_fit_is_a_sentence(tmp_path, matrix, sentence):
    """With the field that is wrong or missing."""
    with pytest.raises(SuiteError, match=sentence.replace("[", r"\[").replace("]", r"\]")):
        load(tmp_path, matrix)


def test_engines_answer_their_own_scenarios(tmp_path):
    """A cell of another scenario is unsupported, with the scenarios that the engine has."""
    resolved = load(tmp_path, "engines: [openai-server, 'null'], scenarios: [closed, offline]")
    assert {cell.reason for cell in resolved.impossible} == {
        "openai-server generates text, with the scenarios closed and poisson, not offline",
        "null answers queries, with the scenarios single_stream and offline, not closed",
    }


def test_prompts_are_part_of_the_case_and_of_the_hash(tmp_path):
    """Other prompts are other cases; without any the hash is that of the text of the suite."""
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n')
    matrix = f"{SERVER}, lengths: [{{input: 16, output: 48, prompts: p.jsonl}}]"
    before = load(tmp_path, matrix)
    (tmp_path / "p.jsonl").write_text('{"prompt": "b"}\n')
    after = load(tmp_path, matrix)
    assert before.cases[0].case_id != after.cases[0].case_id
    assert before.sha256 != after.sha256
