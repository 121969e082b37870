"""What was built, by content hash: one cache outside `results/`, locked, whole or absent, with a size limit."""

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

DEFAULT_LIMIT_BYTES = 20 * 2**30
LIMIT = "HARNESS_CACHE_LIMIT_BYTES"
WORKSHOP, CLAIM = ".building-", ".in-use-"
"""What the names of folders that are built in begin with, and of files that say which artifacts a process uses."""


def default_folder() -> Path:
    """`$HARNESS_CACHE`, or the user's cache folder.

    Raises:
        StoreError: The user has no home, as in some containers.
    """
    import platformdirs

    try:
        return Path(os.environ.get("HARNESS_CACHE") or platformdirs.user_cache_path("harness", appauthor=False) / "artifacts")
    except RuntimeError as error:
        raise StoreError(f"there is no place for the cache: {error}", "set HARNESS_CACHE to a folder you may write") from None


def default_limit_bytes() -> int:
    """`$HARNESS_CACHE_LIMIT_BYTES`, or 20 GiB.

    Raises:
        StoreError: It is no whole number.
    """
    written = os.environ.get(LIMIT)
    if not written:
        return DEFAULT_LIMIT_BYTES
    if not written.isdecimal():
        raise StoreError(f"{LIMIT} is {written!r}, no whole number of bytes", f"say {LIMIT}={DEFAULT_LIMIT_BYTES}, for 20 GiB, or unset it")
    return int(written)


class Cache:
    """Artifacts in folders named by build id; one appears in a single rename, so that a half-built one is never found.

    Args:
        folder: Where it lies; made when missing.
        limit_bytes: Above it the least recently used go, when `trim` is called; null: as `default_limit_bytes` says.

    Raises:
        StoreError: The folder cannot be written, or the limit is no number.
    """

    def __init__(self, folder: Path | None = None, limit_bytes: int | None = None) -> None:
        self.folder = folder or default_folder()
        self.limit_bytes = default_limit_bytes() if limit_bytes is None else limit_bytes
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the cache {self.folder} cannot be made: {error.strerror}", "set HARNESS_CACHE to a folder you may write"
            ) from None

    def find(self, build_id: str) -> tuple[Artifact, Record] | None:
        """An artifact and the record of its build; null where there is none, or where its content has changed."""
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
        """An empty folder to build in, on the cache's own file system; gone afterwards unless it was kept."""
        try:
            folder = Path(tempfile.mkdtemp(prefix=WORKSHOP, dir=self.folder))
        except OSError as error:
            raise StoreError(
                f"nothing can be built in {self.folder}: {error.strerror}", "set HARNESS_CACHE to a folder with room"
            ) from None
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, folder: Path, record: Record) -> Artifact:
        """Move a finished build into its place.

        Args:
            folder: The workshop that holds it.
            record: Of the build; its artifact lies inside the workshop.

        Returns:
            The artifact where it now lies.
        """
        assert record.artifact
        home = self.folder / record.artifact.build_id
        inside = Path(record.artifact.path).relative_to(folder)
        stored = record.model_copy(update={"artifact": record.artifact.model_copy(update={"path": str(inside)})})
        with self._locked():
            try:
                (folder / "record.json").write_text(stored.model_dump_json(), encoding="utf-8")
                shutil.rmtree(home, ignore_errors=True)
                folder.rename(home)
            except OSError as error:
                raise StoreError(
                    f"the artifact cannot be kept in {self.folder}: {error.strerror}", "free some space, or set HARNESS_CACHE"
                ) from None
        return record.artifact.model_copy(update={"path": str(home / inside)})

    def trim(self, in_use: Collection[str] = ()) -> int:
        """Remove the least recently used artifacts until the limit holds, and what crashed builds left, where no run is on.

        Args:
            in_use: Build ids that must stay, beside those that other runs use.

        Returns:
            Bytes freed.

        Raises:
            StoreError: The cache cannot be locked.
        """
        return self._remove(self.limit_bytes, in_use)

    def clear(self) -> int:
        """Remove every artifact that no run uses, and what crashed builds left, where no run is on; returns the bytes freed.

        Raises:
            StoreError: The cache cannot be locked.
        """
        return self._remove(0, ())

    @contextlib.contextmanager
    def use(self, build_ids: Collection[str]) -> Iterator[None]:
        """While this lasts no process removes these artifacts, built or still to be built; it ends with the process too.

        What crashed builds left goes first, where no run is on.

        Args:
            build_ids: Of every build of a run.

        Raises:
            StoreError: The cache cannot be locked.
        """
        claim = self.folder / f"{CLAIM}{uuid.uuid4().hex}"
        lock = FileLock(claim.with_suffix(".lock"))
        with self._locked():
            for folder in self._leavings(self._claimed()):
                shutil.rmtree(folder, ignore_errors=True)
            lock.acquire()
            claim.write_text(json.dumps(sorted(build_ids)))
        try:
            yield
        finally:
            claim.unlink(missing_ok=True)
            lock.release()
            Path(lock.lock_file).unlink(missing_ok=True)

    def entries(self) -> list[CacheEntry]:
        """Every artifact that can be read, the last used first.

        Raises:
            StoreError: The cache cannot be locked.
        """
        found = []
        with self._locked():
            claimed = self._claimed() or set()
            for home in self._homes():
                with contextlib.suppress(OSError, ValueError):
                    record = Record.model_validate_json((home / "record.json").read_bytes())
                    found.append(CacheEntry(record, _bytes(home), home.stat().st_mtime, home.name in claimed))
        return sorted(found, key=lambda entry: -entry.used_unix_s)

    def _remove(self, limit_bytes: int, in_use: Collection[str]) -> int:
        """Down to the limit, the least recently used first."""
        with self._locked():
            claimed = self._claimed()
            homes = sorted(self._homes(), key=lambda p: p.stat().st_mtime)
            sizes = {home: _bytes(home) for home in homes}
            kept = sum(sizes.values())
            gone = self._leavings(claimed)
            for home in homes:
                if kept > limit_bytes and home.name not in {*in_use, *(claimed or ())}:
                    gone.append(home)
                    kept -= sizes[home]
            before = sum(_bytes(home) for home in gone)
            for home in gone:
                shutil.rmtree(home, ignore_errors=True)
            return before - sum(_bytes(home) for home in gone)  # what is another user's stays

    def _homes(self) -> list[Path]:
        return [p for p in self.folder.iterdir() if p.is_dir() and not p.name.startswith(".")]

    def _leavings(self, claimed: Collection[str] | None) -> list[Path]:
        """What crashed builds left; nothing is known to be that while a run is on."""
        return list(self.folder.glob(f"{WORKSHOP}*")) if claimed is None else []

    def _claimed(self) -> set[str] | None:
        """Build ids that running processes use; null where none runs. Claims whose process died are removed; the cache is locked meanwhile."""
        claimed: set[str] | None = None
        for claim in [p for p in self.folder.glob(f"{CLAIM}*") if p.suffix != ".lock"]:
            lock = FileLock(claim.with_suffix(".lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                with contextlib.suppress(OSError, ValueError):  # it ended in this moment
                    claimed = (claimed or set()) | set(json.loads(claim.read_text()))
            else:
                claim.unlink(missing_ok=True)
                lock.release()
                Path(lock.lock_file).unlink(missing_ok=True)
        return claimed

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the cache."""
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire()
        except OSError as error:
            raise StoreError(
                f"the cache {self.folder} cannot be locked: {error.strerror or error}", "set HARNESS_CACHE to a folder you may write"
            ) from None
        try:
            yield
        finally:
            lock.release()


def _bytes(folder: Path) -> int:
    """On the disk."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
