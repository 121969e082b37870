"""A place for runs of the test's own, and a run that was started on another machine."""

from __future__ import annotations

import contextlib
import tempfile

import pytest

from harness import plugins
from harness.run import start, timing
from harness.schema import Environment
from harness.store import Store, manifest, write_atomically
from tests import factories
from tests.campaigns import Watcher


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A cache and a machine lock of the test's own, and no second lost on the lead-in."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(timing, "LEAD_IN_S", 0.05)
    monkeypatch.setattr(start, "COST_S", 0.06)


@pytest.fixture
def elsewhere_begun(tmp_path, monkeypatch, elsewhere):
    """(Function that resumes a run as if in an environment with some domains, the run's environment, its folder)."""
    header = factories.digits().header
    folder = Store.create(tmp_path / "results", header).folder
    write_atomically(folder / manifest.NAME, manifest.seal(folder))

    def resume(here: Environment, domains=header.domains):
        monkeypatch.setattr(start, "opened_sensors", lambda *_: contextlib.nullcontext(([(None, domains)], {}, {})))
        monkeypatch.setattr(start, "environment_here", lambda *_: here)
        with start.resume(folder, plugins.catalogue(), Watcher()) as running:
            return running

    return resume, header.environments[0], folder
