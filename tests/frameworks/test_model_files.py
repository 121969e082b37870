"""Models that functions and workloads bring as files."""

from __future__ import annotations

import shutil

import pytest

from harness.errors import EngineError
from harness.frameworks.model_files import GgufFiles, HfFolders
from tests.gguf_models import tiny
from tests.hf_models import hf_folder


@pytest.mark.parametrize(("framework", "make"), [(GgufFiles, tiny), (HfFolders, hf_folder)])
def test_a_path_and_a_function_that_writes_give_the_same(tmp_path, framework, make):
    """The model is imported as a user's file is; the source stays, and nothing else is left."""
    source = make(tmp_path)
    for name in ("path", "function"):
        (tmp_path / name).mkdir()
    copy = shutil.copytree if source.is_dir() else shutil.copyfile
    by_path = framework().save(source, tmp_path / "path", [])
    by_function = framework().save(lambda path: copy(source, path), tmp_path / "function", [])
    assert by_path.facts == by_function.facts and by_path.notes == by_function.notes and source.exists()
    assert by_path.path.name == by_function.path.name and list((tmp_path / "function").iterdir()) == [by_function.path]


@pytest.mark.parametrize(("framework", "format_"), [(GgufFiles, "gguf"), (HfFolders, "hf")])
def test_paths_and_functions_are_owned(tmp_path, framework, format_):
    """Not other objects."""
    assert framework().owns(tmp_path) and framework().owns(print) and not framework().owns("model.gguf")
    assert framework.spec.name == framework.spec.format == format_


def test_what_a_function_writes_is_checked(tmp_path):
    """As a user's file is."""
    with pytest.raises(EngineError, match="is not a GGUF file"):
        GgufFiles().save(lambda path: path.write_bytes(b"nothing"), tmp_path, [])
