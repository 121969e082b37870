"""The command line as a fixture, and one folder for what all workers of a session share: the process that began the session makes and removes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

import pytest


def pytest_configure() -> None:
    """Name the folder before the workers start: they inherit the variable."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["HARNESS_TEST_MODELS"] = tempfile.mkdtemp(prefix="harness-models-")


def pytest_unconfigure() -> None:
    """Remove it."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["HARNESS_TEST_MODELS"], ignore_errors=True)


@pytest.fixture
def environment(tmp_path):
    """A cache, a lock and a results folder of the test's own."""
    return {
        **os.environ,
        "HARNESS_CACHE": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path),
        "HARNESS_RESULTS": str(tmp_path / "results"),
        "COLUMNS": "120",
    }


@pytest.fixture
def harness(tmp_path, environment, monkeypatch, capsys):
    """Run the command in a folder of its own; in this process, since an interpreter for each costs more than what it runs."""
    from harness.cli.entry import run_command

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = run_command([str(argument) for argument in arguments])
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return call
