"""The command line as a fixture, and a folder that all workers of a session share; the process that started the session removes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

BACKGROUND: list[subprocess.Popen[bytes]] = []


def pytest_configure(config) -> None:
    """Create the folder before the workers start, which inherit the variable; with workers, build the models meanwhile."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["HARNESS_TEST_MODELS"] = tempfile.mkdtemp(prefix="harness-models-")
        if getattr(config.option, "numprocesses", None):
            build = [sys.executable, "-c", "from tests.models import models, workload_facts; models(), workload_facts()"]
            BACKGROUND.append(
                subprocess.Popen(build, cwd=Path(__file__).parent.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )


def pytest_unconfigure() -> None:
    """Remove the folder."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        for process in BACKGROUND:
            process.kill()
            process.wait()
        shutil.rmtree(os.environ["HARNESS_TEST_MODELS"], ignore_errors=True)


@pytest.fixture
def environment(tmp_path):
    """Environment variables with a cache, a lock and a results folder of the test's own."""
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


@pytest.fixture
def short_lead_in(monkeypatch):
    """No second is lost on the lead-in of a window."""
    from harness.run import timing

    monkeypatch.setattr(timing, "LEAD_IN_S", 0.1)
