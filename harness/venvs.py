"""Separate virtual environments, for recipes whose libraries conflict with ours."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

from harness.errors import EngineError


def folder(name: str) -> Path:
    """Path of a virtual environment: `$HARNESS_VENV_<NAME>`, or `.venv-<name>` next to ours."""
    return Path(os.environ.get(f"HARNESS_VENV_{name.upper()}") or Path(sys.prefix).parent / f".venv-{name}")


def python(name: str) -> str:
    """Path of the interpreter of a virtual environment.

    Raises:
        EngineError: It does not exist.
    """
    path = folder(name) / "bin" / "python"
    if not os.access(path, os.X_OK):
        raise EngineError(
            f"the virtual environment {path.parent.parent} does not exist or has no executable Python",
            f"create it with `make {name}`, or set HARNESS_VENV_{name.upper()} to its path",
            refused=True,
        )
    return str(path)


def versions(name: str | None, packages: Iterable[str]) -> dict[str, str | None]:
    """Versions of packages in a virtual environment, ours if None; None for a package that is not installed."""
    site = [str(path) for path in folder(name).glob("lib/python*/site-packages")] if name else sys.path
    installed = {package: next(iter(distributions(name=package, path=site)), None) for package in packages}
    return {package: distribution.version if distribution else None for package, distribution in installed.items()}
