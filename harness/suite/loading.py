"""(A suite file, the catalogue) -> a resolved `Suite`: all validation of what a user writes happens here, before anything is built."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from harness.schema import Catalogue, Model, Suite
from harness.suite.document import of_text, read
from harness.suite.expand import expand, of_file
from harness.suite.grammar import parse
from harness.suite.resolve import resolve


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


def as_written(source: str, models: Sequence[Model]) -> dict[str, Any]:
    """What a suite's file says of it apart from its matrices: fields of `Suite`, its hash among them.

    Args:
        source: What the file holds.
        models: As they were resolved.

    Raises:
        SuiteError: It is no suite that this version reads.
    """
    return of_file(parse(of_text(Path("suite.yaml"), source)), models)
