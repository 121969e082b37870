"""Catalogue of plug-in specs from entry points; a plug-in's library is imported only when it is used."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from harness.errors import HarnessError
from harness.schema import Catalogue, PluginSpec

FAMILIES = ("engines", "sensors", "variants", "workloads", "formats", "frameworks")


@cache
def catalogue() -> Catalogue:
    """Specs of all plug-ins that can be imported, and the errors of the others."""
    specs: dict[str, dict[str, PluginSpec]] = {family: {} for family in FAMILIES}
    broken: dict[str, str] = {}
    for family in FAMILIES:
        for point in entry_points(group=f"harness.{family}"):
            try:
                specs[family][point.name] = _spec(point)
            except Exception as error:  # other people's code: a broken plug-in must not disable the rest
                broken[point.name] = f"plug-in {point.value} cannot be imported: {type(error).__name__}: {error}"
    return Catalogue(**specs, broken=broken)  # type: ignore[arg-type]


def load(family: str, name: str) -> Any:
    """The class of a plug-in.

    Raises:
        HarnessError: There is no such plug-in.
    """
    if (plugin := find(family, name)) is not None:
        return plugin
    raise HarnessError(f"no plug-in named {name!r} among the {family}", "install the package that provides it")


def find(family: str, name: str) -> Any | None:
    """The class of a plug-in; None if there is none of that name."""
    return next((point.load() for point in entry_points(group=f"harness.{family}", name=name)), None)


def _spec(point: EntryPoint) -> PluginSpec:
    spec = point.load().spec
    if not isinstance(spec, PluginSpec) or spec.name != point.name:
        raise TypeError(f"its `spec` must be a PluginSpec named {point.name!r}")
    return spec
