"""Exit codes, errors, signals and the help of the command line."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
import typer

from harness.cli.app import app
from harness.cli.entry import prepare_streams, run_command
from tests import tiny
from tests.cli.helpers import HARNESS, assert_error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "none.yaml"], ["no suite none.yaml"]),
        (["run"], ["no suite given"]),
        (["run", "suite.yaml", "--profile", "quik"], ["did you mean 'quick'"]),
        (["run", "suite.yaml", "--window", "0"], ["--window 0 is out of range"]),
        (["run", "suite.yaml", "--window", "nan"], ["--window nan is out of range"]),
        (["run", "suite.yaml", "--device", "gpuu"], ["did you mean 'gpu'"]),
        (["run", "suite.yaml", "--results", "suite.yaml/x"], ["cannot be written", "--results"]),
        (["run", "suite.yaml", "--country", "Atlantis"], ["ATLANTIS", "ISO 3166"]),
        (["run", "--resume", "none"], ["no run 'none'"]),
        (["plan", "bad.yaml"], ["bad.yaml:3", "variannts"]),
        (["plan"], ["SUITE"]),
        (["report", "none"], ["no run 'none'"]),
        (["export", "none"], ["no run 'none'"]),
        (["exprt"], ["exprt"]),
        (["plan", "--nope"], ["--nope"]),
    ],
)
def test_invalid_input_is_an_error_with_exit_code_2(harness, tmp_path, arguments, words):
    """What is wrong, and how to fix it."""
    tiny.write(tmp_path)
    (tmp_path / "bad.yaml").write_text("name: x\nmodels: [digits-cnn]\nvariannts: []\nmatrices: [{engines: [litert]}]\n")
    assert_error(harness(*arguments), 2, *words)


def test_an_interruption_exits_with_130(harness, monkeypatch):
    """Without a traceback."""

    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.plugins.catalogue", stop)
    done = harness("schema")
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted: stored data are intact")


def test_a_closed_stdout_exits_like_sigpipe(environment):
    """`harness schema | head -1` prints no error, and exits with 141: a check that was cut short has not passed."""
    with subprocess.Popen([*HARNESS, "schema"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_closed_streams_and_missing_characters_do_not_end_the_process(monkeypatch):
    """Results are printed as far as possible."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stderr", None)
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    prepare_streams()
    print("20 µJ", flush=True)
    print("lost", file=sys.stderr)
    sys.stderr.close()
    assert written.getvalue() == b"20 \\xb5J\n"


def test_a_bug_is_an_error_with_exit_code_3(monkeypatch, capsys):
    """With --debug it raises."""

    def fail() -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("harness.plugins.catalogue", fail)
    assert run_command(["schema"]) == 3
    assert capsys.readouterr().err.startswith("error: ZeroDivisionError: division by zero\n  this is a bug of harness")
    with pytest.raises(ZeroDivisionError):
        run_command(["schema"], debug=True)


def test_the_version_is_that_of_the_package(harness):
    """The output contains only the version."""
    from harness import __version__

    assert harness("--version").stdout == f"{__version__}\n"


def test_the_help_shows_each_line_whole(harness, monkeypatch):
    """In 80 columns; the description of a command is shorter than 60 characters, and every option has a help text."""
    monkeypatch.setenv("COLUMNS", "80")
    done = harness("--help")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) > 20 and max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...")]
    commands = typer.main.get_command(app).commands
    assert not [name for name, command in commands.items() if len((command.help or "").split("\n")[0]) >= 60]
    assert not [(name, p.name) for name, command in commands.items() for p in command.params if not getattr(p, "help", "")]
