"""Files in /dev/shm that a server leaves behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path("/dev/shm")  # noqa: S108


class SharedMemory:
    """What is in /dev/shm at a server's start, to find what it leaves there."""

    def __init__(self) -> None:
        self._before = set(_entries())
        self._used: set[str] = set()

    def note(self, pids: Iterable[int]) -> None:
        """Note the files that processes of the server have mapped or open now."""
        self._used |= {name for pid in pids for name in _used_by(pid)}

    def clean(self) -> tuple[list[str], list[str]]:
        """Remove the files that only the server used, after its end.

        Returns:
            The names of the files that were removed, and of those that have appeared since its start and may be others'.
        """
        new = set(_entries()) - self._before
        if not new:
            return [], []
        in_use = {name for process in Path("/proc").iterdir() if process.name.isdigit() for name in _used_by(int(process.name))}
        removed = []
        for name in sorted((new & self._used) - in_use):
            with contextlib.suppress(OSError):
                (FOLDER / name).unlink()
                removed.append(name)
        return removed, sorted(name for name in new - set(removed) - in_use if _is_ours(name))


def _entries() -> list[str]:
    with contextlib.suppress(OSError):
        return [path.name for path in FOLDER.iterdir()]
    return []


def _is_ours(name: str) -> bool:
    """Whether a file is there and belongs to this user."""
    with contextlib.suppress(OSError):
        return (FOLDER / name).lstat().st_uid == os.getuid()
    return False


def _used_by(pid: int) -> set[str]:
    """Names of the files in /dev/shm that a process has mapped or open; empty if it has ended or belongs to another user."""
    paths = set()
    with contextlib.suppress(OSError):
        maps = Path(f"/proc/{pid}/maps").read_text(errors="replace")
        paths |= {line.split(maxsplit=5)[5] for line in maps.splitlines() if f"{FOLDER}/" in line}
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                paths.add(str(entry.readlink()))
    prefix = f"{FOLDER}/"
    return {path.removeprefix(prefix).split("/")[0] for path in paths if path.startswith(prefix) and not path.endswith(" (deleted)")}
