"""Run a server, and kill it with everything that it started as soon as our standard input closes: `python -m harness.serving.guardian -- COMMAND`.

The process that measures holds the other end of our standard input. However it dies, no server outlives it. Messages are JSON lines on standard output:
`{"pid": 7}` once the server was started or `{"error": "..."}`, `{"ended": -9}` as soon as it has ended by itself, and `{"exit": -9, "killed": 2}` when all is
left behind: its exit code, negative for a signal, how many other processes of it had to be killed, and the files in /dev/shm that were removed
(`shm_removed`), if any. A line on standard input has the shared memory noted that the server uses now: do so when it is ready. Standard error is the
server's output. It imports nothing heavy: it is one of the measured processes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from harness.serving import processes
from harness.serving.shared_memory import SharedMemory

STOPS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
PARENT_ENDED = signal.SIGUSR1
NOT_STARTED = 127
LAST_S = 1.0
"""Time that other processes of the server have to end after its first one has, s."""


def main() -> None:
    """Run the command of the command line; exit with its code, 128 + the signal's number for a signal."""
    parser = argparse.ArgumentParser(prog="python -m harness.serving.guardian", description="Run a server until standard input closes.")
    parser.add_argument("--cores", help="CPU cores that it may use, such as 0,1")
    parser.add_argument("--folder", help="folder that is removed at the end")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    cores = {int(core) for core in arguments.cores.split(",")} if arguments.cores else set()
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    code = guard(command, cores, arguments.folder)
    os._exit(128 - code if code < 0 else code)


def guard(command: Sequence[str], cores: set[int], folder: str | None = None) -> int:
    """Run a command until it ends or standard input closes, then kill what is left of it.

    Args:
        command: The command and its arguments.
        cores: CPU cores that it may use; empty: those that we may use.
        folder: Folder of its files, which is removed at its end.

    Returns:
        Its exit code, negative for a signal.
    """
    guardian, parent = os.getpid(), os.getppid()
    memory = SharedMemory()
    processes.adopt_orphans()
    wake = _signals()
    processes.signal_at_parents_end(PARENT_ENDED)
    try:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr, start_new_session=True,
            preexec_fn=lambda: _prepare(cores, guardian),  # noqa: PLW1509 - we have no threads
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _send(error=str(error))
        return NOT_STARTED
    _send(pid=server.pid)
    code = _watch(server.pid, wake, parent, lambda: memory.note(_alive()))
    if code is not None:
        _send(ended=code)
    ended = {} if code is None else {server.pid: code}
    memory.note(_left(ended))
    until_s = time.monotonic() + LAST_S
    while code is not None and _left(ended) and time.monotonic() < until_s:
        time.sleep(0.02)
    killed = processes.kill_all(lambda: _left(ended))
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    code = ended.get(server.pid, -signal.SIGKILL)
    removed, _ = memory.clean()
    _send(exit=code, killed=len(killed - {server.pid}), **({"shm_removed": removed} if removed else {}))
    return code


def _prepare(cores: set[int], guardian: int) -> None:
    """In the server before it is executed: its cores, and its end if we are killed."""
    if cores:
        os.sched_setaffinity(0, cores)
    processes.signal_at_parents_end(signal.SIGKILL)
    if os.getppid() != guardian:
        os._exit(NOT_STARTED)


def _signals() -> int:
    """Install handlers; the file descriptor where the number of each signal arrives as a byte."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    for number in (*STOPS, PARENT_ENDED, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return read_fd


def _watch(server: int, wake: int, parent: int, note: Callable[[], None]) -> int | None:
    """Wait for the server's end, and return its exit code; None if it must be killed. `note` is called for each input."""
    while os.getppid() == parent:
        for pid, code in processes.reap():
            if pid == server:
                return code
        readable, _, _ = select.select([0, wake], [], [])
        if 0 in readable:
            if not os.read(0, 4096):
                return None
            note()
        if wake in readable and STOPS & set(os.read(wake, 4096)):
            return None
    return None


def _left(ended: dict[int, int]) -> set[int]:
    """Our descendants that are still alive; the exit codes of those that are not are added to `ended`."""
    ended.update(processes.reap())
    return _alive()


def _alive() -> set[int]:
    """Our descendants that are still alive; none is reaped, so that the server's exit code is left to `_watch`."""
    alive = processes.descendants({os.getpid()}, table := processes.table())
    if server_id := os.environ.get(processes.MARK):
        alive |= processes.marked(server_id, table) - {os.getpid()}
    return alive


def _send(**message: object) -> None:
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
