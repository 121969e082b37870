"""Processes of a server are found by descent and by a mark, and ended."""

import os
import signal
import subprocess
import sys
import time

import pytest

from harness.serving import processes
from harness.serving.processes import Process

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def table_of(*parents: tuple[int, int]) -> dict[int, Process]:
    """A table of processes from pairs of id and parent."""
    return {pid: Process(pid, parent, pid, pid, 0) for pid, parent in parents}


def test_descendants_are_found_over_generations():
    """Not the process itself, nor its siblings; a loop of stale entries ends."""
    assert processes.descendants({2}, table_of((2, 1), (3, 2), (4, 3), (5, 1))) == {3, 4}
    assert processes.descendants({2}, table_of((3, 2), (2, 3))) == {2, 3}


def test_the_table_has_this_process():
    """With its parent, group and session."""
    own = processes.table()[os.getpid()]
    assert (own.parent, own.group, own.session) == (os.getppid(), os.getpgrp(), os.getsid(0))
    assert own.started > 0


def test_a_name_with_spaces_and_parentheses_is_read(tmp_path):
    """The kernel prints it as it is."""
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "600"]) as child:
        assert processes.table()[child.pid].parent == os.getpid()
        child.kill()


def test_a_mark_is_inherited_and_found():
    """Also in a session of its own; another value is another server's. The kernel shows the environment shortly after the start."""
    mark = f"mine-{os.getpid()}"
    environment = {**os.environ, processes.MARK: mark}
    with subprocess.Popen(SLEEP, env=environment, start_new_session=True) as child:
        try:
            until_s = time.monotonic() + 10.0
            while not processes.marked(mark, table := processes.table()) and time.monotonic() < until_s:
                time.sleep(0.01)
            assert processes.marked(mark, table) == {child.pid}
            assert processes.marked(mark[:-1], table) == set()
        finally:
            child.kill()


def test_an_ended_process_is_not_alive():
    """A zombie is left out of the table."""
    with subprocess.Popen(["true"]) as child:
        until_s = time.monotonic() + 30
        while child.pid in processes.table() and time.monotonic() < until_s:
            time.sleep(0.01)
        assert child.pid not in processes.table()


def test_processes_that_start_others_are_killed_until_none_is_left():
    """Whatever appears between two looks."""
    started = [subprocess.Popen(SLEEP)]

    def left() -> set[int]:
        if len(started) == 1:
            started.append(subprocess.Popen(SLEEP))
        return {child.pid for child in started if child.poll() is None}

    assert processes.kill_all(left) == {child.pid for child in started}
    assert [child.wait() for child in started] == [-signal.SIGKILL] * 2


def test_killing_ends_in_time_although_a_process_stays():
    """One that waits for a device cannot be killed."""
    assert processes.kill_all(lambda: {2**22 + 1}, limit_s=0.01) == set()


@pytest.mark.parametrize(("code", "expected"), [("import sys; sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", -9)])
def test_the_end_of_children_is_collected(code, expected):
    """With the exit code, negative for a signal; in a process of its own, since other tests have children too."""
    script = f"""
import subprocess, sys, time
from harness.serving import processes
child = subprocess.Popen([sys.executable, "-c", {code!r}])
ended = {{}}
while child.pid not in ended:
    ended.update(processes.reap())
print(ended[child.pid], list(processes.reap()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(expected), "[]"]
