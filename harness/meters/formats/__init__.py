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
def formats() -> dict[str, MeterFormat]:
    """Every format by its name, specific ones first, plain CSV last.

    Raises:
        MeterError: A package's entry point gives no format.
    """
    found: dict[str, MeterFormat] = {}
    for point in entry_points(group=GROUP):
        try:
            form = point.load()
        except Exception as error:  # somebody else's code
            raise MeterError(
                f"the meter format {point.value} cannot be imported: {error}", "update or remove the package that brings it"
            ) from None
        if not isinstance(form, MeterFormat):
            raise MeterError(f"the meter format {point.value} is no MeterFormat", "update or remove the package that brings it")
        found[form.name] = form
    for module in pkgutil.iter_modules(__path__):
        form = getattr(importlib.import_module(f"{__name__}.{module.name}"), "FORMAT", None)
        if isinstance(form, MeterFormat):
            found.setdefault(form.name, form)
    return {name: found[name] for name in sorted(found, key=lambda name: found[name].rank)}


def format_of(text: str, wanted: str = "auto") -> MeterFormat:
    """The format of a log.

    Args:
        text: The log.
        wanted: Name of a format; `auto`: the first that recognises the text.

    Raises:
        MeterError: No such format.
    """
    known = formats()
    if wanted == "auto":
        head = "\n".join(text[:200_000].splitlines()[:200])
        return next((form for form in known.values() if form.recognise(head)), known[FALLBACK])
    if wanted not in known:
        raise MeterError(f"there is no format {wanted!r}", f"choose one of auto, {', '.join(known)}")
    return known[wanted]
