"""Hash and size of a file or a folder, for models, data, artifacts and the cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple


class Fingerprint(NamedTuple):
    """Content hash and size of a file or a folder.

    Attributes:
        sha256: SHA-256 of the content; for a folder of its sorted (name, hash) pairs.
        bytes: Size in bytes; for a folder the sum over its files.
    """

    sha256: str
    bytes: int


def fingerprint(path: Path) -> Fingerprint:
    """SHA-256 and size of a file or a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return Fingerprint(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)
    digest, size = hashlib.sha256(), 0
    paths = (Path(folder) / name for folder, _, names in os.walk(path, followlinks=True) for name in names)
    for file_path in sorted(file for file in paths if file.is_file()):
        sha256, part = fingerprint(file_path)
        digest.update(f"{file_path.relative_to(path).as_posix()}\0{sha256}\n".encode())
        size += part
    return Fingerprint(digest.hexdigest(), size)
