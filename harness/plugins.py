"""Entry points, ours and other people's -> a catalogue of light specs; a plug-in's library is imported only when it works."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from harness.errors import HarnessError
from harness.schema import Catalogue, PluginSpec

FAMILIES = ("engines", "sensors", "variants", "workloads")


@cache
def catalogue() -> Catalogue:
    """Every plug-in that could be imported, with its spec; the others with their reason."""
    found: dict[str, dict[str, PluginSpec]] = {family: {} for family in FAMILIES}
    broken: dict[str, str] = {}
    for family in FAMILIES:
        for point in entry_points(group=f"harness.{family}"):
            try:
                found[family][point.name] = _spec(point)
            except Exception as error:  # somebody else's code: one broken plug-in must not take the rest with it
                broken[point.name] = f"plug-in {point.value} cannot be imported: {type(error).__name__}: {error}"
    return Catalogue(**found, broken=broken)  # type: ignore[arg-type]


def load(family: str, name: str) -> Any:
    """The class of one plug-in.

    Args:
        family: One of `FAMILIES`.
        name: Its name in the catalogue.

    Raises:
        HarnessError: No such plug-in.
    """
    for point in entry_points(group=f"harness.{family}", name=name):
        return point.load()
    raise HarnessError(f"no plug-in named {name!r} among the {family}", "install the package that brings it")


def _spec(point: EntryPoint) -> PluginSpec:
    spec = point.load().spec
    if not isinstance(spec, PluginSpec) or spec.name != point.name:
        raise TypeError(f"its `spec` must be a PluginSpec named {point.name!r}")
    return spec
