"""The words of the glossary hold: in text by codespell, in names by the syntax tree."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness

ROOT = Path(harness.__file__).parent.parent
# Names that do not state what the value is: `found` is `findings`, `said` is `reply`, `whole` is `cases_frame`, `drawn` is `figure`, `wish` is `request`.  # codespell:ignore
VAGUE = {"found", "told", "said", "whole", "drawn", "wish", "wanted", "shown", "chance", "tell", "complain", "mark"}  # codespell:ignore


def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each name that a file gives: of functions, classes, arguments, variables and fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def test_names_state_what_the_value_is():
    """No module and no name is one of the vague words."""
    vague = []
    for path in sorted((ROOT / "harness").rglob("*.py")):
        names_ = [(path.stem, 0), *names(ast.parse(path.read_text()))]
        vague += [f"{path.relative_to(ROOT)}:{line}: {name}" for name, line in names_ if name.strip("_") in VAGUE]
    assert not vague


@pytest.mark.parametrize(
    "text",
    [
        '"""What the sensor told."""',  # codespell:ignore
        'KIND = "told"',  # codespell:ignore
        "def was_told(): ...",  # codespell:ignore
        "<p>It cannot be had here.</p>",  # codespell:ignore
        "class ToldThat: ...",  # codespell:ignore
    ],
    ids=["docstring", "enum value", "name", "template", "class"],
)
def test_a_planted_word_fails_the_lint(tmp_path, text):
    """In a docstring, an enum value, a name or a template."""
    (tmp_path / "planted.j2").write_text(text)
    linted = subprocess.run(
        [sys.executable, "-m", "codespell_lib", "--toml", "pyproject.toml", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert linted.returncode == 65, linted.stdout + linted.stderr
    assert "planted.j2:1" in linted.stdout
