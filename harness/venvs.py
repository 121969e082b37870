"""Virtual environments of their own, for recipes whose libraries conflict with the rest: where they lie, and what is in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

from harness.errors import EngineError


def folder(name: str) -> Path:
    """`$HARNESS_VENV_<NAME>`, or `.venv-<name>` beside the virtual environment that we run in."""
    return Path(os.environ.get(f"HARNESS_VENV_{name.upper()}") or Path(sys.prefix).parent / f".venv-{name}")


def python(name: str) -> str:
    """The interpreter of one.

    Raises:
        EngineError: It is not there.
    """
    path = folder(name) / "bin" / "python"
    if not os.access(path, os.X_OK):
        raise EngineError(
            f"the virtual environment {path.parent.parent} is not here, or has no Python that may be run",
            f"make {name}, or name it in HARNESS_VENV_{name.upper()}",
            refused=True,
        )
    return str(path)


def versions(name: str | None, packages: Iterable[str]) -> dict[str, str | None]:
    """The versions installed in one, or in ours where none is named; null for a package that it does not have."""
    site = [str(path) for path in folder(name).glob("lib/python*/site-packages")] if name else sys.path
    found = {package: next(iter(distributions(name=package, path=site)), None) for package in packages}
    return {package: distribution.version if distribution else None for package, distribution in found.items()}
