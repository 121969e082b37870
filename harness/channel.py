"""The two ends of the pipes between parent and child; `harness.schema.worker` has the messages and their order."""

from __future__ import annotations

import contextlib
import ctypes
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
from typing import IO, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.errors import WorkerError
from harness.schema import Artifact
from harness.schema.worker import (
    AskKernels,
    BuildTask,
    Close,
    FromChild,
    Hello,
    Kernels,
    LoadTask,
    Mark,
    MeasureTask,
    ServeTask,
    ToChild,
    as_line,
)

MAX_LINE_BYTES = 4 * 2**20
TAIL_BYTES = 8192

Task = TypeVar("Task", MeasureTask, ServeTask, BuildTask, LoadTask)
FROM_CHILD: TypeAdapter[FromChild] = TypeAdapter(FromChild)
TO_CHILD: TypeAdapter[ToChild] = TypeAdapter(ToChild)


@dataclass(frozen=True)
class Request:
    """How to start a child.

    Attributes:
        module: `harness.worker.measure`, `harness.worker.serve`, `harness.worker.build` or `harness.worker.card_load`.
        task: Task of the child; the runner adds the paths of its output files.
        python: Interpreter and its options; ours unless a recipe needs another.
        environment: Environment variables that the engine needs before it is imported.
        simulated: Whether the engine is a test double.
        artifact: Artifact of a case; None for a build.
        precision: Precision that the case's variant requests; None: none.
    """

    module: str
    task: MeasureTask | ServeTask | BuildTask | LoadTask
    python: tuple[str, ...] = (sys.executable,)
    environment: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False
    artifact: Artifact | None = None
    precision: str | None = None


class Child:
    """The parent's end: a child process in its own session, its messages, and the last lines of its output.

    Args:
        request: How to start it; its task is JSON on its standard input.

    Raises:
        WorkerError: It could not be started.
    """

    def __init__(self, request: Request) -> None:
        child_in, self._out = os.pipe()
        self._in, child_out = os.pipe()
        self._buffer = b""
        try:
            self._process = subprocess.Popen(
                # -P: without the current folder on the path, where a user's queue.py would replace Python's.
                [*request.python, "-P", "-m", request.module, str(child_in), str(child_out)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(child_in, child_out),
                start_new_session=True,
                env={**os.environ, **request.environment},
            )
        except OSError as error:
            os.close(self._in)
            os.close(self._out)
            raise WorkerError(
                f"{request.python[0]} could not be started: {error.strerror or error}",
                "check that it is a Python interpreter, and that the machine has free memory",
            ) from None
        finally:
            os.close(child_in)
            os.close(child_out)
        self._tail = b""
        assert self._process.stdin and self._process.stdout
        self._drain = threading.Thread(target=self._keep_tail, args=(self._process.stdout,), daemon=True)
        self._drain.start()
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(request.task.model_dump_json().encode())

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def tail(self) -> str:
        """The last lines of its stdout and stderr; after its death, including those still in the pipe."""
        if self._process.poll() is not None:
            self._drain.join(1.0)
        return self._tail.decode(errors="replace")

    def send(self, message: ToChild) -> None:
        """Send a message; a dead child is noticed by the next `receive`."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._out, as_line(message))

    def receive(self, timeout_s: float) -> FromChild | None:
        """The next message; None after the timeout.

        Raises:
            EOFError: The child has closed its end: it is dead or dying.
            WorkerError: It wrote something that is not a message.
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
                raise WorkerError("the child sent a message of more than 4 MiB", "report this bug of the engine plug-in or the harness")
        line, self._buffer = self._buffer.split(b"\n", 1)
        return _message(FROM_CHILD, line)

    def end(self, grace_s: float = 0.0) -> int:
        """End the child, which may exit by itself within a grace time, and all processes that it started.

        Returns:
            Its exit code, negative for a signal.
        """
        self.send(Close())
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
        """Its exit code; None if it is still running after the timeout."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def _keep_tail(self, stream: IO[bytes]) -> None:
        """Read all its output, so that it never blocks, and keep the end."""
        with stream:
            for chunk in iter(lambda: stream.read1(65536), b""):  # type: ignore[attr-defined]
                self._tail = (self._tail + chunk)[-TAIL_BYTES:]


class Parent:
    """The child's end. End of file from the parent ends this process, so that a SIGKILL leaves no orphan.

    Args:
        read_fd: File descriptor of the parent's messages.
        write_fd: File descriptor of our messages.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        _die_with_parent()
        self._write_fd = write_fd
        self._messages: queue.SimpleQueue[ToChild] = queue.SimpleQueue()
        self.closing = threading.Event()
        """Set when `Close` has arrived; cleared by `receive`."""
        threading.Thread(target=self._listen, args=(os.fdopen(read_fd, "rb"),), daemon=True).start()
        self.send(Hello(pid=os.getpid()))

    @classmethod
    def from_argv(cls, task: type[Task]) -> tuple[Parent, Task]:
        """The channel named on the command line, and the task of a given type on standard input."""
        return cls(int(sys.argv[1]), int(sys.argv[2])), task.model_validate_json(sys.stdin.read())

    def send(self, message: FromChild) -> None:
        """Send a message."""
        os.write(self._write_fd, as_line(message))

    def send_mark(self, name: str) -> None:
        """Report that a phase begins now."""
        self.send(Mark(name=name, t_s=time.monotonic()))

    def leave(self, profile: Callable[[], Kernels] = Kernels) -> NoReturn:
        """Wait for the last message, and exit at once, without the teardown of the engine, which may take a second.

        Args:
            profile: Function that returns the kernels, called if the parent requests them.
        """
        while isinstance(self.receive(), AskKernels):
            self.send(profile())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    def receive(self) -> ToChild:
        """Wait for the next message."""
        message = self._messages.get()
        if isinstance(message, Close):
            self.closing.clear()
        return message

    def _listen(self, stream: IO[bytes]) -> None:
        for line in stream:
            message = _message(TO_CHILD, line)
            if isinstance(message, Close):
                self.closing.set()
            self._messages.put(message)
        os._exit(0)  # the parent has died


Message = TypeVar("Message")


def _message(adapter: TypeAdapter[Message], line: bytes) -> Message:
    """Parse a line.

    Raises:
        WorkerError: It is not a message.
    """
    try:
        return adapter.validate_json(line)
    except ValidationError:
        raise WorkerError(
            f"the child sent {line[:80]!r}, which is not a message",
            "check whether the engine or the model writes to file descriptors that it did not open",
        ) from None


def _die_with_parent() -> None:
    """Have Linux kill this process when its parent dies, for a child that hangs in C code and cannot notice the end of file."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(0)
