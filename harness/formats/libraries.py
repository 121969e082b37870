"""Optional libraries: import them, and convert their exceptions to an `EngineError` of one sentence."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from harness.errors import EngineError

LINE_CHARACTERS = 300
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
CODE = re.compile(r'File ".*", line \d+')
"""A line of a traceback; the line after it is source code."""
PREAMBLE = re.compile(
    CODE.pattern
    + r"|(\w+: )*(Exception encountered when calling|Graph execution error|Detected at node|Could not trace the TF model|in user code:$|Loading input model$)"
    r"|A total of \d+ objects could not be loaded\..*:$"
    r"|.*Check '.*' failed at \S+:\d+:?$|Exception from .*:$|FrontEnd API failed with \w+:$|Model wasn't fully converted\.|Summary:$"
    r"|-- \S+ with a message:$|\[[\w ]+ Frontend\] Conversion failed for |While validating (\w+ )?node |Shape inference input shapes "
)
"""Lines that Keras, TensorFlow and OpenVINO write before the reason."""
CAUSE = re.compile(r"Exception encountered: |-- (?=No conversion rule)")
"""How Keras and OpenVINO begin the line with the reason, after pages of other lines."""
NODE = re.compile(r"While validating ONNX node '<Node\((\w+)\): (.*?)>'|(\[CPU\] \w+ node with name) '(.*?)' Check ")
"""How OpenVINO names the failing node, in a line before the reason."""
UNFINISHED = re.compile(r".*(:|for the following indices)$")
"""A line that continues in the next one."""
LOADING = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .+? failed:)?")
"""How ONNX Runtime begins its line; our own sentence reports the same."""
SOURCE = re.compile(
    r"/\S+\.(?:h|cc|cpp):\d+ [^()]*\([^()]*\) (?:const )?"
    r"|Could not translate MLIR to FlatBuffer\.\s*|(?:<unknown>|/\S+?\.py):\d+(?::\d+)?: error: (?:loc\(.*?\)+: )?|\{\{function_node \S+\}\} "
)
"""The position of a failed check in the source of ONNX Runtime or TensorFlow."""


def import_library(module: str, title: str, remedy: str) -> Any:
    """An optional library.

    Args:
        module: Name to import.
        title: Name of the library in the error.
        remedy: The command that installs it.

    Raises:
        EngineError: It is not installed.
    """
    try:
        importlib.import_module(module.partition(".")[0])  # of a loaded module Python does not look at the package again
        return importlib.import_module(module)
    except ImportError as error:
        raise EngineError(f"{title} cannot be imported: {error}", remedy, refused=True) from error


@contextmanager
def library_errors(what: str, hint: str, *, refused: bool = False, path: Path | None = None) -> Iterator[None]:
    """Turn any error of a library into an `EngineError`: a file or layer that it does not know can make it raise anything.

    Args:
        what: What failed; the reason is appended.
        hint: The next step.
        refused: Whether the case can never run here.
        path: The file being read; its folder is left out of the message.
    """
    try:
        yield
    except (EngineError, MemoryError):
        raise
    except Exception as error:
        raise EngineError(f"{what}: {first_line(error, path)}", hint, refused=refused) from error


def reading(path: Path, what: str, hint: str) -> AbstractContextManager[None]:
    """Turn any error of a parser into an `EngineError` that names the file.

    Args:
        path: The file being read.
        what: What it should be: `an ONNX model`.
        hint: The next step.
    """
    return library_errors(f"{path.name} cannot be read as {what}", hint, path=path)


def first_line(error: BaseException, path: Path | None = None) -> str:
    """The line of an error that states the reason, at most 300 characters.

    Lines before it that only locate the error in the library's source are left out; the node of the model that OpenVINO names there is kept.

    Args:
        error: Any exception.
        path: The file that was read; its folder is left out.
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
    if not line or isinstance(error, LookupError):  # the text of a KeyError is the key alone
        line = f"{type(error).__name__}: {line}".removesuffix(": ")
    return line if len(line) <= LINE_CHARACTERS else f"{line[: LINE_CHARACTERS // 3]} ... {line[-LINE_CHARACTERS * 2 // 3 + 5 :]}"


def _with_node(lines: Sequence[str], reasons: Sequence[tuple[int, str]]) -> str:
    """The first reason, completed by the next line if it ends in a colon, after the node that an earlier line names."""
    (at, line), *rest = reasons
    if UNFINISHED.match(line) and rest:
        line = f"{line} {rest[0][1]}"
    node = next((match for before in reversed(lines[:at]) if (match := NODE.search(before))), None)
    if node is None:
        return line
    kind, name = (group for group in node.groups() if group is not None)
    return f"{kind} {name!r}: {line}" if name else f"{kind}: {line}"
