"""Child process: runs its work under a memory limit, and returns any error as a result."""

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
OOM_MESSAGES = ("bad_alloc", "bad allocation", "ResourceExhausted", "Failed to allocate memory", "out of memory", "OOM when")
"""Parts of engines' messages that mean that memory ran out."""


def outcome(work: Callable[[], Mapping[str, Any]], memory_bytes: int | None) -> Result:
    """The result of a child's work; `work` returns the fields of a successful one."""
    limit_memory(memory_bytes)
    try:
        return Result(status="ok", **work())
    except HarnessError as error:
        refused = isinstance(error, EngineError) and error.refused
        return Result(status="refused" if refused else _status(str(error)), reason=str(error))
    except MemoryError as error:
        return Result(status="oom", reason=f"out of memory: {error or 'an allocation failed'}")
    except Exception as error:  # an engine may raise anything
        traceback.print_exc()
        text, line = (f"{type(error).__name__}: {each}" for each in (error, first_line(error)))
        reason = text if text.startswith(line) else f"{line}\n{text}"  # the most informative line first: it may be shown alone
        return Result(status=_status(text), reason=reason[:REASON_CHARACTERS])


def limit_memory(limit_bytes: int | None) -> None:
    """Make allocations beyond the limit fail in this process."""
    if limit_bytes and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


def _status(text: str) -> Status:
    return "oom" if any(message in text for message in OOM_MESSAGES) else "failed"
