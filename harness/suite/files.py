"""Files, folders and functions named in a suite, and their hashes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from harness.formats.fingerprint import fingerprint
from harness.suite.document import Document, Place, nearest
from harness.userfiles import DATA_BYTES

FUNCTION = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")

Resolved = TypeVar("Resolved")


class _NameError(Exception):
    """A name in a suite that is missing or not allowed."""


class Files:
    """Resolves names in a suite; a wrong one gives None and adds an error.

    Args:
        document: The suite; paths are relative to its folder.
        trusted: Whether paths may leave that folder, and functions may run.
    """

    def __init__(self, document: Document, *, trusted: bool) -> None:
        self.document, self.trusted = document, trusted
        self.folder = document.path.resolve().parent
        self._sha256: dict[Path, str] = {}
        if not _is_text(str(self.folder)):
            document.add_problem((), "the name of the suite's folder is not valid UTF-8 and cannot be stored: rename the folder")

    def path(self, place: Place, written: str) -> Path | None:
        """The path of a file or a folder."""
        return self._resolve(self._path, place, written)

    def file(self, place: Place, written: str) -> Path | None:
        """The path of a file."""
        return self._resolve(self._file, place, written)

    def tree(self, place: Place, written: str) -> Path | None:
        """The path of a folder whose links are allowed too."""
        return self._resolve(self._tree, place, written)

    def function(self, place: Place, written: str) -> str | None:
        """The hash of a function's code."""
        return self._resolve(self._function, place, written)

    def is_function(self, written: str) -> bool:
        """Whether a name is `package.module:function` and not a file."""
        return bool(FUNCTION.match(written)) and not (self.folder / written).exists()

    def sha256(self, path: Path) -> str:
        """Hash of the content of a file or a folder, computed once per suite."""
        if path not in self._sha256:
            self._sha256[path] = fingerprint(path).sha256
        return self._sha256[path]

    def _resolve(self, resolve: Callable[[str], Resolved], place: Place, written: str) -> Resolved | None:
        try:
            return resolve(written)
        except _NameError as error:
            self.document.add_problem(place, str(error))
            return None

    def _file(self, written: str) -> Path:
        path = self._path(written)
        if path.is_dir():
            raise _NameError(f"{written!r} is a folder: name a file")
        return path

    def _tree(self, written: str) -> Path:
        path = self._path(written)
        if not path.is_dir():
            raise _NameError(f"{written!r} is a file: name a folder")
        if not self.trusted and any(not item.resolve().is_relative_to(self.folder) for item in path.rglob("*") if item.is_symlink()):
            raise _NameError(f"a link in {written!r} leaves the suite's folder {self.folder}: move its target there, or use --trust")
        if odd := next((item for item in path.rglob("*") if not _can_be_copied(item)), None):
            name = odd.relative_to(path).as_posix()
            raise _NameError(f"{name!r} in {written!r} is neither a file nor a folder, or links to a folder that contains it: remove it")
        return path

    def _path(self, written: str) -> Path:
        if "\0" in written:
            raise _NameError("a path cannot contain a null character: remove it")
        try:
            path = (self.folder / written).resolve()
            if not self.trusted and not path.is_relative_to(self.folder):
                raise _NameError(f"{written!r} leaves the suite's folder {self.folder}: move it there, or use --trust")
            self._check_readable(path, written)
        except FileNotFoundError:
            siblings = [str(p.relative_to(self.folder)) for p in sorted(self.folder.iterdir()) if p.suffix == path.suffix]
            close = nearest(written, siblings)
            raise _NameError(f"there is no file {written!r} in {self.folder}{close if 'mean' in close else ': correct the path'}") from None
        except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself, before Python 3.13
            raise _NameError(f"{written!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        return path

    @staticmethod
    def _check_readable(path: Path, written: str) -> None:
        """Open a file, or list a folder."""
        if path.is_dir():
            next(path.iterdir(), None)
            return
        if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
            raise _NameError(f"{written!r} is neither a file nor a folder: name a file")
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size > DATA_BYTES:
                raise _NameError(f"{written!r} is larger than {DATA_BYTES // 2**30} GiB, the limit of a model or a data file")

    def _function(self, written: str) -> str:
        if not FUNCTION.match(written):
            raise _NameError(f"{written!r} is not a function: write 'package.module:function'")
        if not self.trusted:
            raise _NameError(f"{written!r} runs code: use --trust if you trust it")
        return hashlib.sha256(f"{written} {self._code(written)}".encode()).hexdigest()

    def _code(self, written: str) -> str:
        """Hash of the module or its package in the suite's folder; else empty."""
        top = written.partition(":")[0].split(".")[0]
        package, module = self.folder / top, self.folder / f"{top}.py"
        if module.is_file():
            return self.sha256(module)
        listing = [f"{file.relative_to(package)} {self.sha256(file)}" for file in sorted(package.rglob("*.py"))]
        return hashlib.sha256("\n".join(listing).encode()).hexdigest() if listing else ""


def _is_text(name: str) -> bool:
    """Whether a name is valid UTF-8; Python keeps other bytes as surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _can_be_copied(item: Path) -> bool:
    """Whether it is not a pipe, a broken link, or a link to its own ancestor."""
    return item.is_file() or (item.is_dir() and not (item.is_symlink() and item.parent.resolve().is_relative_to(item.resolve())))
