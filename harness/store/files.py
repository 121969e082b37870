"""A file of a run: replaced whole or left as it was, of an older version or a newer one, and what goes wrong with it as a sentence."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness import userfiles
from harness.atomic import replace_file
from harness.errors import StoreError
from harness.schema import OBJECTIVES, SCHEMA_VERSION, Objective


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file of the results whole, or leave it as it was.

    Raises:
        StoreError: The folder cannot be written, or the disk is full.
    """
    try:
        replace_file(path, content)
    except OSError as error:
        raise trouble(path, error) from None


def write_output(path: Path, content: str | bytes) -> None:
    """Likewise a file that a person named, through a link to what it names; a device or a pipe is written into, never replaced.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            replace_file(target, content)
    except (OSError, RuntimeError) as error:  # a link that goes in a circle
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"{path} cannot be written: {reason}", "give another path, in a folder that exists and may be written") from None


def migrate(raw: Any) -> Any:
    """An older header or record in today's shape: what version 1 lacks has a default, so that it is read as it is.

    Raises:
        StoreError: It was written by a newer harness.
    """
    found = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(found, int) and found > SCHEMA_VERSION:
        raise StoreError(
            f"this run was written by a newer harness (schema {found}, this one reads up to {SCHEMA_VERSION})", "install a newer harness"
        )
    return raw


def read_objectives(folder: Path) -> tuple[Objective, ...]:
    """Objectives in the `fronts.json` that runs had up to schema 3; the usual three where there is none.

    Its reference points are not read: see design/0017.

    Raises:
        StoreError: The file is damaged.
    """
    path = folder / "fronts.json"
    if not path.exists():
        return OBJECTIVES
    content = userfiles.read_bytes(path, "run's file", limit_bytes=userfiles.RUN_BYTES, error=StoreError)
    try:
        return TypeAdapter(tuple[Objective, ...]).validate_python(json.loads(content)["objectives"])
    except (ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(
            f"{path} holds no objectives: {reason}", "`harness report RUN --objective ...` draws the report without it"
        ) from None


def trouble(path: Path, error: OSError) -> StoreError:
    """An operating-system error as a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        full = StoreError(
            f"the disk that holds {path} is full", "every record so far is intact: free some space, then `harness run --resume`"
        )
        full.exit_code = 3
        return full
    return StoreError(
        f"{path} cannot be written: {error.strerror or error}", "choose another folder with --results, or mend its permissions"
    )
