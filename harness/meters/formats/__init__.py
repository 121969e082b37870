"""The declared formats of power logs: one file each here, and those that other packages bring by the entry point `harness.meters`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points

from harness.errors import MeterError
from harness.meters.formats.base import MeterFormat

GROUP = "harness.meters"
FALLBACK = "csv"
"""The format of text that no other one recognises."""


@cache
def _found() -> tuple[dict[str, MeterFormat], dict[str, str]]:
    """Formats by name, and what is wrong with those that cannot be used: one broken package must not take the rest with it."""
    found: dict[str, MeterFormat] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        try:
            form = point.load()
        except Exception as error:  # somebody else's code
            broken[point.name] = f"the meter format {point.value} cannot be imported: {type(error).__name__}: {error}"
            continue
        if isinstance(form, MeterFormat):
            found[form.name] = form
        else:
            broken[point.name] = f"the meter format {point.value} is no MeterFormat"
    for module in pkgutil.iter_modules(__path__):
        form = getattr(importlib.import_module(f"{__name__}.{module.name}"), "FORMAT", None)
        if isinstance(form, MeterFormat):
            found.setdefault(form.name, form)
    return {name: found[name] for name in sorted(found, key=lambda name: found[name].rank)}, broken


def formats() -> dict[str, MeterFormat]:
    """Every format by its name, specific ones first, plain CSV last."""
    return _found()[0]


def format_of(text: str, wanted: str = "auto") -> MeterFormat:
    """The format of a log.

    Args:
        text: The log.
        wanted: Name of a format; `auto`: the first that recognises the text.

    Raises:
        MeterError: No such format, or its package is broken.
    """
    known, broken = _found()
    if wanted == "auto":
        head = "\n".join(text[:200_000].splitlines()[:200])
        return next((form for form in known.values() if form.recognise(head)), known[FALLBACK])
    if wanted in broken:
        raise MeterError(broken[wanted], "update or remove the package that brings it")
    if wanted not in known:
        raise MeterError(f"there is no format {wanted!r}", f"choose one of auto, {', '.join(known)}")
    return known[wanted]
