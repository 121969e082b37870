"""Calls of user functions, written as `package.module:function`; only with trust."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.formats.libraries import first_line


def make_importable(folder: str) -> None:
    """Let modules in a folder be imported: functions, and classes that a pickled model refers to."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def call_function(written: str, folder: str | None, *arguments: Any) -> Any:
    """Call a user function.

    Args:
        written: `package.module:function`.
        folder: Folder of the suite, searched first for the module; None: the current one.
        arguments: Arguments of the call.

    Raises:
        EngineError: It cannot be imported, or raises an error.
    """
    module, _, name = written.partition(":")
    make_importable(folder or str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), name)(*arguments)
    except MemoryError:
        raise
    except Exception as error:  # the user's code may raise anything
        kind = type(error).__name__
        reason = first_line(error).removeprefix(kind).removeprefix(": ")
        raise EngineError(f"{written} failed: {kind}{reason and ': '}{reason}", "run the function separately to find the error") from error
