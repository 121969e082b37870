"""An artifact is in the cache whole, or it is not there."""

from __future__ import annotations

import os
import subprocess
import sys

import platformdirs
import pytest

from harness import artifacts
from harness.artifacts import Cache
from harness.errors import StoreError
from harness.formats.fingerprint import fingerprint
from harness.meters import calibrate
from tests import factories


def keep(cache: Cache, build_id: str, content: bytes = b"model"):
    """Build a file and keep it."""
    with cache.build_folder() as folder:
        path = folder / "model.tflite"
        path.write_bytes(content)
        record = factories.build_record()
        artifact = record.artifact.model_copy(
            update={"build_id": build_id, "path": str(path), "sha256": fingerprint(path).sha256, "bytes": len(content)}
        )
        return cache.keep(folder, record.model_copy(update={"artifact": artifact, "build_id": build_id}))


def test_what_is_kept_is_found_with_its_record(tmp_path):
    """At its final place, with the same content."""
    cache = Cache(tmp_path)
    kept = keep(cache, "a")
    found = cache.find("a")
    assert found
    assert found[0] == kept
    assert found[1].artifact == kept
    assert cache.find("b") is None
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".building")] == []


def test_a_folder_is_found_again(tmp_path):
    """Until a file in it has changed, or has another name."""
    cache = Cache(tmp_path)
    with cache.build_folder() as folder:
        path = folder / "data"
        path.mkdir()
        (path / "test.npz").write_bytes(b"arrays")
        record = factories.build_record()
        artifact = record.artifact.model_copy(update={"build_id": "a", "path": str(path), "sha256": fingerprint(path).sha256})
        cache.keep(folder, record.model_copy(update={"artifact": artifact, "build_id": "a"}))
    assert cache.find("a")
    (tmp_path / "a" / "data" / "test.npz").rename(tmp_path / "a" / "data" / "train.npz")
    assert cache.find("a") is None


def test_a_changed_artifact_is_not_found(tmp_path):
    """One byte is enough."""
    cache = Cache(tmp_path)
    kept = keep(cache, "a")
    (tmp_path / "a" / "model.tflite").write_bytes(b"m0del")
    assert cache.find("a") is None
    assert keep(cache, "a") == kept
    assert cache.find("a")


def test_a_build_that_dies_leaves_nothing(tmp_path):
    """Not even when it has written something."""
    cache = Cache(tmp_path)
    with pytest.raises(RuntimeError), cache.build_folder() as folder:
        (folder / "half").write_text("")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_the_least_recently_used_go_first(tmp_path):
    """Down to the limit, never what is in use."""
    cache = Cache(tmp_path, limit_bytes=3000)
    for age, name in enumerate("abc"):
        keep(cache, name, b"x" * 2000)
        os.utime(tmp_path / name, (age, age))
    assert cache.trim(in_use={"a"}) > 0
    assert cache.find("a")
    assert cache.find("b") is None


def test_what_was_found_was_used(tmp_path):
    """An old artifact that a run has just taken outlives a newer one that nobody asks for."""
    cache = Cache(tmp_path, limit_bytes=7000)
    for age, name in enumerate("ab"):
        keep(cache, name, b"x" * 4000)
        os.utime(tmp_path / name, (age, age))
    assert cache.find("a")
    cache.trim()
    assert cache.find("a")
    assert cache.find("b") is None


def test_what_a_run_uses_is_neither_trimmed_nor_cleared(tmp_path):
    """Of any process, as long as it lives; nor is what is being built; afterwards all goes, and nothing is left behind."""
    cache, other = Cache(tmp_path, limit_bytes=0), Cache(tmp_path)
    for name in "ab":
        keep(cache, name)
    with other.use({"a", "c"}), other.build_folder() as folder:
        assert {entry.record.build_id: entry.in_use for entry in cache.entries()} == {"a": True, "b": False}
        assert cache.clear() > 0
        cache.trim()
        assert cache.find("a") and not cache.find("b") and folder.exists()
    assert cache.clear() > 0
    assert [p.name for p in tmp_path.iterdir() if p.name != ".lock"] == []


def test_the_claims_of_a_killed_process_end_with_it(tmp_path):
    """And what it was building goes too."""
    keep(Cache(tmp_path), "a")
    code = f"""
import time; from pathlib import Path; from harness.artifacts import Cache
with Cache(Path({str(tmp_path)!r})).use(["a"]), Cache(Path({str(tmp_path)!r})).build_folder() as folder:
    (folder / "half").write_text("half")
    print(flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    assert Cache(tmp_path).clear() == 0
    with Cache(tmp_path).use([]):
        assert len(list(tmp_path.glob(".building-*"))) == 1, "another run is building"
    process.kill()
    process.wait()
    process.stdout.close()
    with Cache(tmp_path).use(["a"]):
        assert list(tmp_path.glob(".building-*")) == [], "the next run clears up"
        assert (tmp_path / "a").exists()
    assert Cache(tmp_path).clear() > 0
    assert [p.name for p in tmp_path.iterdir() if p.name != ".lock"] == []


def test_entries_come_last_used_first_and_skip_what_is_damaged(tmp_path):
    """With their size on the disk."""
    cache = Cache(tmp_path)
    for age, name in enumerate("abc"):
        keep(cache, name, b"x" * 2000)
        os.utime(tmp_path / name, (age, age))
    (tmp_path / "b" / "record.json").write_text("{")
    assert [entry.record.build_id for entry in cache.entries()] == ["c", "a"]
    assert cache.entries()[0].bytes > 2000
    assert cache.entries()[0].used_unix_s == 2


def test_the_limit_is_the_users(tmp_path, monkeypatch):
    """By a variable; anything but a number is an error."""
    monkeypatch.setenv("HARNESS_CACHE_LIMIT_BYTES", "12345")
    assert Cache(tmp_path).limit_bytes == 12345
    monkeypatch.setenv("HARNESS_CACHE_LIMIT_BYTES", "20 GB")
    with pytest.raises(StoreError, match="not a whole number of bytes"):
        Cache(tmp_path)


@pytest.mark.parametrize(
    ("folder", "variable"), [(artifacts.default_folder, "HARNESS_CACHE"), (calibrate.default_folder, "HARNESS_CALIBRATION")]
)
def test_a_user_without_a_home_learns_what_to_set(monkeypatch, folder, variable):
    """A container may run under a number that is nobody's."""

    def nowhere(*_, **__):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv(variable, raising=False)
    for kind in ("cache", "data"):
        monkeypatch.setattr(platformdirs, f"user_{kind}_path", nowhere)
    with pytest.raises(StoreError, match="cannot be stored") as caught:
        folder()
    assert variable in caught.value.hint


def test_a_cache_that_cannot_be_made_is_a_sentence(tmp_path):
    """The hint names the variable that moves it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be created") as caught:
        Cache(tmp_path / "file" / "cache")
    assert "HARNESS_CACHE" in caught.value.hint
