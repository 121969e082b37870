"""Reading files: those that a user names must be regular, readable and below a size limit; those of the system may be missing.

Functions for a user's file take the arguments of `check_regular`; a pipe never blocks.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from harness.errors import HarnessError, StoreError

MIB, GIB = 2**20, 2**30
DOCUMENT_BYTES = MIB
"""Size limit of files written by hand: suites, thresholds, hardware offers, lists of class names."""
RUN_BYTES = 16 * GIB
"""Size limit of one file of a run's folder."""
DATA_BYTES = 64 * GIB
"""Size limit of a model or data file: hashing more takes longer than a benchmark."""
CHUNK_BYTES = MIB
TYPES = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a character device", stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def check_regular(path: Path, noun: str, *, limit_bytes: int, error: type[HarnessError] = HarnessError) -> Path:
    """Check a file that a library will open by its path.

    Args:
        path: Path of the file, or of a link to it.
        noun: What the file should be, for messages: `suite`, `meter log`.
        limit_bytes: Size limit.
        error: Class of the error.

    Returns:
        The path.

    Raises:
        HarnessError: It is missing, not a regular file, too large, or not readable; of class `error`.
    """
    with open_regular(path, noun, limit_bytes=limit_bytes, error=error):
        return path


@contextmanager
def open_regular(path: Path, noun: str, *, limit_bytes: int, error: type[HarnessError] = HarnessError) -> Iterator[BinaryIO]:
    """Open a regular file for reading, in binary mode; its type is checked before it is opened, and again on the open file.

    Raises:
        HarnessError: As for `check_regular`.
        OSError: A read fails in the body of the `with` statement.
    """
    with _opened(path, noun, limit_bytes, error) as stream:
        _check(os.fstat(stream.fileno()), _quoted(path), noun, limit_bytes, error)
        yield stream


def read_bytes(path: Path, noun: str, *, limit_bytes: int, error: type[HarnessError] = HarnessError) -> bytes:
    """The content of a regular file, no more than the limit even where the file grows or reports no size.

    Raises:
        HarnessError: As for `check_regular`, or a read fails.
    """
    chunks, left = [], limit_bytes + 1
    with open_regular(path, noun, limit_bytes=limit_bytes, error=error) as stream:
        try:
            while left > 0 and (chunk := stream.read(min(left, CHUNK_BYTES))):
                chunks.append(chunk)
                left -= len(chunk)
        except OSError as failure:
            raise error(
                f"{_quoted(path)} cannot be read: {failure.strerror or failure}", "check whether the disk is damaged or unmounted"
            ) from None
    if left <= 0:
        raise _too_large(_quoted(path), noun, limit_bytes, error)
    return b"".join(chunks)


def read_text(path: Path, noun: str, *, limit_bytes: int, error: type[HarnessError] = HarnessError) -> str:
    """The content of a regular file in UTF-8, with or without a byte order mark.

    Raises:
        HarnessError: As for `read_bytes`; or it is in another encoding, or not text.
    """
    return decode(read_bytes(path, noun, limit_bytes=limit_bytes, error=error), path, error=error)


def decode(data: bytes, path: Path, *, error: type[HarnessError] = HarnessError) -> str:
    """Bytes as text in UTF-8, with or without a byte order mark.

    Raises:
        HarnessError: It is in another encoding, or not text.
    """
    name = _quoted(path)
    if data.startswith(UTF16):
        raise error(f"{name} is text in UTF-16, not in UTF-8", f"convert it: iconv -f UTF-16 -t UTF-8 '{name}'")
    if (null := data.find(b"\0")) >= 0:
        raise error(f"{name} is not text: it holds a null byte at byte {null}", "give another file, or save it as text in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise error(
            f"{name} is not text in UTF-8: {failure.reason} at byte {failure.start}",
            f"save it as UTF-8; if it is in Latin-1: iconv -f LATIN1 -t UTF-8 '{name}'",
        ) from None


def _opened(path: Path, noun: str, limit_bytes: int, error: type[HarnessError]) -> BinaryIO:
    """The open file, before its second check."""
    name = _quoted(path)
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


def _check(status: os.stat_result, name: str, noun: str, limit_bytes: int, error: type[HarnessError]) -> None:
    """Raise an error unless it is a regular file below the limit."""
    if not stat.S_ISREG(status.st_mode):
        kind = TYPES.get(stat.S_IFMT(status.st_mode), "a special file")
        hint = f"save the {noun} in a file" if stat.S_ISFIFO(status.st_mode) else f"give the path of a {noun}"
        raise error(f"{name} is {kind}, not a regular file", hint)
    if status.st_size > limit_bytes:
        raise _too_large(name, noun, limit_bytes, error)


def _too_large(name: str, noun: str, limit_bytes: int, error: type[HarnessError]) -> HarnessError:
    size = f"{limit_bytes / GIB:g} GiB" if limit_bytes >= GIB else f"{limit_bytes / MIB:g} MiB"
    return error(f"{name} is larger than {size}, the limit of a {noun}", f"give the path of a {noun}")


def _quoted(path: Path) -> str:
    """A path for a message, in one line and of limited length."""
    return " ".join(str(path)[:200].split())


def own_folder(variable: str, name: str, contents: str, *, cache: bool = False) -> Path:
    """Folder of files that the harness keeps for the user: the value of an environment variable, or one of the user's data folder.

    Args:
        variable: The environment variable.
        name: Name of the folder in the data folder.
        contents: What is stored there, for the message: `calibrations`.
        cache: Whether the folder is in the user's cache folder instead.

    Raises:
        StoreError: The user has no home, as in some containers.
    """
    import platformdirs

    of_user = platformdirs.user_cache_path if cache else platformdirs.user_data_path
    try:
        return Path(os.environ.get(variable) or of_user("harness", appauthor=False) / name)
    except RuntimeError as error:
        raise StoreError(f"{contents} cannot be stored: {error}", f"set {variable} to a folder that you can write to") from None


def system_text(path: Path | str) -> str:
    """Text of a small file of the system without surrounding white space; empty if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def system_number(path: Path | str, field: str) -> int | None:
    """Number after a field at the start of a line, as in /proc/self/status; None if there is none, or the file cannot be read."""
    return next((int(line.split()[1]) for line in system_text(path).splitlines() if line.startswith(field)), None)
