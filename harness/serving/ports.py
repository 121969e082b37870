"""TCP ports of this machine: a free one, and which processes listen on one."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from pathlib import Path

_LISTEN = "0A"


def free_port() -> int:
    """A port of 127.0.0.1 that no process uses now; another one may take it before it is used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a port of 127.0.0.1 can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ports of connections that have just ended count as free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(pids: Iterable[int], port: int) -> bool | None:
    """Whether one of some processes listens on a port; None if this cannot be read."""
    sockets = _listening(port)
    if sockets is None:
        return None
    return any(_open_sockets(pid) & sockets for pid in pids)


def _listening(port: int) -> set[str] | None:
    """The sockets that listen on a port, as their entries in /proc/PID/fd read; None if this cannot be read."""
    sockets, readable = set(), False
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
            readable = True
            for fields in map(str.split, lines):
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    return sockets if readable else None


def _open_sockets(pid: int) -> set[str]:
    """What the file descriptors of a process refer to; empty if it has ended or belongs to another user."""
    targets = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                targets.add(str(entry.readlink()))
    return targets
