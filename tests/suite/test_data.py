"""Data of a suite: arrays, images, tables and functions."""

from __future__ import annotations

import pytest

from tests.suites import errors, load, own


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
def test_an_error_in_arrays_has_its_line_and_what_was_meant(folder, data, words):
    """A wrong file or key, before anything is built."""
    problems = errors(folder, own(data))
    assert "suite.yaml:3:" in problems
    assert all(word in problems for word in words), problems


def test_spaces_after_commas_are_ignored(folder):
    """As in tables written by hand."""
    (folder / "train.csv").write_text("a, kind\n1, yes\n2, no\n")
    model = load(folder, own("train: {csv: train.csv, label: kind}")).models[0]
    assert model.train.source.options["classes"] == ["no", "yes"]
    assert model.train.source.options["features"] == {"": ["a"]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("test: {}", ["one of inputs, images, csv, function"]),
        ("test: {csv: test.csv, images: test}", ["not images and csv together"]),
        ("test: {csv: test.csv, scale: 2}", ["'scale' belongs to 'images', not to 'csv'"]),
        ("test: {csv: test.csv, label: kindd}", ["no column 'kindd'", "did you mean 'kind'"]),
        ("test: {csv: test.csv, features: [a, c]}", ["no column 'c'"]),
        ("test: {csv: tst.csv}", ["did you mean 'test.csv'"]),
        ("test: {csv: train}", ["is a folder"]),
        ("test: {images: tset}", ["no file 'tset'"]),
        ("test: {images: m.onnx}", ["is a file: name a folder"]),
        ("test: {images: test, size: [8]}", ["size"]),
        ("test: {images: test, classes: test.csv}", ["'dog' is not one of the classes"]),
        ("test: {image: test}", ["did you mean 'images'"]),
        ("test: {function: 'mod:f'}", ["--trust"]),
        ("test: {function: mod.f}", ["package.module:function"]),
    ],
)
def test_an_error_in_the_data_has_its_line_and_what_was_meant(folder, data, words):
    """Before anything is built."""
    problems = errors(folder, own(data))
    assert "suite.yaml:3:" in problems
    assert all(word in problems for word in words), problems
