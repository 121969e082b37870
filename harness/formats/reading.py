"""Whatever a library raises over a file of other people's, as one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import EngineError

LINE_CHARACTERS = 300


@contextmanager
def reading(path: Path, what: str, hint: str) -> Iterator[None]:
    """Turn any error of a parser into an `EngineError` that names the file.

    Args:
        path: The file being read.
        what: What it should be: `an ONNX model`.
        hint: The next step.
    """
    try:
        yield
    except (EngineError, MemoryError):
        raise
    except Exception as error:  # a damaged file can make a parser raise anything
        raise EngineError(f"{path.name} cannot be read as {what}: {first_line(error)}", hint) from error


def first_line(error: BaseException) -> str:
    """The first line of an error that says something, shortened."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line[:LINE_CHARACTERS]
