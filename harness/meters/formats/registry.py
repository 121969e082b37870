"""Finds the declared formats: those of this package, and those of other packages by the entry point `harness.meters`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points

import harness.meters.formats as package
from harness.errors import MeterError
from harness.meters.formats.base import MeterFormat

GROUP = "harness.meters"
FALLBACK = "csv"
"""The format of text that no other one recognises."""


@cache
def _loaded() -> tuple[dict[str, MeterFormat], dict[str, str]]:
    """Formats by name in the order in which they are tried, and the errors of those that could not be loaded."""
    known: dict[str, MeterFormat] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        try:
            form = point.load()
        except Exception as error:  # code of another package
            broken[point.name] = f"the meter format {point.value} cannot be imported: {type(error).__name__}: {error}"
            continue
        if isinstance(form, MeterFormat):
            known[form.name] = form
        else:
            broken[point.name] = f"the meter format {point.value} is not a MeterFormat"
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        form = getattr(importlib.import_module(module.name), "FORMAT", None)
        if isinstance(form, MeterFormat):
            known.setdefault(form.name, form)
    return {name: known[name] for name in sorted(known, key=lambda name: known[name].rank)}, broken


def formats() -> dict[str, MeterFormat]:
    """Every format by its name, specific ones first, plain CSV last."""
    return _loaded()[0]


def format_of(text: str, name: str = "auto") -> MeterFormat:
    """The format of a log: the one of this name, or for `auto` the first that recognises the text.

    Raises:
        MeterError: There is no such format, or its package is broken.
    """
    known, broken = _loaded()
    if name == "auto":
        head = "\n".join(text[:200_000].splitlines()[:200])
        return next((form for form in known.values() if form.recognise(head)), known[FALLBACK])
    if name in broken:
        raise MeterError(broken[name], "update or remove the package that provides it")
    if name not in known:
        raise MeterError(f"there is no format {name!r}", f"choose one of auto, {', '.join(known)}")
    return known[name]
