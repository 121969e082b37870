"""`harness cache`."""

from __future__ import annotations

from pathlib import Path

from harness.artifacts import Cache
from tests.cli.helpers import assert_error
from tests.test_artifacts import keep


def test_the_cache_is_listed_trimmed_and_cleared(harness, environment):
    """Clearing asks for a confirmation."""
    folder = Path(environment["HARNESS_CACHE"])
    cache = Cache(folder)
    for name in "ab":
        keep(cache, name, b"x" * 2000)
    shown = harness("cache").stdout
    assert str(folder) in shown and "2 artifacts" in shown and "of at most 21.5 GB" in shown
    assert "400 J, modelled" in shown
    assert_error(harness("cache", "--clear"), 2, "needs a confirmation", "--yes")
    with cache.use(["a"]):
        done = harness("cache", "--clear", "--yes")
    assert done.returncode == 0 and "freed" in done.stdout and "1 artifacts" in done.stdout and "1 in use" in done.stdout
    assert cache.find("a") and not cache.find("b")
    environment["HARNESS_CACHE_LIMIT_BYTES"] = "1"
    assert "0 artifacts" in harness("cache", "--trim").stdout
    environment["HARNESS_CACHE_LIMIT_BYTES"] = "much"
    assert_error(harness("cache"), 2, "HARNESS_CACHE_LIMIT_BYTES")
