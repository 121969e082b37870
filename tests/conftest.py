"""One folder for what all workers of a session share; the process that began the session makes and removes it."""

from __future__ import annotations

import os
import shutil
import tempfile


def pytest_configure() -> None:
    """Name the folder before the workers start: they inherit the variable."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["HARNESS_TEST_MODELS"] = tempfile.mkdtemp(prefix="harness-models-")


def pytest_unconfigure() -> None:
    """Remove it."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["HARNESS_TEST_MODELS"], ignore_errors=True)
