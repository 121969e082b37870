"""Files, folders, links and functions named in a suite."""

from __future__ import annotations

import os

import pytest

from harness.formats.fingerprint import fingerprint
from tests.suites import GOOD, errors, load, own


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../m.onnx", "leaves the suite's folder"),
        ("/etc/passwd", "leaves the suite's folder"),
        ("os.path:join", "--trust"),
        ("m.bin", "no file"),
        ("", "path"),
    ],
)
def test_trust_is_needed(folder, path, words):
    """For a path out of the suite's folder, and for code."""
    assert words in errors(folder, own("").replace("m.onnx", f'"{path}"'))


def test_a_folder_with_an_invalid_name_is_refused(tmp_path):
    """A record could not store it."""
    folder = tmp_path / os.fsdecode(b"latin-\xff")
    folder.mkdir()
    assert "not valid UTF-8" in errors(folder, GOOD)


def test_a_link_out_of_the_folder_needs_trust(folder):
    """As a path does."""
    (inner := folder / "suite").mkdir()
    (inner / "m.onnx").symlink_to(folder / "m.onnx")
    assert "leaves the suite's folder" in errors(inner, own(""))
    load(inner, own(""), trusted=True)


def test_a_pipe_and_a_link_to_itself_are_not_opened(folder):
    """A pipe would wait for a writer."""
    (folder / "m.onnx").unlink()
    os.mkfifo(folder / "m.onnx")
    assert "'m.onnx' is neither a file nor a folder" in errors(folder, own(""))
    (folder / "m.onnx").unlink()
    (folder / "m.onnx").symlink_to("m.onnx")
    assert "'m.onnx' cannot be read: " in errors(folder, own(""))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere"), lambda path: path.symlink_to("..")])
def test_a_folder_with_something_that_cannot_be_copied_is_refused(folder, make):
    """A pipe, a broken link, a link to a folder that contains it: the hash would not include them."""
    (folder / "saved" / "assets").mkdir()
    make(folder / "saved" / "assets" / "odd")
    problems = errors(folder, "name: x\nmodels:\n  - {name: m, path: saved}\nmatrices:\n  - {engines: [litert], variants: [dense]}\n")
    assert "'assets/odd' in 'saved' is neither a file nor a folder" in problems


def test_files_behind_a_link_to_a_folder_are_hashed(folder):
    """Otherwise two models that differ in linked weights would have one hash."""
    (folder / "weights").mkdir()
    (folder / "saved" / "variables").symlink_to("../weights")
    hashes = set()
    for content in (b"one", b"two"):
        (folder / "weights" / "data").write_bytes(content)
        hashes.add(fingerprint(folder / "saved"))
    assert len(hashes) == 2


def test_a_link_out_of_a_model_folder_is_refused(folder):
    """As in a SavedModel."""
    (folder / "saved" / "assets").symlink_to("/etc")
    problems = errors(folder, "name: x\nmodels: [{name: m, path: saved}]\nmatrices: [{engines: [tensorflow]}]\n")
    assert "leaves the suite's folder" in problems


def test_a_function_is_identified_by_its_code(folder):
    """A change of the module next to the suite is another suite."""
    (folder / "mod.py").write_text("def f(): return 1\n")
    first = load(folder, own("test: {function: 'mod:f'}"), trusted=True)
    (folder / "mod.py").write_text("def f(): return 2\n")
    assert first.sha256 != load(folder, own("test: {function: 'mod:f'}"), trusted=True).sha256
    assert first.models[0].folder == str(folder)
    metric = "metric: {function: 'mod:f', direction: lower}, path:"
    model = load(folder, own("test: {csv: test.csv, label: kind}").replace("path:", metric), trusted=True).models[0]
    assert (model.metric, model.metric_direction) == ("mod:f", "lower")
