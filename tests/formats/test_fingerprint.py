"""Hash and size of files and folders."""

from __future__ import annotations

import hashlib

from harness.formats.fingerprint import fingerprint


def test_a_file_has_the_hash_of_its_content(tmp_path):
    """Its name does not count."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"content")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b") == (hashlib.sha256(b"content").hexdigest(), 7)


def test_a_folder_has_the_hash_of_its_names_and_contents(tmp_path):
    """In any order of creation, in subfolders and behind links too; a file that is renamed or moved changes it."""
    for folder, order in (("one", ("x", "y")), ("two", ("y", "x"))):
        (tmp_path / folder / "sub").mkdir(parents=True)
        for name in order:
            (tmp_path / folder / "sub" / name).write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    before = fingerprint(tmp_path / "one")
    assert before == fingerprint(tmp_path / "two") == fingerprint(tmp_path / "link") and before.bytes == 2
    (tmp_path / "two" / "sub" / "x").rename(tmp_path / "two" / "x")
    assert fingerprint(tmp_path / "two").sha256 != before.sha256
