"""Reads and writes the files of a run, with errors that state what to do; upgrades older versions."""

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
from harness.schema.migration import upgrade


def read_bytes(path: Path) -> bytes:
    """Content of a file of a run.

    Raises:
        StoreError: It is missing, not a regular file, or cannot be read.
    """
    return userfiles.read_bytes(path, "run's file", limit_bytes=userfiles.RUN_BYTES, error=StoreError)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file of the results completely, or leave it as it was.

    Raises:
        StoreError: The folder is not writable, or the disk is full.
    """
    try:
        replace_file(path, content)
    except OSError as error:
        raise write_error(path, error) from None


def write_output(path: Path, content: str | bytes) -> None:
    """Replace a file that the user named, through a link to its target; devices and pipes are written to, never replaced.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            replace_file(target, content)
    except (OSError, RuntimeError) as error:  # a link that refers to itself
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"{path} cannot be written: {reason}", "give another path, in an existing folder that is writable") from None


def migrate(raw: Any) -> Any:
    """A header, record or meter with the names of today's schema.

    Raises:
        StoreError: It was written by a newer harness.
    """
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise StoreError(
            f"this run was written by a newer harness (schema {version}, this one reads up to {SCHEMA_VERSION})", "install a newer harness"
        )
    return upgrade(raw)


def read_objectives(folder: Path) -> tuple[Objective, ...]:
    """Objectives in the `fronts.json` of runs up to schema 3; the three defaults if there is none.

    Its reference points are not read: see design/0017.

    Raises:
        StoreError: The file is damaged.
    """
    path = folder / "fronts.json"
    if not path.exists():
        return OBJECTIVES
    content = read_bytes(path)
    try:
        return TypeAdapter(tuple[Objective, ...]).validate_python(json.loads(content)["objectives"])
    except (ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(
            f"{path} contains no objectives: {reason}", "`harness report RUN --objective ...` draws the report without it"
        ) from None


def write_error(path: Path, error: OSError) -> StoreError:
    """The error for a file or folder that cannot be written, with exit code 3 if the disk is full."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"{path} cannot be written: {error.strerror or error}", "choose another folder with --results, or fix its permissions"
        )
    full = StoreError(f"the disk of {path} is full", "all records so far are intact: free some space, then `harness run --resume`")
    full.exit_code = 3
    return full
