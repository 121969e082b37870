"""Files in /dev/shm: removed if only the server used them, else named."""

import os
import subprocess
import sys

import pytest

from harness.serving import shared_memory
from harness.serving.shared_memory import SharedMemory

MAPS = """
import mmap, sys, time
file = open(sys.argv[1], "r+b")
mapped = mmap.mmap(file.fileno(), 0)
file.close()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in place of /dev/shm, in which a file was before."""
    monkeypatch.setattr(shared_memory, "FOLDER", tmp_path)
    (tmp_path / "before").write_bytes(b"x" * 4096)
    return tmp_path


def test_a_file_that_only_the_server_used_is_removed(folder):
    """One that was there before stays, although the server has mapped it."""
    memory = SharedMemory()
    (folder / "own").write_bytes(b"x" * 4096)
    users = [subprocess.Popen([sys.executable, "-c", MAPS, folder / name], stdout=subprocess.PIPE) for name in ("own", "before")]
    for user in users:
        assert user.stdout.readline()
    memory.note([user.pid for user in users])
    for user in users:
        user.kill()
        user.communicate()
    assert memory.clean() == (["own"], [])
    assert [path.name for path in folder.iterdir()] == ["before"]


def test_a_file_of_unknown_origin_is_named_and_kept(folder):
    """It may be another program's."""
    memory = SharedMemory()
    (folder / "psm_1234").write_bytes(b"")
    assert memory.clean() == ([], ["psm_1234"])
    assert (folder / "psm_1234").exists()


def test_a_file_in_use_is_neither_removed_nor_named(folder):
    """Another process that is alive has it open."""
    memory = SharedMemory()
    with (folder / "shared").open("wb"):
        memory.note([os.getpid()])
        assert memory.clean() == ([], [])


def test_nothing_new_is_nothing_left(folder):
    """As with most servers."""
    assert SharedMemory().clean() == ([], [])


def test_a_system_without_the_folder_has_none(monkeypatch, tmp_path):
    """And no error."""
    monkeypatch.setattr(shared_memory, "FOLDER", tmp_path / "missing")
    assert SharedMemory().clean() == ([], [])
