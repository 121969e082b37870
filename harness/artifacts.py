"""The cache of built models: by content hash, locked, with a size limit; artifacts are added atomically."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import StoreError
from harness.formats.fingerprint import fingerprint
from harness.schema import Artifact, CacheEntry, Record
from harness.userfiles import own_folder

DEFAULT_LIMIT_BYTES = 20 * 2**30
LIMIT = "HARNESS_CACHE_LIMIT_BYTES"
CHOOSE_FOLDER = "set HARNESS_CACHE to a folder that you can write to"
BUILDING, IN_USE = ".building-", ".in-use-"
"""Prefixes of folders that are built in, and of files that list the artifacts that a process uses."""


def default_folder() -> Path:
    """`$HARNESS_CACHE`, or the user's cache folder.

    Raises:
        StoreError: The user has no home folder, as in some containers.
    """
    return own_folder("HARNESS_CACHE", "artifacts", "the cache", cache=True)


def default_limit_bytes() -> int:
    """`$HARNESS_CACHE_LIMIT_BYTES`, or 20 GiB.

    Raises:
        StoreError: It is not a whole number.
    """
    value = os.environ.get(LIMIT)
    if not value:
        return DEFAULT_LIMIT_BYTES
    if not value.isdecimal():
        raise StoreError(
            f"{LIMIT} is {value!r}, not a whole number of bytes", f"set it to a number such as {DEFAULT_LIMIT_BYTES}, or unset it"
        )
    return int(value)


class Cache:
    """Artifacts in folders named by build id; a new one appears in a single rename.

    Args:
        folder: Folder of the cache, created if missing; None: `default_folder`.
        limit_bytes: Size above which `trim` removes the least recently used artifacts; None: `default_limit_bytes`.

    Raises:
        StoreError: The folder cannot be written, or the limit is not a number.
    """

    def __init__(self, folder: Path | None = None, limit_bytes: int | None = None) -> None:
        self.folder = folder or default_folder()
        self.limit_bytes = default_limit_bytes() if limit_bytes is None else limit_bytes
        with _store_errors(f"the cache {self.folder} cannot be created", CHOOSE_FOLDER):
            self.folder.mkdir(parents=True, exist_ok=True)

    def find(self, build_id: str) -> tuple[Artifact, Record] | None:
        """An artifact and the record of its build; None if there is none, or if its content has changed."""
        home = self.folder / build_id
        try:
            record = Record.model_validate_json((home / "record.json").read_bytes())
        except (OSError, ValueError):
            return None
        if record.artifact is None:
            return None
        artifact = record.artifact.model_copy(update={"path": str(home / record.artifact.path)})
        path = Path(artifact.path)
        if not path.exists() or fingerprint(path).sha256 != artifact.sha256:
            return None
        with contextlib.suppress(OSError):
            os.utime(home)
        return artifact, record.model_copy(update={"artifact": artifact})

    @contextlib.contextmanager
    def build_folder(self) -> Iterator[Path]:
        """An empty folder to build in, on the cache's file system; removed afterwards unless it was kept."""
        with _store_errors(f"nothing can be built in {self.folder}", "set HARNESS_CACHE to a folder with free space"):
            folder = Path(tempfile.mkdtemp(prefix=BUILDING, dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, folder: Path, record: Record) -> Artifact:
        """Move a finished build into the cache.

        Args:
            folder: Build folder that holds it.
            record: Record of the build, with an artifact inside the folder.

        Returns:
            The artifact with its final path.
        """
        assert record.artifact
        home = self.folder / record.artifact.build_id
        inside = Path(record.artifact.path).relative_to(folder)
        stored = record.model_copy(update={"artifact": record.artifact.model_copy(update={"path": str(inside)})})
        with (
            self._locked(),
            _store_errors(f"the artifact cannot be kept in {self.folder}", "free some space, or set HARNESS_CACHE to another folder"),
        ):
            (folder / "record.json").write_text(stored.model_dump_json(), encoding="utf-8")
            shutil.rmtree(home, ignore_errors=True)
            folder.rename(home)
        return record.artifact.model_copy(update={"path": str(home / inside)})

    def trim(self, in_use: Collection[str] = ()) -> int:
        """Remove the least recently used artifacts down to the limit, and what crashed builds left if no run is active.

        Args:
            in_use: Build ids that must stay, in addition to those that other runs use.

        Returns:
            Bytes freed.

        Raises:
            StoreError: The cache cannot be locked.
        """
        return self._remove(self.limit_bytes, in_use)

    def clear(self) -> int:
        """Remove all artifacts that no run uses, as `trim` does; returns the bytes freed.

        Raises:
            StoreError: The cache cannot be locked.
        """
        return self._remove(0, ())

    @contextlib.contextmanager
    def use(self, build_ids: Collection[str]) -> Iterator[None]:
        """Protect artifacts, built or still to be built, from removal by any process until the context or this process ends.

        What crashed builds left is removed first if no run is active.

        Args:
            build_ids: Builds of a run.

        Raises:
            StoreError: The cache cannot be locked.
        """
        claim = self.folder / f"{IN_USE}{uuid.uuid4().hex}"
        lock = FileLock(claim.with_suffix(".lock"))
        with self._locked():
            for folder in self._leftovers(self._claimed()):
                shutil.rmtree(folder, ignore_errors=True)
            lock.acquire()
            claim.write_text(json.dumps(sorted(build_ids)))
        try:
            yield
        finally:
            _release(claim, lock)

    def entries(self) -> list[CacheEntry]:
        """All readable artifacts, last used first.

        Raises:
            StoreError: The cache cannot be locked.
        """
        entries = []
        with self._locked():
            claimed = self._claimed() or set()
            for home in self._homes():
                with contextlib.suppress(OSError, ValueError):
                    record = Record.model_validate_json((home / "record.json").read_bytes())
                    entries.append(CacheEntry(record, _bytes(home), home.stat().st_mtime, home.name in claimed))
        return sorted(entries, key=lambda entry: -entry.used_unix_s)

    def _remove(self, limit_bytes: int, in_use: Collection[str]) -> int:
        """Remove artifacts down to the limit, least recently used first; returns the bytes freed."""
        with self._locked():
            claimed = self._claimed()
            homes = sorted(self._homes(), key=lambda p: p.stat().st_mtime)
            sizes = {home: _bytes(home) for home in homes}
            kept = sum(sizes.values())
            gone = self._leftovers(claimed)
            for home in homes:
                if kept > limit_bytes and home.name not in {*in_use, *(claimed or ())}:
                    gone.append(home)
                    kept -= sizes[home]
            before = sum(_bytes(home) for home in gone)
            for home in gone:
                shutil.rmtree(home, ignore_errors=True)
            return before - sum(_bytes(home) for home in gone)  # another user's files stay

    def _homes(self) -> list[Path]:
        return [p for p in self.folder.iterdir() if p.is_dir() and not p.name.startswith(".")]

    def _leftovers(self, claimed: Collection[str] | None) -> list[Path]:
        """Folders of crashed builds; none while a run is active, which may be building."""
        return list(self.folder.glob(f"{BUILDING}*")) if claimed is None else []

    def _claimed(self) -> set[str] | None:
        """Build ids that active processes use, None if none is active; removes claims of dead processes. The cache must be locked."""
        claimed: set[str] | None = None
        for claim in [p for p in self.folder.glob(f"{IN_USE}*") if p.suffix != ".lock"]:
            lock = FileLock(claim.with_suffix(".lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                with contextlib.suppress(OSError, ValueError):  # it may have ended just now
                    claimed = (claimed or set()) | set(json.loads(claim.read_text()))
            else:
                _release(claim, lock)
        return claimed

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclusive access to the cache."""
        lock = FileLock(self.folder / ".lock")
        with _store_errors(f"the cache {self.folder} cannot be locked", CHOOSE_FOLDER):
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _release(claim: Path, lock: FileLock) -> None:
    """Remove a claim and its lock."""
    claim.unlink(missing_ok=True)
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)


@contextlib.contextmanager
def _store_errors(what: str, hint: str) -> Iterator[None]:
    """Turn an OSError into a StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror or error}", hint) from None


def _bytes(folder: Path) -> int:
    """Size of a folder on disk."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
