"""A file or a folder -> the hash of its content and its size: one way for what users bring, for what is built, and for the cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def fingerprint(path: Path) -> tuple[str, int]:
    """SHA-256 and size in bytes of a file, or of a folder: the hash of its sorted (name, hash) pairs, and the sum."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
    whole, size = hashlib.sha256(), 0
    found = (Path(folder) / name for folder, _, names in os.walk(path, followlinks=True) for name in names)
    for file_path in sorted(file for file in found if file.is_file()):
        sha256, part = fingerprint(file_path)
        whole.update(f"{file_path.relative_to(path).as_posix()}\0{sha256}\n".encode())
        size += part
    return whole.hexdigest(), size
