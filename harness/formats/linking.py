"""Storing a user's file in the cache without a second copy of its content, where the file system can."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

FICLONE = 0x40049409
"""Linux's request to share the blocks of a file until one of the two is written (Btrfs, XFS, bcachefs)."""


def store_file(source: Path, target: Path) -> None:
    """Store a file under a new name: as a clone, else as a hard link, else as a copy.

    A hard link shares later changes of the file; the cache checks the hash of an artifact before it is used.

    Args:
        source: A file, or a link to it.
        target: Path that does not exist, in an existing folder.

    Raises:
        OSError: It can be neither linked nor copied.
    """
    source = source.resolve()
    if _cloned(source, target):
        return
    with contextlib.suppress(OSError):  # another file system, or another user's file
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def _cloned(source: Path, target: Path) -> bool:
    with source.open("rb") as reading, target.open("xb") as writing:
        try:
            fcntl.ioctl(writing.fileno(), FICLONE, reading.fileno())
        except OSError:
            target.unlink()
            return False
    return True
