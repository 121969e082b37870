"""The parent's end of the pipes, with children that break the protocol."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from harness.channel import MAX_LINE_BYTES, TAIL_BYTES, Child, Request
from harness.errors import WorkerError
from harness.schema.worker import Done
from tests.tasks import child_task


def scripted(folder: Path, code: str) -> Child:
    """A child that runs the code given; `send` writes to the parent."""
    prelude = "import os, subprocess, sys, time\ndef send(data): os.write(int(sys.argv[2]), data)\n"
    (folder / "scripted.py").write_text(prelude + code)
    return Child(Request("scripted", child_task(), environment={"PYTHONPATH": str(folder)}))


@pytest.fixture
def start(tmp_path):
    """Starts one, which is gone afterwards."""
    begun: list[Child] = []

    def started(code: str) -> Child:
        begun.append(scripted(tmp_path, code))
        return begun[-1]

    yield started
    for child in begun:
        child.end()


def test_a_message_that_comes_in_pieces_is_one(start):
    """Two at once are two; what is not whole yet is waited for, and no longer than asked."""
    child = start(
        'send(b\'{"kind": "done", "n": 1}\\n{"kind": "done", "n": 2}\\n{"ki\'); sys.stdin.read(); time.sleep(0.3); send(b\'nd": "done", "n": 3}\\n\'); time.sleep(60)'
    )
    assert [child.receive(10), child.receive(10)] == [Done(n=1), Done(n=2)]
    assert child.receive(0.0) is None
    assert child.receive(10) == Done(n=3)


@pytest.mark.parametrize(
    "noise",
    [b"Loading weights...", b"[1]", b'{"t_s": 1}', b'{"kind": 1}', b'{"kind": "done"}', b'{"kind": "more", "seconds": 1}', b"\xff\xfe"],
)
def test_anything_but_a_message_is_quoted_in_the_error(start, noise):
    """Something in the child wrote where it should not."""
    with pytest.raises(WorkerError, match="not a message") as caught:
        start(f"send({noise!r} + bytes([10]))").receive(10)
    assert repr(noise)[2:-1] in str(caught.value)


def test_a_message_without_an_end_is_not_collected_for_ever(start):
    """Its length has a bound."""
    child = start("while True: send(b'x' * 65536)")
    with pytest.raises(WorkerError, match="more than 4 MiB"):
        child.receive(30)
    assert len(child._buffer) <= MAX_LINE_BYTES + 65536


def test_a_child_that_has_left_is_an_end_of_file(start):
    """With its exit code, and the end of what it printed."""
    child = start(f"print('early' + '.' * {TAIL_BYTES}); print('late'); sys.exit(3)")
    with pytest.raises(EOFError):
        child.receive(10)
    assert child.exit_code(10) == 3
    assert child.tail.endswith("late\n")
    assert "early" not in child.tail


def test_a_child_imports_nothing_from_the_current_folder(tmp_path, monkeypatch):
    """A user's queue.py is not Python's, nor is their code run by what only measures it."""
    (tmp_path / "queue.py").write_text("raise SystemExit('run')")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path").mkdir()
    child = scripted(tmp_path / "path", 'import queue; send(b\'{"kind": "done", "n": 7}\\n\'); time.sleep(60)')
    assert child.receive(10) == Done(n=7)
    child.end()


def test_whatever_a_child_started_ends_with_it(tmp_path):
    """An engine's own processes would go on burning energy in the next case's window."""
    code = """
started = subprocess.Popen(["sleep", "60"])
send(b'{"kind": "hello", "pid": %d}\\n' % started.pid)
time.sleep(60)
"""
    child = scripted(tmp_path, code)
    hello = child.receive(10)
    assert hello
    offspring = psutil.Process(hello.pid)
    child.end()
    until_s = time.monotonic() + 10
    while offspring.is_running() and offspring.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until_s
        time.sleep(0.01)
