"""What is read of a file that a user names, and what is refused with which sentence."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from harness.decide.offers import read_offers
from harness.decide.thresholds import read_thresholds
from harness.errors import HarnessError, SensorError, StoreError, SuiteError
from harness.meters import calibrate
from harness.sensors.replay import VARIABLE, Replay
from harness.store import manifest, read_run
from harness.store.arrays import read_table
from harness.suite.document import read
from harness.userfiles import check_regular, decode, read_bytes, read_text, system_number, system_text

LIMIT = 100


def text_of(path: Path) -> str:
    return read_text(path, "suite", limit_bytes=LIMIT, error=SuiteError)


@pytest.fixture
def special(tmp_path):
    """One path of each sort that is not a regular file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # the path of a socket may have 100 characters at most
        server.bind("socket")
        os.chdir(here)
        yield tmp_path


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pipe", "is a pipe, not a regular file"),
        ("link", "is a link to nowhere, which does not exist"),
        ("loop", "cannot be read: Too many levels of symbolic links"),
        ("folder", "is a folder, not a regular file"),
        ("socket", "is a socket, not a regular file"),
        ("missing", "there is no suite"),
        ("pipe/below", "cannot be read: Not a directory"),
        ("x" * 300, "cannot be read: File name too long"),
        ("null\0", "cannot be read: embedded null"),
        ("/dev/zero", "is a character device, not a regular file"),
    ],
)
def test_what_is_no_regular_file_is_a_sentence(special, name, sentence):
    """A pipe nobody writes to does not block, an endless device is not read, and every message names a next step."""
    with pytest.raises(SuiteError, match=sentence) as caught:
        text_of(special / name)
    assert caught.value.hint and caught.value.exit_code == 2


def test_a_link_to_a_regular_file_is_read(tmp_path):
    """Many people keep their suites as links."""
    (tmp_path / "suite").write_text("name: x")
    (tmp_path / "link").symlink_to("suite")
    assert text_of(tmp_path / "link") == "name: x"
    assert check_regular(tmp_path / "link", "suite", limit_bytes=LIMIT) == tmp_path / "link"


def test_the_limit_is_the_last_size_that_is_read(tmp_path):
    """One byte more is refused, in units that people use; so is a sparse file of a terabyte, at once."""
    path = tmp_path / "suite"
    path.write_bytes(b"x" * LIMIT)
    assert len(text_of(path)) == LIMIT
    path.write_bytes(b"x" * (LIMIT + 1))
    with pytest.raises(SuiteError, match="is larger than"):
        text_of(path)
    os.truncate(path, 2**40)
    with pytest.raises(HarnessError, match="larger than 2 GiB, the limit of a meter log"):
        check_regular(path, "meter log", limit_bytes=2**31)


def test_a_file_that_reports_no_size_is_read_to_the_limit_only():
    """Files under /proc report 0 bytes and may be endless."""
    with pytest.raises(HarnessError, match="larger than"):
        read_bytes(Path("/proc/self/status"), "log", limit_bytes=LIMIT)


def test_a_read_that_fails_is_a_sentence():
    """EIO: the start of a process's memory cannot be read."""
    with pytest.raises(HarnessError, match="cannot be read: Input/output error"):
        read_bytes(Path("/proc/self/mem"), "log", limit_bytes=LIMIT)


def test_a_file_without_permission_is_an_error(tmp_path, monkeypatch):
    """As root no file mode is an obstacle, so the refusal is made here."""
    path = tmp_path / "suite"
    path.write_text("x")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SuiteError, match="cannot be read: Permission denied") as caught:
        text_of(path)
    assert "ls -l" in caught.value.hint


@pytest.mark.parametrize(
    ("data", "sentence", "hint"),
    [
        ("name: x".encode("utf-16"), "is text in UTF-16", "iconv -f UTF-16"),
        ("name: x".encode("utf-16-le"), "holds a null byte at byte 1", "UTF-8"),
        ("name: é".encode("latin-1"), "not text in UTF-8: unexpected end of data at byte 6", "LATIN1"),
        (b"PK\3\4\0\0", "is not text: it holds a null byte", "another file"),
    ],
)
def test_another_encoding_is_named(data, sentence, hint):
    """With the command that converts it where that is known."""
    with pytest.raises(SuiteError, match=sentence) as caught:
        decode(data, Path("s.yaml"), error=SuiteError)
    assert hint in caught.value.hint


def test_a_byte_order_mark_is_no_part_of_the_text():
    """Windows editors write one before UTF-8."""
    assert decode("name: é".encode("utf-8-sig"), Path("s.yaml")) == "name: é"


@pytest.mark.parametrize(("reader", "noun"), [(read, "suite"), (read_thresholds, "file of thresholds"), (read_offers, "file of offers")])
def test_suites_thresholds_and_offers_are_regular_files(special, reader, noun):
    """Each names what it should have been."""
    with pytest.raises(SuiteError, match="is a pipe, not a regular file") as caught:
        reader(special / "pipe")
    assert noun in caught.value.hint
    with pytest.raises(SuiteError, match="is a character device"):
        reader(Path("/dev/zero"))
    (special / "big").touch()
    os.truncate(special / "big", 2**40)
    with pytest.raises(SuiteError, match=f"larger than 1 MiB, the limit of a {noun}"):
        reader(special / "big")


def test_a_missing_suite_offers_the_nearest_name(tmp_path):
    """As before; a folder offers what is in it, and a path that can be none is a sentence."""
    (tmp_path / "digits.yaml").write_text("")
    for name, what in (("digit.yaml", "there is no suite"), ("", "is a folder")):
        with pytest.raises(SuiteError, match=what) as caught:
            read(tmp_path / name)
        assert "digits.yaml" in caught.value.hint
    with pytest.raises(SuiteError, match="too long"):
        read(tmp_path / ("x" * 300))


def test_files_of_a_run_are_regular(tmp_path):
    """A run folder from elsewhere blocks neither its reader nor verify."""
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(StoreError, match=r"run\.json is a pipe"):
        read_run(tmp_path)
    with pytest.raises(StoreError, match=r"run\.json is a pipe"):
        read_table(tmp_path / "run.json")
    with pytest.raises(OSError, match="not a regular file"):
        manifest.entry(tmp_path / "run.json")
    os.mkfifo(tmp_path / manifest.NAME)
    assert manifest.differences(tmp_path)[1] == {manifest.NAME: "is damaged: the harness did not write it in this form"}


def test_a_calibration_is_a_regular_file(special):
    """Whatever is in the folder that HARNESS_CALIBRATION names."""
    (special / "pipe").rename(special / "c.json")
    with pytest.raises(HarnessError, match=r"c\.json is a pipe"):
        calibrate.read_all(special)


def test_a_trace_to_replay_is_a_regular_file(special, monkeypatch):
    """HARNESS_REPLAY may name anything."""
    monkeypatch.setenv(VARIABLE, str(special / "pipe"))
    with pytest.raises(SensorError, match="is a pipe, not a regular file"):
        Replay().open()
    traces = special / "traces"
    traces.mkdir()
    (traces / "a.parquet").touch()
    os.mkfifo(special / "run.json")
    monkeypatch.setenv(VARIABLE, str(traces / "a.parquet"))
    with pytest.raises(SensorError, match=r"run\.json is a pipe"):
        Replay().open()


def test_a_file_of_the_system_that_cannot_be_read_is_empty(tmp_path):
    """It may be missing, a folder, or not UTF-8."""
    (tmp_path / "text").write_bytes(b" performance\xff\n")
    assert system_text(tmp_path / "text") == "performance\ufffd"
    assert system_text(tmp_path) == system_text(tmp_path / "missing") == ""


def test_a_number_of_the_system_is_that_of_its_field(tmp_path):
    """None without the field or the file, never 0."""
    (tmp_path / "status").write_text("VmHWM:\t  1024 kB\nVmRSS:\t 512 kB\n")
    assert system_number(tmp_path / "status", "VmRSS:") == 512
    assert system_number(tmp_path / "status", "Tgid:") is system_number(tmp_path / "missing", "Tgid:") is None
