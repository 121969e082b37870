"""What a suite names on the disk: files, folders and functions, where they may be, and known by the hash of their content."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from harness.formats.fingerprint import fingerprint
from harness.suite.document import Document, Place, nearest
from harness.userfiles import DATA_BYTES

FUNCTION = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


class Files:
    """Finds what a suite names, and notes in the document what is not there or not allowed.

    Args:
        document: Takes the problems; paths are relative to its folder.
        trusted: Whether paths may leave that folder, and functions may run.
    """

    def __init__(self, document: Document, *, trusted: bool) -> None:
        self.document, self.trusted = document, trusted
        self.folder = document.path.resolve().parent
        self._sha256: dict[Path, str] = {}
        if not _is_text(str(self.folder)):
            document.add_problem((), "the name of the suite's folder is no text in UTF-8, and no record could hold it: rename the folder")

    def file(self, place: Place, written: str) -> Path | None:
        """A file, if it exists and lies where it may."""
        path = self.path(place, written)
        if path is None or not path.is_dir():
            return path
        self.document.add_problem(place, f"{written!r} is a folder: name a file")
        return None

    def tree(self, place: Place, written: str) -> Path | None:
        """A folder, if it exists and neither it nor anything in it leads out of where it may lie."""
        path = self.path(place, written)
        if path is None:
            return None
        if not path.is_dir():
            self.document.add_problem(place, f"{written!r} is a file: name a folder")
            return None
        if not self.trusted and any(not item.resolve().is_relative_to(self.folder) for item in path.rglob("*") if item.is_symlink()):
            self.document.add_problem(
                place, f"a link in {written!r} leads out of the suite's folder {self.folder}: move it there, or give --trust"
            )
            return None
        if wrong := next((item for item in path.rglob("*") if not _can_be_copied(item)), None):
            self.document.add_problem(
                place, f"{wrong.relative_to(path).as_posix()!r} in {written!r} is neither a file nor a folder, or leads back into it"
            )
            return None
        return path

    def path(self, place: Place, written: str) -> Path | None:
        """A file or folder, if it exists, can be read, and lies where it may."""
        if "\x00" in written:
            self.document.add_problem(place, "a path cannot hold a null character")
            return None
        try:
            path = (self.folder / written).resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself, before Python 3.13
            self.document.add_problem(place, f"{written!r} cannot be read: {error}")
            return None
        if not self.trusted and not path.is_relative_to(self.folder):
            self.document.add_problem(place, f"{written!r} leads out of the suite's folder {self.folder}: move it there, or give --trust")
            return None
        try:
            if path.is_dir():
                next(path.iterdir(), None)
                return path
            if path.exists() and not path.is_file():  # to open a pipe would wait for whoever writes to it
                self.document.add_problem(place, f"{written!r} is neither a file nor a folder: name a file")
                return None
            with path.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size > DATA_BYTES:
                    self.document.add_problem(
                        place, f"{written!r} is larger than {DATA_BYTES // 2**30} GiB, the limit of a model or a data file"
                    )
                    return None
                return path
        except FileNotFoundError:
            close = nearest(written, [str(p.relative_to(self.folder)) for p in sorted(self.folder.iterdir()) if p.suffix == path.suffix])
            self.document.add_problem(place, f"there is no file {written!r} in {self.folder}{close if 'mean' in close else ''}")
        except OSError as error:
            self.document.add_problem(place, f"{written!r} cannot be read: {error.strerror or error}")
        return None

    def sha256(self, path: Path) -> str:
        """Hash of the content of a file or a folder, computed once per suite: one archive may hold several arrays."""
        if path not in self._sha256:
            self._sha256[path] = fingerprint(path).sha256
        return self._sha256[path]

    def is_function(self, written: str) -> bool:
        """Whether this is `package.module:function` and no file."""
        return bool(FUNCTION.match(written)) and not (self.folder / written).exists()

    def function(self, place: Place, written: str) -> str | None:
        """The hash of a function's code, if functions may run."""
        if not FUNCTION.match(written):
            self.document.add_problem(place, f"{written!r} must be written 'package.module:function'")
            return None
        if not self.trusted:
            self.document.add_problem(place, f"{written!r} would run code of its own: give --trust if you trust it")
            return None
        return hashlib.sha256(f"{written} {self._code(written)}".encode()).hexdigest()

    def _code(self, written: str) -> str:
        """Hash of the module, or of the whole package it is in, where that lies beside the suite; empty for what is installed."""
        top = written.partition(":")[0].split(".")[0]
        package, module = self.folder / top, self.folder / f"{top}.py"
        if module.is_file():
            return self.sha256(module)
        listing = [f"{file.relative_to(package)} {self.sha256(file)}" for file in sorted(package.rglob("*.py"))]
        return hashlib.sha256("\n".join(listing).encode()).hexdigest() if listing else ""


def _is_text(name: str) -> bool:
    """Whether it can be written down: of a name that is no UTF-8 Python keeps the bytes as surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _can_be_copied(item: Path) -> bool:
    """Whether it is no pipe, no link to nothing, and no link to a folder that it lies in."""
    return item.is_file() or (item.is_dir() and not (item.is_symlink() and item.parent.resolve().is_relative_to(item.resolve())))
