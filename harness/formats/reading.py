"""Whatever a library raises over a file of other people's, as one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import EngineError

LINE_CHARACTERS = 300
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
CODE = re.compile(r'File ".*", line \d+')
"""The line after it is a line of code."""
PREAMBLE = re.compile(
    CODE.pattern
    + r"|(\w+: )*(Exception encountered when calling|Graph execution error|Detected at node|Could not trace the TF model|in user code:$|Loading input model$)"
    r"|A total of \d+ objects could not be loaded\..*:$"
    r"|Check '.*' failed at|Exception from .*:$|FrontEnd API failed with \w+:$|Model wasn't fully converted\.|Summary:$"
)
"""Lines of Keras, TensorFlow and OpenVINO before the one that says what is wrong."""
CAUSE = re.compile(r"Exception encountered: |-- (?=No conversion rule)")
"""How Keras and OpenVINO begin the line that does, after pages of others."""
LOADING = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .+? failed:)?")
"""How ONNX Runtime begins its line: nothing that the reader's sentence has not said."""


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
        raise EngineError(f"{path.name} cannot be read as {what}: {first_line(error, path)}", hint) from error


def first_line(error: BaseException, path: Path | None = None) -> str:
    """The first line of an error that says what is wrong, shortened: not where in whose code, which comes before it in several libraries' errors.

    Args:
        error: Of any library.
        path: The file that was read, whose folder (of a cache, of a temporary copy) tells the user nothing.
    """
    said = str(error).replace(f"{path.parent}/", "") if path else str(error)
    lines = [LOADING.sub("", ESCAPES.sub("", line).strip()) for line in said.splitlines()]
    saying = [
        line for before, line in zip(["", *lines], lines, strict=False) if line and not CODE.match(before) and not PREAMBLE.match(line)
    ]
    causes = [CAUSE.sub("", line, count=1) for line in saying if CAUSE.match(line)]
    line = next(iter((*causes, *saying, *filter(None, lines))), "")
    if not line or isinstance(error, LookupError):  # of a key that is missing the error says the key alone
        line = f"{type(error).__name__}: {line}".removesuffix(": ")
    return line if len(line) <= LINE_CHARACTERS else f"{line[: LINE_CHARACTERS // 3]} ... {line[-LINE_CHARACTERS * 2 // 3 + 5 :]}"
