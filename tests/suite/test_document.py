"""YAML files that are damaged, explode, or are not YAML."""

from __future__ import annotations

from tests.suites import errors, matrix


def test_a_long_value_is_truncated(tmp_path):
    """The sentence keeps its beginning and its end."""
    problems = errors(tmp_path, matrix(f"variants: [{{prune: {{final_sparsity: {'x' * 5000}}}}}]"))
    assert len(problems) < 1000
    assert "final_sparsity" in problems


def test_aliases_that_explode_are_refused(tmp_path):
    """A small file with millions of values does not fill the memory."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "aliases" in errors(tmp_path, "\n".join(levels))
    assert "suite.yaml" in errors(tmp_path, "a: &a [*a]\n")
    assert "nested" in errors(tmp_path, "[" * 800)
