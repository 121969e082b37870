"""Files stored without a second copy of their content."""

from __future__ import annotations

import errno

import pytest

from harness.formats import linking
from harness.formats.linking import store_file


@pytest.fixture
def source(tmp_path):
    """A file, and a link to it."""
    path = tmp_path / "source"
    path.write_bytes(b"weights")
    (tmp_path / "link").symlink_to(path)
    return path


def test_without_clones_it_is_a_hard_link_of_the_file_itself(tmp_path, source, monkeypatch):
    """Not a link to a link."""
    monkeypatch.setattr(linking, "_cloned", lambda *_: False)
    store_file(tmp_path / "link", tmp_path / "target")
    assert source.samefile(tmp_path / "target") and not (tmp_path / "target").is_symlink()


def test_on_another_file_system_it_is_copied(tmp_path, source, monkeypatch):
    """The content is the same, the file another one."""

    def refuse(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(linking.os, "link", refuse)
    store_file(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"weights" and not source.samefile(tmp_path / "target")


def test_a_failed_clone_leaves_nothing(tmp_path, source, monkeypatch):
    """So that a link can take its place."""

    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(linking.fcntl, "ioctl", refuse)
    store_file(source, tmp_path / "target")
    assert source.samefile(tmp_path / "target")


def test_an_existing_target_is_not_overwritten(tmp_path, source):
    """It is an error of the caller."""
    (tmp_path / "target").write_bytes(b"other")
    with pytest.raises(FileExistsError):
        store_file(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"other"
