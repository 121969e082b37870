"""Calls of the user's own functions."""

from __future__ import annotations

import pytest

from harness.errors import EngineError
from harness.workloads.functions import call_function


@pytest.fixture
def folder(tmp_path):
    """The folder of a suite with a module next to it."""
    (tmp_path / "users_module.py").write_text(
        "def double(x): return 2 * x\ndef broken(): raise KeyError('key')\ndef empty(): raise ValueError\n"
    )
    return str(tmp_path)


def test_the_module_is_found_in_the_suites_folder(folder):
    """And called with the arguments."""
    assert call_function("users_module:double", folder, 21) == 42


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("users_module:broken", "users_module:broken failed: KeyError: 'key'\n"),
        ("users_module:empty", "users_module:empty failed: ValueError\n"),
        ("users_module:missing", "AttributeError: module .* has no attribute"),
        ("no_such_module_here:f", "ModuleNotFoundError"),
    ],
)
def test_any_error_names_the_function(folder, written, words):
    """With the next step: to run it alone."""
    with pytest.raises(EngineError, match=rf"{words}(.|\n)*run the function separately to find the error"):
        call_function(written, folder)
