"""Files are replaced completely or left as they were; older ones are upgraded."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.schema import OBJECTIVES, SCHEMA_VERSION
from harness.store import (
    migrate,
    read_objectives,
    write_atomically,
    write_output,
)
from harness.store.files import write_error


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    """A failed write leaves the old content and no other file."""
    path = tmp_path / "x"
    write_atomically(path, "old")

    def broken(handle):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StoreError):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_rights_that_the_user_gives_and_takes_none_to_write(tmp_path, monkeypatch):
    """By the umask; a file system without rights, such as FAT, refuses a change of them."""
    for refusing in (os, Path):
        monkeypatch.setattr(refusing, "chmod", lambda *_, **__: pytest.fail("rights were changed"))
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "x", "µ")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "x").read_bytes() == "µ".encode()


def test_an_output_is_written_through_a_link_and_into_a_device(tmp_path):
    """The link stays; a file that cannot be written is an error with the next step."""
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_output(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "new"
    write_output(Path("/dev/null"), "gone")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(StoreError, match="cannot be written") as caught:
        write_output(tmp_path / "missing" / "x", "new")
    assert "give another path" in caught.value.hint


@pytest.mark.parametrize(("code", "exit_code"), [(errno.ENOSPC, 3), (errno.EDQUOT, 3), (errno.EACCES, 2)])
def test_a_full_disk_can_be_resumed(tmp_path, code, exit_code):
    """It has the exit code of a run that is incomplete; other errors are wrong input."""
    error = write_error(tmp_path, OSError(code, os.strerror(code)))
    assert error.exit_code == exit_code
    assert ("--resume" in error.hint) == (exit_code == 3)


def test_objectives_of_an_older_run_are_read(tmp_path):
    """From its `fronts.json`; the defaults without one, an error if it is damaged."""
    assert read_objectives(tmp_path) == OBJECTIVES
    (tmp_path / "fronts.json").write_text("{}")
    with pytest.raises(StoreError, match="contains no objectives"):
        read_objectives(tmp_path)


def test_a_newer_version_is_refused():
    """An older one is upgraded, and what is not an object is left to its reader."""
    with pytest.raises(StoreError, match="newer harness"):
        migrate({"schema_version": SCHEMA_VERSION + 1})
    assert migrate({"schema_version": SCHEMA_VERSION}) == {"schema_version": SCHEMA_VERSION}
    assert migrate([]) == []
