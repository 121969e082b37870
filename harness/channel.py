"""The two ends of the pipes between parent and child; the messages and their order are in `harness.schema.worker`."""

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
from harness.schema.worker import AskKernels, BuildTask, Close, FromChild, Hello, Kernels, Mark, MeasureTask, ToChild, as_line

MAX_LINE_BYTES = 4 * 2**20
TAIL_BYTES = 8192

Task = TypeVar("Task", MeasureTask, BuildTask)
FROM_CHILD: TypeAdapter[FromChild] = TypeAdapter(FromChild)
TO_CHILD: TypeAdapter[ToChild] = TypeAdapter(ToChild)


@dataclass(frozen=True)
class Request:
    """What a child is started with.

    Attributes:
        module: `harness.worker.measure` or `harness.worker.build`.
        task: What it is to do; the runner adds where to leave its arrays.
        python: The interpreter and its options; ours unless a recipe needs its own.
        environment: Variables the engine wants set before it is imported.
        simulated: Whether the engine is a test double.
        artifact: What a case runs.
        precision: What the case's variant promises to run in; null where it promises nothing.
    """

    module: str
    task: MeasureTask | BuildTask
    python: tuple[str, ...] = (sys.executable,)
    environment: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False
    artifact: Artifact | None = None
    precision: str | None = None


class Child:
    """The parent's end: a child process in a session of its own, its messages, and the tail of what it wrote to stderr.

    Args:
        request: What to start; it reads its task as JSON on its standard input.

    Raises:
        WorkerError: It could not be started.
    """

    def __init__(self, request: Request) -> None:
        child_in, self._out = os.pipe()
        self._in, child_out = os.pipe()
        self._buffer = b""
        try:
            self._process = subprocess.Popen(
                # -P: what lies in the current folder is no part of the harness: a user's own queue.py would be run instead of Python's.
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
            stdin.write(request.task.model_dump_json().encode())

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

    def send(self, message: ToChild) -> None:
        """Send one message; a child that has gone is noticed when we next receive."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._out, as_line(message))

    def receive(self, timeout_s: float) -> FromChild | None:
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
        return _message(FROM_CHILD, line)

    def end(self, grace_s: float = 0.0) -> int:
        """End the child and whatever it started, and reap it.

        Args:
            grace_s: How long it may take to leave by itself.

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
        self._messages: queue.SimpleQueue[ToChild] = queue.SimpleQueue()
        self.closing = threading.Event()
        """Set when the parent has said `close`; cleared by `receive`."""
        threading.Thread(target=self._listen, args=(os.fdopen(read_fd, "rb"),), daemon=True).start()
        self.send(Hello(pid=os.getpid()))

    @classmethod
    def from_argv(cls, task: type[Task]) -> tuple[Parent, Task]:
        """The channel named on the command line, and the task on standard input.

        Args:
            task: The type of the task.
        """
        return cls(int(sys.argv[1]), int(sys.argv[2])), task.model_validate_json(sys.stdin.read())

    def send(self, message: FromChild) -> None:
        """Send one message."""
        os.write(self._write_fd, as_line(message))

    def send_mark(self, name: str) -> None:
        """Report that a phase begins now."""
        self.send(Mark(name=name, t_s=time.monotonic()))

    def leave(self, profile: Callable[[], Kernels] = Kernels) -> NoReturn:
        """Wait for the last message, and exit at once: the teardown of an engine may take a second.

        Args:
            profile: Gives the kernels where the parent asks for them.
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
        os._exit(0)  # the parent is gone, and nobody waits for a result


Message = TypeVar("Message")


def _message(adapter: TypeAdapter[Message], line: bytes) -> Message:
    """A line as the message that it is.

    Raises:
        WorkerError: It is none.
    """
    try:
        return adapter.validate_json(line)
    except ValidationError:
        raise WorkerError(
            f"the control pipe carried no message but {line[:80]!r}",
            "something in the child wrote to a file descriptor that is not its own",
        ) from None


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, for a child that hangs inside C code and cannot see the end of file."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(0)
