"""The guardian: no process of a server outlives the one that measures, whichever process is killed."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

FAKE = Path(__file__).parent / "fake_server.py"
GUARDIAN = [sys.executable, "-P", "-m", "harness.serving.guardian"]
WAIT_S = 30.0
CHILD = """
import json, os, sys, threading, time
from harness.serving.process import Launch, ServerProcess

threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()  # as a child of the harness watches its parent
command = [sys.executable, sys.argv[1], "{port}", "workers", "stubborn", sys.argv[2]]
server = ServerProcess(Launch("fake", command, "/health", ready_s=60))
print("ready", flush=True)
while not server.died():
    time.sleep(0.02)
server.stop()
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], stdin=subprocess.PIPE)
child.wait()
"""


def guarded(*command: str, options: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """A guardian with its command."""
    return subprocess.Popen([*GUARDIAN, *options, "--", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def messages(output: bytes) -> list[dict[str, object]]:
    """What a guardian has sent."""
    return [json.loads(line) for line in output.splitlines()]


def of_token(token: str) -> dict[int, str]:
    """Command lines of the processes that are alive and have a token in them."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode() if entry.name.isdigit() else ""
            if token in line:
                found[int(entry.name)] = line
    return found


def roles(token: str) -> dict[str, int]:
    """Processes of a campaign by what they are."""
    found = {}
    for pid, line in of_token(token).items():
        role = "guardian" if "harness.serving.guardian" in line else "worker" if "time.sleep(600)" in line else None
        role = role or ("parent" if "child.wait()" in line else "child" if "ServerProcess" in line else "server")
        found[role] = pid
    return found


def campaign(victim: str | None, delay_s: float | None) -> None:
    """Start parent, child, guardian, server and workers, kill one of them, and wait until all have ended.

    Args:
        victim: What is killed; None: any that there is.
        delay_s: Time until then; None: when the server is ready.
    """
    token = uuid.uuid4().hex
    command = [sys.executable, "-c", PARENT, CHILD, str(FAKE), token]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=FAKE.parent.parent.parent) as parent:
        try:
            if delay_s is None:
                assert parent.stdout.readline() == b"ready\n"
                assert set(roles(token)) == {"parent", "child", "guardian", "server", "worker"}
            else:
                time.sleep(delay_s)
            present = roles(token)
            pid = present[victim] if victim else random.choice(list(present.values()))
            if pid == present.get("worker"):
                pid = parent.pid  # the end of a worker is the server's affair
            os.kill(pid, signal.SIGKILL)
            until_s = time.monotonic() + WAIT_S
            while (left := of_token(token)) and time.monotonic() < until_s:
                time.sleep(0.02)
            assert left == {}, f"after the end of {victim or pid} by {present}"
        finally:
            for pid in of_token(token):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("victim", ["parent", "child", "guardian", "server"])
def test_no_process_is_left_when_one_is_killed(victim):
    """Nor are workers that ignore SIGTERM, left the session of the server or have no environment."""
    campaign(victim, None)


@pytest.mark.slow
def test_no_process_is_left_at_any_time():
    """Also while the server is being started."""
    for _ in range(60):
        campaign(None, random.uniform(0.05, 1.2))


def test_a_server_that_ends_as_its_memory_is_noted():
    """Its end is not lost: both are there when the guardian looks."""
    with guarded("sleep", "600") as guardian:
        pid = json.loads(guardian.stdout.readline())["pid"]
        os.kill(guardian.pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        guardian.stdin.write(b"\n")
        guardian.stdin.flush()
        os.kill(guardian.pid, signal.SIGCONT)
        assert guardian.wait(WAIT_S) == 128 + signal.SIGKILL
        assert messages(guardian.stdout.read())[0] == {"ended": -signal.SIGKILL}


def test_the_exit_code_is_forwarded():
    """As a message, and as its own."""
    with guarded("sh", "-c", "echo last words; exit 3") as guardian:
        started, news, ended = (json.loads(guardian.stdout.readline()) for _ in range(3))
        assert started["pid"] and news == {"ended": 3} and ended == {"exit": 3, "killed": 0}
        assert guardian.stderr.read() == b"last words\n"
        assert guardian.wait(WAIT_S) == 3


def test_the_end_of_its_input_kills_the_server():
    """Although it ignores SIGTERM."""
    guardian = guarded("sh", "-c", "trap '' TERM; while :; do sleep 600; done")
    pid = json.loads(guardian.stdout.readline())["pid"]
    output, _ = guardian.communicate(timeout=WAIT_S)
    assert messages(output)[-1]["exit"] == -signal.SIGKILL
    assert guardian.returncode == 128 + signal.SIGKILL
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_it_ends_the_server(number):
    """As the end of its input does."""
    with guarded("sleep", "600") as guardian:
        guardian.stdout.readline()
        guardian.send_signal(number)
        assert json.loads(guardian.stdout.readline())["exit"] == -signal.SIGKILL


def test_a_command_that_does_not_exist_is_reported():
    """With the system's reason."""
    output, _ = guarded("no-such-program-here").communicate(timeout=WAIT_S)
    assert "No such file" in str(messages(output)[0]["error"])


def test_the_server_runs_on_the_cores_that_are_named(tmp_path):
    """And its folder is removed when it has ended."""
    (tmp_path / "files").mkdir()
    core = min(os.sched_getaffinity(0))
    options = ("--cores", str(core), "--folder", str(tmp_path / "files"))
    show = "import os; print(sorted(os.sched_getaffinity(0)), flush=True)"
    with guarded(sys.executable, "-c", show, options=options) as guardian:
        assert guardian.stderr.readline().decode().strip() == f"[{core}]"
    assert not (tmp_path / "files").exists()


HOLDS = """
import mmap, subprocess, sys, time
if len(sys.argv) == 2:
    subprocess.run([sys.executable, "-c", *sys.orig_argv[2:], "worker"])
with open(sys.argv[1], "wb+") as file:
    file.write(b"x" * 4096)
    file.flush()
    mapped = mmap.mmap(file.fileno(), 0)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("victim", ["server", "guardian's parent"])
def test_shared_memory_of_a_server_that_is_killed_is_removed(victim):
    """Of vLLM's engine it is hundreds of megabytes."""
    path = Path("/dev/shm", f"harness-test-{uuid.uuid4().hex}")
    guardian = guarded(sys.executable, "-c", HOLDS, str(path))
    try:
        pid = json.loads(guardian.stdout.readline())["pid"]
        assert guardian.stderr.readline() == b"ready\n" and path.exists()
        if victim == "server":
            os.kill(pid, signal.SIGKILL)
            assert json.loads(guardian.stdout.readline()) == {"ended": -signal.SIGKILL}
            assert json.loads(guardian.stdout.readline())["shm_removed"] == [path.name]
        output, _ = guardian.communicate(timeout=WAIT_S)
        assert victim == "server" or messages(output)[-1]["shm_removed"] == [path.name]
        assert not path.exists()
    finally:
        path.unlink(missing_ok=True)
        guardian.kill()
