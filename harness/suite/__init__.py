"""(A suite file, the catalogue) -> a resolved `Suite`: all validation of what a user writes happens here, before anything is built."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from harness.schema import Catalogue, Suite
from harness.suite.document import read
from harness.suite.expand import expand
from harness.suite.grammar import json_schema, parse
from harness.suite.resolve import resolve

__all__ = ["json_schema", "load_suite"]


def load_suite(
    path: Path, catalogue: Catalogue, devices: Collection[str] = ("cpu",), *, device: str = "auto", trusted: bool = False
) -> Suite:
    """Read, validate and expand a suite.

    Args:
        path: The YAML file.
        catalogue: What this installation knows.
        devices: What this machine has: what `auto` stands for.
        device: Keep only the cases of this device; `auto` keeps all.
        trusted: Let models run code of their own, and let paths leave the suite's folder.

    Raises:
        SuiteError: Every mistake with its line, and what was meant.
    """
    document = read(path)
    written = parse(document)
    models = resolve(document, written, catalogue, trusted=trusted)
    suite = expand(document, written, models, catalogue, devices, device)
    document.check()
    return suite
