"""Separate virtual environments, for plug-ins whose libraries conflict with ours or are large."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

from harness.errors import EngineError
from harness.schema import PluginSpec


def folder(name: str) -> Path:
    """Path of a virtual environment: `$HARNESS_VENV_<NAME>`, or `.venv-<name>` next to ours."""
    return Path(os.environ.get(_variable(name)) or Path(sys.prefix).parent / f".venv-{name}")


def _variable(name: str) -> str:
    """Environment variable with the path of a virtual environment: capitals, and an underscore for each hyphen."""
    return f"HARNESS_VENV_{name.upper().replace('-', '_')}"


def python(spec: PluginSpec) -> str:
    """Path of the interpreter that a plug-in's library is used in.

    Raises:
        EngineError: Its virtual environment does not exist.
    """
    if (name := used(spec)) is None:
        return sys.executable
    path = _interpreter(name)
    if not os.access(path, os.X_OK):
        raise EngineError(
            f"the virtual environment {path.parent.parent} does not exist or has no executable Python",
            f"create it with `make {name}`, or set {_variable(name)} to its path",
            refused=True,
        )
    return str(path)


def used(spec: PluginSpec) -> str | None:
    """Name of the virtual environment of a plug-in; None: ours, because it names none, or is missing and ours has its library."""
    if spec.venv is None or os.access(_interpreter(spec.venv), os.X_OK):
        return spec.venv
    return None if all(versions(None, spec.packages[:1]).values()) else spec.venv


def _interpreter(name: str) -> Path:
    return folder(name) / "bin" / "python"


def versions(name: str | None, packages: Iterable[str]) -> dict[str, str | None]:
    """Versions of packages in a virtual environment, ours if None; None for a package that is not installed."""
    installed = {package: _distribution(name, package) for package in packages}
    return {package: distribution.version if distribution else None for package, distribution in installed.items()}


def requirements(name: str | None, package: str) -> list[str]:
    """Requirements that a package in a virtual environment declares, those of its extras among them; empty if it is not installed."""
    distribution = _distribution(name, package)
    return list(distribution.requires or ()) if distribution else []


def _distribution(name: str | None, package: str) -> Distribution | None:
    site = [str(path) for path in folder(name).glob("lib/python*/site-packages")] if name else sys.path
    return next(iter(distributions(name=package, path=site)), None)
