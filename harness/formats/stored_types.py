"""Types of the weights as a model file stores them, independent of what an engine reports."""

from __future__ import annotations

from pathlib import Path

from harness import plugins


def stored_types(path: Path, format_: str) -> set[str] | None:
    """Types of the weights as NumPy names them; 8-bit integers are `int8`, signed or not.

    Args:
        path: The artifact.
        format_: Its format.

    Returns:
        None for a format that is unknown or does not report them.

    Raises:
        EngineError: The file cannot be read.
    """
    reader = plugins.find("formats", format_)
    types: set[str] | None = reader().stored_types(path) if reader else None
    return None if types is None else {"int8" if name == "uint8" else name for name in types}
