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
from harness.cli.app import EXIT_CODES, REPORTED, app, complain
# isort: on

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["artifacts", "checks", "decisions", "instruments", "machines", "main", "runs", "tables"]


def main() -> None:
    """Run the command line; an error that the user can fix is a sentence, `--debug` shows the traceback."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    _prepare_streams()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    sys.exit(_guarded(arguments or ["--help"], debug=debug))


def _prepare_streams() -> None:
    """Make closed streams and characters that a terminal lacks harmless: neither may end a run of hours."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - as long as the process
        elif isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _guarded(arguments: Sequence[str], *, debug: bool) -> int:
    from typer.exceptions import TyperException

    from harness.errors import HarnessError

    try:
        # Not `app(...)`: it would make its own exit codes of an interruption and of a closed stdout.
        command = typer.main.get_command(app)
        with command.make_context("harness", list(arguments)) as context:
            code = command.invoke(context)
        sys.stdout.flush()
        return int(code or 0)
    except (KeyboardInterrupt, typer.Abort) as stop:
        return _interrupted(stop)
    except BrokenPipeError:  # stdout was closed (EPIPE): the exit code of SIGPIPE, never that of a passed check
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except typer.Exit as leave:
        return leave.exit_code
    except TyperException as error:
        complain(
            error.format_message().removesuffix("."),
            "run `harness --help` or `harness COMMAND --help` for the available commands and options",
        )
        return 2
    except HarnessError as error:
        complain(error.what, error.hint)
        if debug:
            raise
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        complain(f"{type(error).__name__}: {error}", "this is a bug of harness: run again with --debug and report the traceback")
        return 3


@app.callback(invoke_without_command=True, epilog=EXIT_CODES)
def about(version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False) -> None:
    """Energy-aware benchmarking of machine-learning models."""
    if version:
        from harness import __version__

        print(__version__)
        raise typer.Exit


def _interrupted(stop: BaseException) -> int:
    """Exit code of an interrupted command, whose message is printed once."""
    if REPORTED not in getattr(stop, "__notes__", ()):
        print("interrupted: stored data are intact; continue a started run with `harness run --resume RUN`", file=sys.stderr)
    return 130


def _interrupt(number: int, frame: object) -> None:
    """Interrupt once; a second Ctrl-C during the cleanup is ignored."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt
