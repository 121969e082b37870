"""A server as a process: started, watched and ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import EngineError
from harness.serving import ports, process
from harness.serving.process import Launch, ServerProcess, plain_lines, redacted, split_cores

FAKE = [sys.executable, str(Path(__file__).parent / "fake_server.py"), "{port}"]


def launch(*behaviour: str, **fields) -> Launch:
    """A launch of the fake server."""
    return Launch("fake", [*FAKE, *behaviour], "/health", **{"ready_s": 30.0} | fields)


def death(server: ServerProcess) -> str:
    """How a server has ended, once it has."""
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        if reason := server.died():
            return reason
        time.sleep(0.01)
    raise AssertionError("it is alive")


def test_it_is_ready_and_ends_at_sigterm():
    """Without a kill, and nothing is left."""
    server = ServerProcess(launch())
    assert server.died() is None and server.started_s > 0
    assert ports.listens([server.pid], server.port) and str(server.port) in server.url
    facts = server.stop()
    assert not facts["killed"] and "left_processes" not in facts and "shm_removed" not in facts
    assert server.stop() is facts and server.died().startswith("fake was stopped; its last output: ")
    assert not Path(f"/proc/{server.pid}").exists()


def test_one_that_ignores_sigterm_is_killed_with_all_its_workers():
    """After the grace time."""
    server = ServerProcess(launch("stubborn", "workers"))
    pids = server.pids()
    assert len(pids) == 4
    facts = server.stop(0.1)
    assert facts["killed"] and not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_workers_that_stay_are_killed_and_counted(monkeypatch):
    """The server itself has ended at SIGTERM, with the worker in its group."""
    server = ServerProcess(launch("workers"))
    facts = server.stop()
    assert (facts["killed"], facts["left_processes"]) == (False, 2)


def test_its_death_is_noticed_with_its_signal_and_its_last_output():
    """As in the middle of a load."""
    server = ServerProcess(launch())
    os.kill(server.pid, signal.SIGKILL)
    assert death(server) == "fake was killed by SIGKILL, possibly by the system for want of memory; its last output: listening"
    assert not server.stop()["killed"]


def test_the_death_of_the_guardian_is_the_servers():
    """Linux ends the server, we its workers."""
    server = ServerProcess(launch("workers", "stubborn"))
    pids = server.pids()
    os.kill(server._guardian.pid, signal.SIGKILL)
    assert "killed with its guardian" in death(server)
    server.stop()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize(
    ("command", "sentence", "step"),
    [
        (["no-such-program-here", "{port}"], "fake cannot be started: .*No such file", "PATH"),
        (["/", "{port}"], "fake cannot be started: .*Permission denied", "PATH"),
        ([*FAKE, "exits"], "fake exited with code 3 before it was ready; its last output: unknown model architecture\n", "run it yourself"),
        (["true"], "fake exited with code 0 before it was ready; it has printed nothing", "run it yourself"),
        ([*FAKE, "taken"], r"port \d+ is in use: fake exited with code 1", "end the program"),
        ([*FAKE, "key"], "fake asks for an API key", "start it without an API key"),
    ],
)
def test_a_server_that_does_not_start_is_a_sentence(command, sentence, step):
    """With its exit code and its last output, and the next step."""
    with pytest.raises(EngineError, match=sentence) as caught:
        ServerProcess(Launch("fake", command, "/health", ready_s=30))
    assert step in caught.value.hint


@pytest.mark.parametrize(("status", "answer"), [(None, "no answer"), (503, "it answers 503")])
def test_a_server_that_is_never_ready_is_ended(status, answer, monkeypatch):
    """After the time limit, with what it has answered until then."""
    monkeypatch.setattr(process, "_status", lambda port, path: status)
    with pytest.raises(EngineError, match=rf"was not ready after 0.2 s \({answer} at /health\)") as caught:
        ServerProcess(launch("silent", ready_s=0.2))
    assert "ready_s" in caught.value.hint


@pytest.mark.parametrize(("behaviour", "status"), [("loading", 503), ("key", 401)])
def test_a_server_that_loads_is_asked_again(behaviour, status):
    """Its answer is its status."""
    port = ports.free_port()
    with subprocess.Popen([*FAKE[:2], str(port), behaviour], stdout=subprocess.PIPE) as server:
        assert server.stdout.readline()
        assert process._status(port, "/health") == status
        server.kill()


def test_another_port_is_tried_if_one_was_taken_meanwhile(monkeypatch):
    """Between its choice and its use."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        chosen = iter([other.getsockname()[1], ports.free_port()])
        monkeypatch.setattr(process.ports, "free_port", lambda: next(chosen))
        status = process._status
        monkeypatch.setattr(process, "_status", lambda port, path: None if port == other.getsockname()[1] else status(port, path))
        server = ServerProcess(launch(files={"notes": "{port}"}))
        assert server.port != other.getsockname()[1]
        assert Path(server.filled("{folder}/notes")).read_text() == str(server.port)
        server.stop()
        assert not Path(server.filled("{folder}")).exists()


def test_a_port_in_use_is_a_sentence():
    """If it was chosen by the user."""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(EngineError, match=r"port \d+ is in use"):
        ServerProcess(launch(port=other.getsockname()[1]))


def test_another_process_at_the_port_is_not_taken_for_the_server(tmp_path, monkeypatch):
    """Its joules would not be measured."""
    port = str(ports.free_port())
    monkeypatch.setattr(process.ports, "free_port", lambda: int(port))
    with subprocess.Popen([*FAKE[:2], port], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline()
        monkeypatch.setenv("FAKE_PORT_FILE", str(tmp_path / "port"))
        try:
            with pytest.raises(EngineError, match="another process than fake answers") as caught:
                ServerProcess(launch("elsewhere"))
        finally:
            other.kill()
        assert "container" in caught.value.hint


def test_shared_memory_that_it_leaves_is_removed_and_named():
    """It has mapped the file, and nobody else has."""
    server = ServerProcess(launch("shm"))
    name = f"fake-server-{server.pid}"
    assert Path("/dev/shm", name).exists()
    assert server.stop()["shm_removed"] == [name]
    assert not Path("/dev/shm", name).exists()


def test_secrets_are_not_shown():
    """Neither as a value of their own, nor behind an equals sign."""
    command = ["serve", "--api-key", "abc", "--hf-token=def", "HF_TOKEN=ghi", "--port", "{port}", "--keys"]
    assert redacted(command) == "serve --api-key '***' '--hf-token=***' 'HF_TOKEN=***' --port '{port}' --keys"
    assert (
        redacted(["--enable-prompt-tokens-details", "--model", "m", "--api-key", "-x"])
        == "--enable-prompt-tokens-details --model m --api-key '***'"
    )


def test_output_is_shown_without_colours_and_control_characters():
    """A terminal would obey them."""
    assert plain_lines("\x1b[1;31merror\x1b[0m\x07\nnext") == ["error ", "next"]


def test_the_cores_that_the_server_does_not_use_are_the_clients(monkeypatch):
    """None are left if it uses all."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 1, 2})
    assert split_cores(2) == ([1, 2], [3])
    assert split_cores(8) == ([1, 2, 3], [])
