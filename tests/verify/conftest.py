"""A verified run to change."""

from __future__ import annotations

import shutil

import pytest

from harness.report import plots
from tests.verify import forgery


@pytest.fixture(scope="package", autouse=True)
def _quick_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "draw", forgery.pictures)
        yield


@pytest.fixture(scope="package")
def sealed(tmp_path_factory, _quick_pictures):
    """The folder of a complete run."""
    return forgery.write_run(tmp_path_factory.mktemp("results"))


@pytest.fixture
def folder(sealed, tmp_path):
    """A copy of the run to change."""
    return shutil.copytree(sealed, tmp_path / "run")
