"""What was built, by content hash: one cache outside `results/`, locked, whole or absent, with a size limit."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from harness.errors import StoreError
from harness.formats.fingerprint import fingerprint
from harness.schema import Artifact, Record

DEFAULT_LIMIT_BYTES = 20 * 2**30


def default_folder() -> Path:
    """`$HARNESS_CACHE`, or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("HARNESS_CACHE") or platformdirs.user_cache_path("harness", appauthor=False) / "artifacts")


def sha256_of(path: Path) -> str:
    """Hash of the content of a file or a folder."""
    return fingerprint(path)[0]


class Cache:
    """Artifacts in folders named by build id; one appears in a single rename, so that a half-built one is never found.

    Args:
        folder: Where it lies; made when missing.
        limit_bytes: Above it the least recently used go, when `trim` is called.

    Raises:
        StoreError: The folder cannot be written.
    """

    def __init__(self, folder: Path | None = None, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.folder = folder or default_folder()
        self.limit_bytes = limit_bytes
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
        if not path.exists() or sha256_of(path) != artifact.sha256:
            return None
        with contextlib.suppress(OSError):
            os.utime(home)
        return artifact, record.model_copy(update={"artifact": artifact})

    @contextlib.contextmanager
    def workshop(self) -> Iterator[Path]:
        """An empty folder to build in, on the cache's own file system; gone afterwards unless it was kept."""
        try:
            folder = Path(tempfile.mkdtemp(prefix=".building-", dir=self.folder))
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
        from filelock import FileLock

        assert record.artifact
        home = self.folder / record.artifact.build_id
        inside = Path(record.artifact.path).relative_to(folder)
        stored = record.model_copy(update={"artifact": record.artifact.model_copy(update={"path": str(inside)})})
        with FileLock(self.folder / ".lock"):
            try:
                (folder / "record.json").write_text(stored.model_dump_json())
                shutil.rmtree(home, ignore_errors=True)
                folder.rename(home)
            except OSError as error:
                raise StoreError(
                    f"the artifact cannot be kept in {self.folder}: {error.strerror}", "free some space, or set HARNESS_CACHE"
                ) from None
        return record.artifact.model_copy(update={"path": str(home / inside)})

    def trim(self, in_use: Collection[str] = ()) -> int:
        """Remove the least recently used artifacts until the limit holds, and what crashed builds left.

        Args:
            in_use: Build ids that must stay.

        Returns:
            Bytes freed.
        """
        from filelock import FileLock

        freed = 0
        with FileLock(self.folder / ".lock"):
            homes = sorted((p for p in self.folder.iterdir() if p.is_dir() and not p.name.startswith(".")), key=lambda p: p.stat().st_mtime)
            sizes = {home: sum(f.stat().st_size for f in home.rglob("*") if f.is_file()) for home in homes}
            for home in homes:
                if sum(sizes.values()) - freed <= self.limit_bytes:
                    break
                if home.name not in in_use:
                    shutil.rmtree(home, ignore_errors=True)
                    freed += sizes[home]
        return freed
