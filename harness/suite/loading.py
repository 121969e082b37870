"""Load and resolve a suite file; all errors are reported together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from harness.schema import Case, Catalogue, Model, Suite
from harness.suite.document import of_text, read
from harness.suite.expand import expand
from harness.suite.grammar import parse
from harness.suite.identity import suite_fields
from harness.suite.resolve import resolve


def load_suite(
    path: Path, catalogue: Catalogue, devices: Collection[str] = ("cpu",), *, device: str = "auto", trusted: bool = False
) -> Suite:
    """Read, check and expand a suite.

    Args:
        path: The YAML file.
        catalogue: Installed plug-ins.
        devices: Devices of this machine, which `auto` selects from.
        device: Device whose cases are kept; `auto` keeps all.
        trusted: Let models run their own code, and allow paths outside the suite's folder.

    Raises:
        SuiteError: All errors, each with its line and what was probably meant.
    """
    document = read(path)
    written = parse(document)
    models = resolve(document, written, catalogue, trusted=trusted)
    suite = expand(document, written, models, catalogue, devices, device)
    document.check()
    return suite


def as_written(source: str, models: Sequence[Model], cases: Sequence[Case]) -> dict[str, Any]:
    """Fields of `Suite` that its file determines without the matrices.

    Args:
        source: Text of the suite file.
        models: Resolved models.
        cases: Resolved cases.

    Raises:
        SuiteError: The text is not a suite of this version.
    """
    return suite_fields(parse(of_text(Path("suite.yaml"), source)), models, cases)
