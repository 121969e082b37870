"""CHILD: a piece of work -> its result message, under a memory ceiling and whatever goes wrong in it."""

from __future__ import annotations

import resource
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import EngineError, HarnessError
from harness.formats.libraries import first_line
from harness.schema import Status
from harness.schema.worker import Result

REASON_CHARACTERS = 2000


def outcome(work: Callable[[], Mapping[str, Any]], memory_bytes: int | None) -> Result:
    """Run a child's work.

    Args:
        work: What to do; gives the fields of the result.
        memory_bytes: Ceiling of this process's private memory; null: none.

    Returns:
        What the work gave with status `ok`, or the status and the reason of its failure.
    """
    limit_memory(memory_bytes)
    try:
        return Result(status="ok", **work())
    except HarnessError as error:
        refused = isinstance(error, EngineError) and error.refused
        return Result(status="refused" if refused else _status(str(error)), reason=str(error))
    except MemoryError as error:
        return Result(status="oom", reason=f"out of memory: {error or 'an allocation failed'}")
    except Exception as error:  # an engine may raise anything; the record keeps it
        traceback.print_exc()
        text, line = (f"{type(error).__name__}: {each}" for each in (error, first_line(error)))
        reason = text if text.startswith(line) else f"{line}\n{text}"  # the line that says why comes first, for it alone may be shown
        return Result(status=_status(text), reason=reason[:REASON_CHARACTERS])


def limit_memory(limit_bytes: int | None) -> None:
    """Let an allocation beyond the limit fail in this process instead of the machine's memory running out."""
    if limit_bytes and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


def _status(text: str) -> Status:
    """`oom` where an engine's message means that memory ran out, else `failed`."""
    words = ("bad_alloc", "bad allocation", "ResourceExhausted", "Failed to allocate memory", "out of memory", "OOM when")
    return "oom" if any(word in text for word in words) else "failed"
