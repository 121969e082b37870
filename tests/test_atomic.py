"""A file is replaced as a whole, or not at all."""

from __future__ import annotations

import pytest

from harness import atomic
from harness.atomic import replace_file


def test_a_file_gets_its_new_content(tmp_path):
    """Text in UTF-8 or bytes, whether or not it existed; no other file is left."""
    for content, stored in (("µ", "µ".encode()), (b"\0", b"\0")):
        replace_file(tmp_path / "x", content)
        assert (tmp_path / "x").read_bytes() == stored
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_keeps_the_old_content(tmp_path, monkeypatch, failure):
    """Also if the user interrupts it; no other file is left."""
    (tmp_path / "x").write_text("old")

    def fail(_):
        raise failure

    monkeypatch.setattr(atomic.os, "fsync", fail)
    with pytest.raises(type(failure)):
        replace_file(tmp_path / "x", "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("x", "old")]
