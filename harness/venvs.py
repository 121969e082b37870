"""Separate virtual environments, for plug-ins whose libraries conflict with ours or are large."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions, entry_points
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.schema import Catalogue, PluginSpec

CHECKOUT = Path(__file__).parent.parent
"""Folder of the Makefile and of the lock files, in an installation from a checkout."""


@dataclass(frozen=True)
class VirtualEnvironment:
    """A separate virtual environment of plug-ins.

    Attributes:
        name: Name in the specs of its plug-ins.
        folder: Its path.
        given: Whether the user names its path in an environment variable.
        installed: Whether it has a Python interpreter.
        plugins: Plug-ins that use it, as `engine torch`.
        in_ours: Those of them that use our own environment instead, because it has their library and this one is not installed.
        setup: Command that creates it.
    """

    name: str
    folder: str
    given: bool
    installed: bool
    plugins: tuple[str, ...]
    in_ours: tuple[str, ...]
    setup: str

    @property
    def missing(self) -> bool:
        """Whether some of its plug-ins cannot be used."""
        return not self.installed and set(self.in_ours) < set(self.plugins)


def environments(catalogue: Catalogue) -> list[VirtualEnvironment]:
    """The separate virtual environments that plug-ins name, by name."""
    engines = {(name, device): spec.at(device) for name, spec in catalogue.engines.items() for device in spec.devices}
    programs = {program.name: program for spec in catalogue.engines.values() for program in spec.every_program()}
    families: dict[str, Mapping[Any, PluginSpec]] = {
        "engine": engines, "variant": catalogue.variants, "workload": catalogue.workloads, "format": catalogue.formats,
        "framework": catalogue.frameworks, "sensor": catalogue.sensors, "server": programs,
        "evaluator": {spec.evaluator.name: spec.evaluator for spec in catalogue.engines.values() if spec.evaluator},
    }  # fmt: skip
    users: dict[str, list[tuple[str, PluginSpec]]] = {}
    for kind, specs in families.items():
        for spec in specs.values():
            if spec.venv:
                users.setdefault(spec.venv, []).append((kind, spec))
    return [_environment(name, each) for name, each in sorted(users.items())]


def _environment(name: str, users: Sequence[tuple[str, PluginSpec]]) -> VirtualEnvironment:
    labels = {f"{kind} {spec.name}": spec for kind, spec in users}
    return VirtualEnvironment(
        name=name,
        folder=str(folder(name)),
        given=variable(name) in os.environ,
        installed=_is_installed(name),
        plugins=tuple(labels),
        in_ours=tuple(label for label, spec in labels.items() if used(spec) is None),
        setup=setup_command(name, labels.values()),
    )


def folder(name: str) -> Path:
    """Path of a virtual environment: `$HARNESS_VENV_<NAME>`, or `.venv-<name>` next to ours, or else in the checkout."""
    if given := os.environ.get(variable(name)):
        return Path(given)
    candidates = [root / f".venv-{name}" for root in (Path(sys.prefix).parent, CHECKOUT)]
    return next((path for path in candidates if path.is_dir()), candidates[0])


def variable(name: str) -> str:
    """Environment variable with the path of a virtual environment."""
    return f"HARNESS_VENV_{name.upper().replace('-', '_')}"


def setup_command(name: str, specs: Iterable[PluginSpec] = ()) -> str:
    """Command that creates a virtual environment: a target of the Makefile if the checkout has its lock file, else pip's.

    It installs harness, the packages that bring the plug-ins, and their libraries: the child of a case loads its plug-in there.
    """
    specs = list(specs)
    locks = CHECKOUT / "requirements"
    if (locks / f"{name}.txt").is_file() or any(locks.glob(f"{name}-cu*.txt")):
        return f"make {name}"
    extras = sorted({spec.extra for spec in specs if spec.extra})
    packages = dict.fromkeys(package for spec in specs for package in spec.packages)
    own = str(CHECKOUT) if (CHECKOUT / "pyproject.toml").is_file() else "harness"
    requirement = f"'{own}[{','.join(extras)}]'" if extras else " ".join([own, *_providers(specs), *packages])
    return f"python -m venv {folder(name)} && {folder(name)}/bin/python -m pip install {requirement}"


def _providers(specs: Iterable[PluginSpec]) -> list[str]:
    """Names of the other distributions that bring these plug-ins."""
    names = {spec.name for spec in specs}
    points = [point for group in entry_points().groups if group.startswith("harness.") for point in entry_points(group=group)]
    return sorted({point.dist.name for point in points if point.name in names and point.dist and point.dist.name != "harness"})


def python(spec: PluginSpec) -> str:
    """Path of the interpreter that a plug-in's library is used in.

    Raises:
        EngineError: Its virtual environment does not exist.
    """
    if (name := used(spec)) is None:
        return sys.executable
    if not _is_installed(name):
        raise EngineError(
            f"the virtual environment {folder(name)} does not exist or has no executable Python",
            f"create it with `{setup_command(name, [spec])}`, or set {variable(name)} to its path",
            refused=True,
        )
    return str(_interpreter(name))


def used(spec: PluginSpec) -> str | None:
    """Name of the virtual environment of a plug-in; None: ours, because it names none, or is missing and ours has its library."""
    if spec.venv is None or _is_installed(spec.venv):
        return spec.venv
    return None if all(versions(None, spec.packages[:1]).values()) else spec.venv


def _interpreter(name: str) -> Path:
    return folder(name) / "bin" / "python"


def _is_installed(name: str) -> bool:
    return os.access(_interpreter(name), os.X_OK)


def versions(name: str | None, packages: Iterable[str]) -> dict[str, str | None]:
    """Versions of packages in a virtual environment, ours if None; None for a package that is not installed."""
    installed = {package: _distribution(name, package) for package in packages}
    return {package: distribution.version if distribution else None for package, distribution in installed.items()}


def requirements(name: str | None, package: str) -> list[str]:
    """Requirements that a package in a virtual environment declares, those of its extras among them; empty if it is not installed."""
    distribution = _distribution(name, package)
    return list(distribution.requires or ()) if distribution else []


def find_distribution(package: str, name: str) -> Distribution | None:
    """A package in our environment, or else in a separate one; None if neither has it."""
    return _distribution(None, package) or _distribution(name, package)


def _distribution(name: str | None, package: str) -> Distribution | None:
    site = [str(path) for path in folder(name).glob("lib/python*/site-packages")] if name else sys.path
    return next(iter(distributions(name=package, path=site)), None)
