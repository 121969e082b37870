"""`package.module:function` of the user's -> what it gives; only ever with trust."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.formats.libraries import first_line


def call_function(written: str, folder: str | None, *arguments: Any) -> Any:
    """Call a function of the user's.

    Args:
        written: `package.module:function`.
        folder: The suite's folder, where the module is looked for first; null: the current one.
        arguments: What it is called with.

    Raises:
        EngineError: It cannot be imported, or raises.
    """
    module, _, name = written.partition(":")
    here = str(folder or Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module), name)(*arguments)
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # the user's code may raise anything
        raise EngineError(f"{written} failed: {type(error).__name__}: {first_line(error)}", "run the function by itself") from error
