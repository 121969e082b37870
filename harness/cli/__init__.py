"""The command line: parses, calls, prints; the only printer and the only exit. A file of commands per question, `app` what they share."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# `--help` lists the commands in the order in which they are imported here.
# isort: off
from harness.cli import runs, tables, decisions, machines, checks, instruments, artifacts
from harness.cli.app import EXIT_CODES, TOLD, app, complain
# isort: on

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["artifacts", "checks", "decisions", "instruments", "machines", "main", "runs", "tables"]


def main() -> None:
    """Run the command line; every error a person can mend is a sentence, `--debug` shows the traceback."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    _mend_streams()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    sys.exit(_guarded(arguments or ["--help"], debug=debug))


def _mend_streams() -> None:
    """Neither a closed stream nor a terminal that lacks a letter ends a run that has measured for hours."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - as long as the process
        elif isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _guarded(arguments: Sequence[str], *, debug: bool) -> int:
    from typer.exceptions import TyperException

    from harness.errors import HarnessError

    try:
        # Not `app(...)`: it would make exit codes of its own of an interruption and of a reader that has had enough.
        command = typer.main.get_command(app)
        with command.make_context("harness", list(arguments)) as context:
            code = command.invoke(context)
        sys.stdout.flush()
        return int(code or 0)
    except (KeyboardInterrupt, typer.Abort) as stop:
        return _interrupted(stop)
    except BrokenPipeError:  # the reader of our output has had enough: as every program that SIGPIPE ends, and never the pass of a check
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except typer.Exit as leave:
        return leave.exit_code
    except TyperException as error:
        complain(error.format_message().removesuffix("."), "`harness --help`, or `harness COMMAND --help`, says what there is")
        return 2
    except HarnessError as error:
        complain(error.what, error.hint)
        if debug:
            raise
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        complain(f"{type(error).__name__}: {error}", "this is a bug of the harness; run it again with --debug and report what it says")
        return 3


@app.callback(invoke_without_command=True, epilog=EXIT_CODES)
def about(version: Annotated[bool, typer.Option("--version", help="print the version and leave")] = False) -> None:
    """Energy-aware benchmarking of machine-learning models."""
    if version:
        from harness import __version__

        print(__version__)
        raise typer.Exit


def _interrupted(stop: BaseException) -> int:
    """The exit code of a command that was interrupted, told once."""
    if TOLD not in getattr(stop, "__notes__", ()):
        print("interrupted: what is stored is intact; a run that had begun goes on with `harness run --resume RUN`", file=sys.stderr)
    return 130


def _interrupt(number: int, frame: object) -> None:
    """Once is enough: a second Ctrl-C while we put things away is ignored."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt
