"""A file's new content in the place of the old, whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def replace_file(path: Path, content: str | bytes) -> None:
    """Write beside a file, then take its place; its rights are what the user's umask says.

    Args:
        path: The file, there already or not.
        content: Of the whole file; text becomes UTF-8.

    Raises:
        OSError: The folder cannot be written, or the disk is full; the old content stands, and nothing beside it.
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
