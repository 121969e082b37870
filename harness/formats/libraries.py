"""Whatever a library raises over a file of other people's, as one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
    r"|.*Check '.*' failed at \S+:\d+:?$|Exception from .*:$|FrontEnd API failed with \w+:$|Model wasn't fully converted\.|Summary:$"
    r"|-- \S+ with a message:$|\[[\w ]+ Frontend\] Conversion failed for |While validating (\w+ )?node |Shape inference input shapes "
)
"""Lines of Keras, TensorFlow and OpenVINO before the one that says what is wrong."""
CAUSE = re.compile(r"Exception encountered: |-- (?=No conversion rule)")
"""How Keras and OpenVINO begin the line that does, after pages of others."""
NODE = re.compile(r"While validating ONNX node '<Node\((\w+)\): (.*?)>'|(\[CPU\] \w+ node with name) '(.*?)' Check ")
"""How OpenVINO names the node that an error is about, in a line before the reason."""
UNFINISHED = re.compile(r".*(:|for the following indices)$")
"""A line whose reason is in the next one."""
LOADING = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .+? failed:)?")
"""How ONNX Runtime begins its line: nothing that the reader's sentence does not report."""
SOURCE = re.compile(
    r"/\S+\.(?:h|cc|cpp):\d+ [^()]*\([^()]*\) (?:const )?"
    r"|Could not translate MLIR to FlatBuffer\.\s*|(?:<unknown>|/\S+?\.py):\d+(?::\d+)?: error: (?:loc\(.*?\)+: )?|\{\{function_node \S+\}\} "
)
"""Where in the code of ONNX Runtime or TensorFlow a check failed: a path, the signature of a function, a traced function."""


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
    """The first line of an error that states the reason, shortened.

    Lines that only locate the error in a library's code come before it in several libraries' errors, and are left out; the node of the model
    that OpenVINO names in one of them is kept.

    Args:
        error: Of any library.
        path: The file that was read, whose folder (of a cache, of a temporary copy) is of no use to the reader.
    """
    text = str(error).replace(f"{path.parent}/", "") if path else str(error)
    lines = [SOURCE.sub("", LOADING.sub("", ESCAPES.sub("", line).strip())) for line in text.splitlines()]
    reasons = [
        (index, line)
        for index, (before, line) in enumerate(zip(["", *lines], lines, strict=False))
        if line and not CODE.match(before) and not PREAMBLE.match(line)
    ]
    causes = [CAUSE.sub("", line, count=1) for _, line in reasons if CAUSE.match(line)]
    line = causes[0] if causes else _with_node(lines, reasons) if reasons else next(filter(None, lines), "")
    if not line or isinstance(error, LookupError):  # of a key that is missing the error says the key alone
        line = f"{type(error).__name__}: {line}".removesuffix(": ")
    return line if len(line) <= LINE_CHARACTERS else f"{line[: LINE_CHARACTERS // 3]} ... {line[-LINE_CHARACTERS * 2 // 3 + 5 :]}"


def _with_node(lines: Sequence[str], reasons: Sequence[tuple[int, str]]) -> str:
    """The first reason, with the line that completes it where it ends in a colon, and the node of the model named before it."""
    (at, line), *rest = reasons
    if UNFINISHED.match(line) and rest:
        line = f"{line} {rest[0][1]}"
    node = next((found for before in reversed(lines[:at]) if (found := NODE.search(before))), None)
    if node is None:
        return line
    kind, name = (group for group in node.groups() if group is not None)
    return f"{kind} {name!r}: {line}" if name else f"{kind}: {line}"
