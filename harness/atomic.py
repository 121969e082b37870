"""Atomic replacement of a file."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def replace_file(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name and move it into place, with the permissions of the umask.

    Args:
        path: File, which may exist.
        content: New content; text is written as UTF-8.

    Raises:
        OSError: The folder cannot be written, or the disk is full; the old file is intact, and no other file is left.
    """
    part = path.with_name(f".harness-{uuid.uuid4().hex}")
    try:
        with part.open("xb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
