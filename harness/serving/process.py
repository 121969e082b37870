"""A server of a language model as a process group of its own: started under a guardian, watched, and ended with all that it started."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.serving import ports, processes
from harness.serving.shared_memory import SharedMemory
from harness.text import plain

HOST = "127.0.0.1"
GRACE_S = 15.0
"""Time that a server has after SIGTERM before it is killed, s. Close its clients first: llama.cpp waits for them."""
TRIES = 3
"""Starts with another port, if the port was taken between its choice and its use."""
TAIL_BYTES, TAIL_LINES, TAIL_CHARACTERS = 65_536, 6, 900
_TAKEN = re.compile(r"address already in use|EADDRINUSE|errno 98|couldn't bind|failed to bind|port \d+ is (already )?in use", re.IGNORECASE)
_SECRET = re.compile(r"(?i)(key|token|secret|password|passwd|credential)")


@dataclass(frozen=True)
class Launch:
    """How a server is started.

    Attributes:
        title: Its name, for messages.
        command: The command; {port} and {folder} stand for the port and the folder of `files`, also in `variables` and `files`.
        ready_path: Path that answers 200 once the model is loaded.
        variables: Environment variables.
        files: Texts of files in a temporary folder of its own, by name.
        cores: CPU cores that it may use; empty: all of ours.
        ready_s: Time limit for the loading of the model, s.
        port: Port to use; None: one that is free.
    """

    title: str
    command: Sequence[str]
    ready_path: str
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    cores: Sequence[int] = ()
    ready_s: float = 540.0
    port: int | None = None


class ServerProcess:
    """A server that runs and can answer; it is ended by `stop`.

    Raises:
        EngineError: It does not start, ends, or is not ready in time.
    """

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.port = 0
        self.started_s = 0.0
        """Seconds from the start until it was ready."""
        self._stopped: dict[str, Any] | None = None
        for tries_left in reversed(range(TRIES)):
            self._start(_port(launch))
            try:
                self._wait_until_ready()
                return
            except _PortTakenError as error:
                self.stop(0.0)
                if launch.port is not None or tries_left == 0:
                    raise EngineError(error.what, error.hint) from None
            except BaseException:
                self.stop(0.0)
                raise

    @property
    def url(self) -> str:
        """Its address without a path."""
        return f"http://{HOST}:{self.port}"

    def filled(self, text: str) -> str:
        """A text with its port and folder in place of {port} and {folder}."""
        return text.replace("{port}", str(self.port)).replace("{folder}", str(self._folder))

    def died(self) -> str | None:
        """How it has ended, with the last lines of its output; None while it runs."""
        ending = self._ending()
        return ending and f"{self.launch.title} {ending}; {self._last_output()}"

    def _ending(self) -> str | None:
        if self._stopped is not None:
            return "was stopped"
        self._read_messages(0.0)
        if self._ended is not None:
            return _ending(self._ended)
        if self._code is None and self._guardian.poll() is None:
            return None
        self._read_messages(0.1)
        if self._code is None:  # the guardian was killed, and the server with it
            processes.kill_all(self._left)
            return "was killed with its guardian process"
        return _ending(self._code)

    def output(self) -> str:
        """The end of its output: at most 64 KiB."""
        if self._log.closed:
            return self._last_text
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode(errors="replace")

    def pids(self) -> set[int]:
        """All processes of the server that are alive."""
        table = processes.table()
        pids = self._of_group(table) | processes.marked(self._server_id, table)
        pids |= processes.descendants(pids | {self._guardian.pid}, table)
        return pids - {self._guardian.pid}

    def note(self) -> None:
        """Note its processes and the shared memory that they use, so that they can be found after its end."""
        table, pids = processes.table(), self.pids()
        self._known |= {(pid, table[pid].started) for pid in pids if pid in table}
        self._memory.note(pids)

    def stop(self, grace_s: float = GRACE_S) -> dict[str, Any]:
        """End it and everything that it started; its clients must be closed before.

        Args:
            grace_s: Time between SIGTERM and SIGKILL, s; 0: kill it at once.

        Returns:
            `stop_s`, `killed` (whether it did not end by itself), and where there were any, `left_processes` (their number) and the names of files in
            /dev/shm: `shm_removed` were only its own, `shm_left` have appeared since its start.
        """
        if self._stopped is None:
            began_s = time.monotonic()
            running = self._ended is None and self._code is None and self._guardian.poll() is None
            if running and grace_s:
                self.note()
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGTERM)
                self._read_messages(grace_s)
            killed = running and self._code is None
            self._end_guardian()
            left = processes.kill_all(self._left)
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)
            facts: dict[str, Any] = {"stop_s": time.monotonic() - began_s, "killed": killed}
            removed, remaining = self._memory.clean()
            extra = {
                "left_processes": (0 if killed else self._killed_by_guardian) + len(left),
                "shm_removed": sorted({*removed, *self._removed_by_guardian}),
                "shm_left": remaining,
            }
            self._stopped = facts | {name: value for name, value in extra.items() if value}
        return self._stopped

    def _start(self, port: int) -> None:
        self.port, self.pid = port, 0
        self._stopped, self._ended, self._code, self._buffer = None, None, None, b""
        self._killed_by_guardian = 0
        self._removed_by_guardian: list[str] = []
        self._error: str | None = None
        self._known: set[tuple[int, int]] = set()
        self._server_id = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._memory = SharedMemory()
        self._log = tempfile.TemporaryFile(prefix="harness-server-")  # noqa: SIM115 - closed in `_end_guardian`
        self._folder = Path(tempfile.mkdtemp(prefix="harness-server-")) if self.launch.files else None
        for name, text in self.launch.files.items():
            Path(str(self._folder), name).write_text(self.filled(text))
        command = [self.filled(argument) for argument in self.launch.command]
        options = ["--cores", ",".join(map(str, self.launch.cores))] if self.launch.cores else []
        options += ["--folder", str(self._folder)] if self._folder else []
        variables = {name: self.filled(value) for name, value in self.launch.variables.items()}
        processes.adopt_orphans()
        self._guardian = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.serving.guardian", *options, "--", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # it must survive a signal to our group, to kill the server
            env={**os.environ, **variables, processes.MARK: self._server_id},
        )
        self._read_messages(30.0, until_started=True)
        if not self.pid:
            self.stop(0.0)
            raise EngineError(
                f"{self.launch.title} cannot be started: {self._error or 'its guardian process has ended'} (`{command[0]}`)",
                "install the program, or put its folder on PATH",
                refused=True,
            )

    def _wait_until_ready(self) -> None:
        began_s = time.monotonic()
        answer, pause_s = "no answer", 0.02
        while time.monotonic() < began_s + self.launch.ready_s:
            if ending := self._ending():
                raise self._not_started(f"{self.launch.title} {ending} before it was ready; {self._last_output()}")
            status = _status(self.port, self.launch.ready_path)
            if status in (401, 403):
                raise EngineError(
                    f"{self.launch.title} asks for an API key ({status} {self.launch.ready_path})", "start it without an API key"
                )
            if status == 200:
                self._check_owner()
                self.started_s = time.monotonic() - began_s
                self.note()
                self._have_guardian_note()
                return
            answer = f"it answers {status}" if status else answer
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.2)
        raise EngineError(
            f"{self.launch.title} was not ready after {self.launch.ready_s:g} s ({answer} at {self.launch.ready_path}); {self._last_output()}",
            "raise the option `ready_s` of the engine and `limits: load_timeout_s` of the suite if the model only loads slowly",
        )

    def _have_guardian_note(self) -> None:
        """Have the guardian note the shared memory of the server too, since it cleans up if we are killed."""
        assert self._guardian.stdin
        with contextlib.suppress(OSError):
            os.write(self._guardian.stdin.fileno(), b"\n")

    def _not_started(self, reason: str) -> EngineError:
        if _TAKEN.search(self.output()):
            return _PortTakenError(f"port {self.port} is in use: {reason}", "end the program that uses it, or choose another port")
        return EngineError(
            reason, f"run it yourself to see all its output: `{redacted([self.filled(word) for word in self.launch.command])}`"
        )

    def _check_owner(self) -> None:
        if ports.listens(self.pids(), self.port) is False:
            raise EngineError(
                f"another process than {self.launch.title} answers at port {self.port}",
                "start the server directly, not in a container or by a service, or start it yourself and name its `url`",
            )

    def _read_messages(self, timeout_s: float, *, until_started: bool = False) -> None:
        """Read the guardian's messages until its last one, or the first, or the timeout."""
        assert self._guardian.stdout
        until_s = time.monotonic() + timeout_s
        while self._code is None and not (until_started and self.pid):
            if self._guardian.stdout.closed or not select.select([self._guardian.stdout], [], [], max(0.0, until_s - time.monotonic()))[0]:
                return
            chunk = os.read(self._guardian.stdout.fileno(), 65_536)
            if not chunk:
                return
            *lines, self._buffer = (self._buffer + chunk).split(b"\n")
            for message in map(json.loads, lines):
                self._error = message.get("error")
                self.pid = message.get("pid", self.pid)
                self._ended = message.get("ended", self._ended)
                self._killed_by_guardian = message.get("killed", 0)
                self._removed_by_guardian = message.get("shm_removed", [])
                self._code = message.get("exit", self._code)
            if self._error and not self.pid:
                return

    def _end_guardian(self) -> None:
        """Close the guardian's input, upon which it kills all that is left and ends; the end of file of its messages is its end."""
        guardian = self._guardian
        assert guardian.stdin and guardian.stdout
        with contextlib.suppress(OSError):
            guardian.stdin.close()
        self._read_messages(processes.END_S + 2)
        with contextlib.suppress(subprocess.TimeoutExpired):
            guardian.wait(2)
        guardian.kill()
        guardian.wait()
        guardian.stdout.close()
        self._last_text = self.output()
        self._log.close()

    def _left(self) -> set[int]:
        """Processes of the server that are alive although its guardian has ended: adopted by us, or known from before."""
        _reap_adopted(self._known)
        table = processes.table()
        left = processes.marked(self._server_id, table) | (self._of_group(table) & processes.descendants({os.getpid()}, table))
        left |= {pid for pid, started in self._known if pid in table and table[pid].started == started}
        return left | processes.descendants(left, table)

    def _of_group(self, table: Mapping[int, processes.Process]) -> set[int]:
        return {process.pid for process in table.values() if self.pid and self.pid in (process.group, process.session)}

    def _last_output(self) -> str:
        lines = [line.strip() for line in plain_lines(self.output()) if line.strip()]
        text = " | ".join(lines[-TAIL_LINES:])
        return f"its last output: {text[-TAIL_CHARACTERS:]}" if text else "it has printed nothing"


class _PortTakenError(EngineError):
    """The port was taken between its choice and its use."""


def _port(launch: Launch) -> int:
    if launch.port is None:
        return ports.free_port()
    if not ports.is_free(launch.port):
        raise EngineError(f"port {launch.port} is in use", "end the program that uses it, or choose another port")
    return launch.port


def _status(port: int, path: str) -> int | None:
    """Status of the answer to a GET request; None if there is none."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _reap_adopted(known: set[tuple[int, int]]) -> None:
    """Collect processes of the server that we have adopted and that have ended."""
    for pid, _ in known:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was killed by {name}" + (", possibly by the system for want of memory" if code == -signal.SIGKILL else "")


def plain_lines(text: str) -> list[str]:
    """Lines of a program's output without colours and control characters."""
    return [plain(line) for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()]


def redacted(command: Sequence[str]) -> str:
    """A command line for messages and records, without the values of what may be secrets."""
    words, hide = [], False
    for word in command:
        name, equals, _ = word.partition("=")
        secret = bool(_SECRET.search(name))
        hide = hide and not word.startswith("--")  # the flag before it was a switch, such as vLLM's --enable-prompt-tokens-details
        words.append("***" if hide else f"{name}=***" if equals and secret else word)
        hide = not hide and not equals and word.startswith("-") and secret
    return shlex.join(words)


def split_cores(threads: int) -> tuple[list[int], list[int]]:
    """The cores of a server with some threads, and those that are left for its client; empty if none are.

    Args:
        threads: Number of cores of the server.
    """
    cores = sorted(os.sched_getaffinity(0))
    return cores[:threads], cores[threads:]
