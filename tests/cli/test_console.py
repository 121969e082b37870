"""Lines, tables, warnings and errors."""

from __future__ import annotations

import os

import pytest
from rich.cells import cell_len
from rich.table import Table

from harness.cli.console import print_error, print_line, print_table, warn


def test_a_line_is_wrapped_and_indented_on_a_terminal(monkeypatch, capsys):
    """No word is torn, each line has the prefix, and control characters are removed; a pipe gets the line whole."""
    line = "choice     dense \x1b[31m is better than " + "others " * 10
    print_line(line)
    assert capsys.readouterr().out == line.replace("\x1b", " ") + "\n"
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_line(line, prefix="[X] ")
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("[X] choice     dense") and len(others) > 2
    assert all(len(each) <= 40 and each.startswith("[X]" + " " * 12) and each[15] != " " for each in others)
    for line in ("/a/path/" + "that/is/longer/" * 5, "  case   " + "a/long/name/" * 5):
        print_line(line)
        assert capsys.readouterr().out == f"{line}\n"
    print_line("note   [bold]1,2[/] :smile: " + "模型" * 3 + " 模型" * 30)  # no markup, no emoji; two columns a character
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("note   [bold]1,2[/] :smile: ") and len(others) > 2
    assert all(cell_len(each) <= 40 and each.startswith(" " * 7 + "模") for each in others)
    for line in ("", "  ", "label  ", "word", " " * 60):
        print_line(line, prefix="[X] ")
        assert capsys.readouterr().out.rstrip() == f"[X] {line}".rstrip()


def test_a_table_is_as_wide_as_the_terminal(monkeypatch, capsys):
    """In a pipe 140 columns."""
    widths = []
    monkeypatch.setenv("COLUMNS", "40")
    for terminal in (False, True):
        monkeypatch.setattr("sys.stdout.isatty", lambda terminal=terminal: terminal)
        print_table(lambda width: widths.append(width) or Table("heading"))
        assert "heading" in capsys.readouterr().out
    assert widths == [140, 40]


def test_a_table_into_a_closed_pipe_raises(monkeypatch):
    """BrokenPipeError, which becomes the exit code of SIGPIPE; Rich by itself would exit with 1."""
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError), os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        print_table(lambda width: Table(title="x" * width))
        stdout.flush()


def test_errors_and_warnings_go_to_stderr(capsys):
    """An error with its hint below, each line on a line of its own; control characters are removed."""
    print_error("a\x1b[31m", "first\n  second")
    warn("b\x07")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: a [31m\n  first\n    second\nwarning: b \n"
