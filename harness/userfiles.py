"""Files that a user names: regular, below a size limit and readable, or an error that says which of these fails; a pipe never blocks."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from harness.errors import HarnessError

MIB, GIB = 2**20, 2**30
DOCUMENT_BYTES = MIB
"""Limit of what a person writes by hand: suites, thresholds, hardware offers, lists of class names."""
RUN_BYTES = 16 * GIB
"""Limit of one file of a run's folder."""
DATA_BYTES = 64 * GIB
"""Limit of a model or a data file: hashing more than that takes longer than a benchmark."""
CHUNK_BYTES = MIB
TYPES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def check_regular(path: Path, noun: str, *, limit_bytes: int, error: type[HarnessError] = HarnessError) -> Path:
    """Check a file that a library will open by its path.

    Args:
        path: The file, or a link to it.
        noun: What the file should be, as it reads in a sentence: `suite`, `meter log`.
        limit_bytes: The largest size that is accepted.
        error: The class of the error.

    Returns:
        The path as given.

    Raises:
        HarnessError: As `error`: it is missing, not a regular file, too large, or may not be read.
    """
    with open_regular(path, noun, limit_bytes=limit_bytes, error=error):
        return path


@contextmanager
def open_regular(path: Path, noun: str, *, limit_bytes: int, error: type[HarnessError] = HarnessError) -> Iterator[BinaryIO]:
    """Open a regular file for reading, in binary mode; its type is checked before it is opened, and again on the open file.

    Args:
        path: As of `check_regular`, like the other arguments.
        noun: What the file should be.
        limit_bytes: The largest size that is accepted.
        error: The class of the error.

    Raises:
        HarnessError: As `error`: as of `check_regular`.
        OSError: A read fails, in the body of the `with` statement.
    """
    with _opened(path, noun, limit_bytes, error) as stream:
        _check(os.fstat(stream.fileno()), _shown(path), noun, limit_bytes, error)
        yield stream


def read_bytes(path: Path, noun: str, *, limit_bytes: int, error: type[HarnessError] = HarnessError) -> bytes:
    """The content of a regular file, no more than the limit even where the file grows or reports no size.

    Args:
        path: As of `check_regular`, like the other arguments.
        noun: What the file should be.
        limit_bytes: The largest size that is accepted.
        error: The class of the error.

    Raises:
        HarnessError: As `error`: as of `open_regular`.
    """
    chunks, left = [], limit_bytes + 1
    with open_regular(path, noun, limit_bytes=limit_bytes, error=error) as stream:
        try:
            while left > 0 and (chunk := stream.read(min(left, CHUNK_BYTES))):
                chunks.append(chunk)
                left -= len(chunk)
        except OSError as failure:
            raise error(
                f"{_shown(path)} cannot be read: {failure.strerror or failure}", "is the disk damaged, or was it unmounted?"
            ) from None
    if left <= 0:
        raise _too_large(_shown(path), noun, limit_bytes, error)
    return b"".join(chunks)


def read_text(path: Path, noun: str, *, limit_bytes: int, error: type[HarnessError] = HarnessError) -> str:
    """The content of a regular file in UTF-8, with or without a byte order mark.

    Args:
        path: As of `check_regular`, like the other arguments.
        noun: What the file should be.
        limit_bytes: The largest size that is accepted.
        error: The class of the error.

    Raises:
        HarnessError: As `error`: as of `open_regular`; or it is in another encoding, or not text.
    """
    return decode(read_bytes(path, noun, limit_bytes=limit_bytes, error=error), path, error=error)


def decode(data: bytes, path: Path, *, error: type[HarnessError] = HarnessError) -> str:
    """Bytes as text in UTF-8, with or without a byte order mark.

    Args:
        data: The content of the file.
        path: Where it was read, for the message.
        error: The class of the error.

    Raises:
        HarnessError: As `error`: it is in another encoding, or not text.
    """
    name = _shown(path)
    if data.startswith(UTF16):
        raise error(f"{name} is text in UTF-16, not in UTF-8", f"convert it: iconv -f UTF-16 -t UTF-8 '{name}'")
    if (null := data.find(b"\0")) >= 0:
        raise error(f"{name} is not text: it holds a null byte at byte {null}", "is this the right file? save it as text in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise error(
            f"{name} is no text in UTF-8: {failure.reason} at byte {failure.start}",
            f"save it as UTF-8; where it is in Latin-1: iconv -f LATIN1 -t UTF-8 '{name}'",
        ) from None


def _opened(path: Path, noun: str, limit_bytes: int, error: type[HarnessError]) -> BinaryIO:
    """The open file, not yet checked again."""
    name = _shown(path)
    try:
        _check(path.stat(), name, noun, limit_bytes, error)  # before it is opened: opening a device may have an effect
        # A pipe that took the file's place in between would block without O_NONBLOCK; regular files ignore it.
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK), "rb")
    except FileNotFoundError:
        if path.is_symlink():
            raise error(f"{name} is a link to {str(path.readlink())[:200]}, which does not exist", f"give the path of a {noun}") from None
        raise error(f"there is no {noun} {name}", "check the path") from None
    except PermissionError as failure:
        raise error(f"{name} cannot be read: {failure.strerror}", f"check its permissions: ls -l '{name}'") from None
    except (OSError, ValueError) as failure:  # ValueError: a null character in the path
        raise error(f"{name} cannot be read: {getattr(failure, 'strerror', None) or failure}", f"give the path of a {noun}") from None


def _check(found: os.stat_result, name: str, noun: str, limit_bytes: int, error: type[HarnessError]) -> None:
    """Raise the error where it is no regular file, or is too large."""
    if not stat.S_ISREG(found.st_mode):
        kind = TYPES.get(stat.S_IFMT(found.st_mode), "a special file")
        hint = f"save the {noun} in a file" if stat.S_ISFIFO(found.st_mode) else f"give the path of a {noun}"
        raise error(f"{name} is {kind}, not a regular file", hint)
    if found.st_size > limit_bytes:
        raise _too_large(name, noun, limit_bytes, error)


def _too_large(name: str, noun: str, limit_bytes: int, error: type[HarnessError]) -> HarnessError:
    size = f"{limit_bytes / GIB:g} GiB" if limit_bytes >= GIB else f"{limit_bytes / MIB:g} MiB"
    return error(f"{name} is larger than {size}, the limit of a {noun}", f"give the path of a {noun}")


def _shown(path: Path) -> str:
    """A path in a sentence: in one line, and not endless."""
    return " ".join(str(path)[:200].split())
