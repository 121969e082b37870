"""Artifacts that the builds did not make, or that the cache does not have."""

from __future__ import annotations

import json

import pytest

from harness.artifacts import Cache
from harness.verify import verify
from tests.verify.forgery import assert_problem, built, cache_artifact, draw, problems_after, replace_text, reseal


@pytest.mark.parametrize(
    "change", [lambda one: one["artifact"].update(bytes=1), lambda one: one["artifact"]["facts"].update(macs=1)], ids=["size", "facts"]
)
def test_a_case_with_another_artifact_than_its_build_is_reported(folder, change):
    """And no other case."""
    assert_problem(problems_after(folder, change), "its artifact is not that of build build-int8")


@pytest.fixture
def cache(folder, tmp_path):
    """A cache with the artifacts of the run."""
    cache, path = Cache(tmp_path / "cache"), folder / "records.jsonl"
    lines = path.read_text().splitlines()
    for variant in ("dense", "int8"):
        cache_artifact(cache, variant, variant.encode(), built(variant).started_utc)
        kept = cache.find(f"build-{variant}")[0]
        lines = [_with_artifact(line, kept) for line in lines]
    path.write_text("\n".join(lines) + "\n")
    draw(folder)
    reseal(folder)
    return cache


def _with_artifact(line, kept):
    one = json.loads(line)
    if one["artifact"]["build_id"] == kept.build_id:
        one["artifact"] = kept.model_dump()
    return json.dumps(one)


def test_artifacts_are_compared_with_the_cache(folder, cache):
    """Without a cache there is a note."""
    result = verify(folder, cache=cache)
    assert result.problems == []
    assert not any("artifacts" in note for note in result.notes)
    assert any("2 of 2 artifacts are not in the cache" in note for note in verify(folder).notes)


@pytest.mark.parametrize(("name", "value"), [("bytes", 1), ("sha256", "0" * 64), ("facts", {"parameters": 7})])
def test_an_artifact_that_differs_from_the_cache_is_reported(folder, cache, name, value):
    """Although the build and its cases agree."""
    path = folder / "records.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for one in lines:
        one["artifact"][name] = value if one["artifact"]["build_id"] == "build-int8" else one["artifact"][name]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    reseal(folder)
    problems = verify(folder, cache=cache).problems
    assert any("build build-int8" in each and f"artifact {name}" in each for each in problems)


def test_a_cached_build_quotes_the_record_of_the_build(folder, cache):
    """Its traces are in another run, its record is next to its artifact."""
    replace_text(folder / "records.jsonl", '"peak_memory_bytes": 40000000', '"peak_memory_bytes": 1')
    reseal(folder)
    (problem,) = verify(folder, cache=cache).problems
    assert "build build-dense" in problem
    assert "peak_memory_bytes, copied from the record of the build, is stored as 1" in problem


def test_an_artifact_that_was_built_again_since_is_a_note(folder, cache):
    """The run did not change."""
    cache_artifact(cache, "int8", b"another training", "2026-02-01T10:00:00.000+00:00")
    result = verify(folder, cache=cache)
    assert result.problems == []
    assert any("1 of 2 artifacts are not in the cache, or were built again since" in note for note in result.notes)
