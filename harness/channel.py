"""The talk between parent and child: JSON lines over two inherited pipes, both ends.

    child                                   parent
    hello {pid}                      ->
    mark {name: load, t_s}           ->
    ready {first_query_s, ...}       ->     samples idle, model loaded
                                     <-     more {seconds}   a round of warm-up, not recorded
    mark {name: warmup, t_s}         ->     (before the first query of all)
    done {n}                         ->
                                     <-     go {shift_s, group}  queries run from here on, each completion kept
    mark {name: go, t_s}             ->     (after the first of them) waits for the lead-in, then for a tick, then for the window, then for a tick
                                     <-     close {until_s}  the only word inside a window is the one that ends it; one completion is later
    done {n}                         ->
    mark {name: quality, t_s} ...    ->
    result {...}                     ->     samples idle again, model still loaded
                                     <-     profile          in the first repetition alone, when all has been measured
    kernels {kernels, reason, stored} ->
                                     <-     close            or end of file: the child exits

A build says hello, marks and result alone. Times are CLOCK_MONOTONIC, which both processes share.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import IO, Any, NoReturn

from harness.errors import WorkerError
from harness.schema import Artifact

MAX_LINE_BYTES = 4 * 2**20
TAIL_BYTES = 8192

Message = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """What a child is started with.

    Attributes:
        module: `harness.measure` or `harness.build`.
        task: Its JSON, without the paths that the runner adds.
        python: The interpreter and its options; ours unless a recipe needs its own.
        environment: Variables the engine wants set before it is imported.
        simulated: Whether the engine is a test double.
        artifact: What a case runs.
        precision: What the case's variant promises to run in; null where it promises nothing.
    """

    module: str
    task: Mapping[str, Any]
    python: tuple[str, ...] = (sys.executable,)
    environment: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False
    artifact: Artifact | None = None
    precision: str | None = None


class Child:
    """The parent's end: a child process in a session of its own, its messages, and the tail of what it wrote to stderr.

    Args:
        order: What to start.
        more: Added to its task, which it reads as JSON on its standard input.

    Raises:
        WorkerError: It could not be started.
    """

    def __init__(self, order: Order, more: Mapping[str, Any] = MappingProxyType({})) -> None:
        child_in, self._out = os.pipe()
        self._in, child_out = os.pipe()
        self._buffer = b""
        try:
            self._process = subprocess.Popen(
                # -P: what lies in the current folder is no part of the harness: a user's own queue.py would be run instead of Python's.
                [*order.python, "-P", "-m", order.module, str(child_in), str(child_out)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(child_in, child_out),
                start_new_session=True,
                env={**os.environ, **order.environment},
            )
        except OSError as error:
            os.close(self._in)
            os.close(self._out)
            raise WorkerError(
                f"{order.python[0]} could not be started: {error.strerror or error}",
                "is it an interpreter, and has the machine memory left?",
            ) from None
        finally:
            os.close(child_in)
            os.close(child_out)
        self._tail = b""
        assert self._process.stdin and self._process.stdout
        self._drain = threading.Thread(target=self._keep_tail, args=(self._process.stdout,), daemon=True)
        self._drain.start()
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(json.dumps({**order.task, **more}).encode())

    @property
    def pid(self) -> int:
        """Process id, and the id of its process group."""
        return self._process.pid

    @property
    def tail(self) -> str:
        """The last lines it wrote to stdout or stderr; of one that has died all of them, which its pipe may still hold."""
        if self._process.poll() is not None:
            self._drain.join(1.0)
        return self._tail.decode(errors="replace")

    def send(self, kind: str, **fields: Any) -> None:
        """Send one message; a child that has gone is noticed when we next receive."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._out, _line(kind, fields))

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, or None after the time given.

        Raises:
            EOFError: The child has closed its end: it is dead or dying.
            WorkerError: It wrote something that is no message.
        """
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left < 0 or not select.select([self._in], [], [], left)[0]:
                return None
            chunk = os.read(self._in, 65536)
            if not chunk:
                raise EOFError
            self._buffer += chunk
            if len(self._buffer) > MAX_LINE_BYTES:
                raise WorkerError(
                    "the child sent a message of more than 4 MiB", "this is a bug of the engine plug-in or of the harness: please report it"
                )
        line, self._buffer = self._buffer.split(b"\n", 1)
        return _message(line)

    def end(self, grace_s: float = 0.0) -> int:
        """End the child and whatever it started, and reap it.

        Args:
            grace_s: How long it may take to leave by itself.

        Returns:
            Its exit code, negative for a signal.
        """
        self.send("close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        self._drain.join(1.0)
        for fd in (self._in, self._out):
            with contextlib.suppress(OSError):
                os.close(fd)
        return code

    def exit_code(self, timeout_s: float) -> int | None:
        """Its exit code once it has left, or None after the time given."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def _keep_tail(self, stream: IO[bytes]) -> None:
        """Read all it writes, so that it never blocks, and keep the end."""
        with stream:
            for chunk in iter(lambda: stream.read1(65536), b""):  # type: ignore[attr-defined]
                self._tail = (self._tail + chunk)[-TAIL_BYTES:]


class Parent:
    """The child's end. End of file from the parent ends this process: no orphan is left after a SIGKILL.

    Args:
        read_fd: Where the parent's messages come in.
        write_fd: Where ours go out.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        _die_with_parent()
        self._write_fd = write_fd
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.closing = threading.Event()
        """Set when the parent has said `close`; cleared by `receive`."""
        threading.Thread(target=self._listen, args=(os.fdopen(read_fd, "rb"),), daemon=True).start()
        self.send("hello", pid=os.getpid())

    @classmethod
    def from_argv(cls) -> tuple[Parent, dict[str, Any]]:
        """The channel named on the command line, and the task on standard input."""
        task: dict[str, Any] = json.load(sys.stdin)
        return cls(int(sys.argv[1]), int(sys.argv[2])), task

    def send(self, kind: str, **fields: Any) -> None:
        """Send one message."""
        os.write(self._write_fd, _line(kind, fields))

    def mark(self, name: str) -> None:
        """Say that a phase begins now."""
        self.send("mark", name=name, t_s=time.monotonic())

    def leave(self, profile: Callable[[], Mapping[str, Any]] = dict) -> NoReturn:
        """Wait for the last word, and go at once: the teardown of an engine may take a second.

        Args:
            profile: Gives the fields of `kernels` where the parent asks for them.
        """
        while self.receive()["kind"] == "profile":
            self.send("kernels", **profile())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    def receive(self) -> Message:
        """Wait for the next message."""
        message = self._messages.get()
        if message["kind"] == "close":
            self.closing.clear()
        return message

    def _listen(self, stream: IO[bytes]) -> None:
        for line in stream:
            message = _message(line)
            if message["kind"] == "close":
                self.closing.set()
            self._messages.put(message)
        os._exit(0)  # the parent is gone, and nobody waits for a result


def _line(kind: str, fields: Mapping[str, Any]) -> bytes:
    return json.dumps({"kind": kind, **fields}).encode() + b"\n"


def _message(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise WorkerError(
            f"the control pipe carried no message but {line[:80]!r}",
            "something in the child wrote to a file descriptor that is not its own",
        )
    return message


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, for a child that hangs inside C code and cannot see the end of file."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(0)
