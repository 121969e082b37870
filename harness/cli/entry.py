"""`harness`: run one command and turn its errors into messages and exit codes."""

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
from harness.cli import runs, tables, decisions, checks, instruments, cache  # noqa: F401 - each registers its commands
from harness.cli.app import EXIT_CODES, REPORTED, app
from harness.cli.console import print_error
# isort: on

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Run the command line and exit; with `--debug` an error shows its traceback."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    prepare_streams()
    for name in SIGNALS:
        signal.signal(name, _interrupt)
    sys.exit(run_command(arguments or ["--help"], debug="--debug" in sys.argv))


def prepare_streams() -> None:
    """Keep a closed stream, or a character that the terminal's encoding lacks, from ending the process."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - open as long as the process
        elif isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run_command(arguments: Sequence[str], *, debug: bool = False) -> int:
    """Exit code of a command; its errors are printed.

    Args:
        arguments: The command and its arguments.
        debug: Raise errors instead of printing them.
    """
    from typer.exceptions import TyperException

    from harness.errors import HarnessError

    try:
        # Not `app(...)`, which uses other exit codes for an interruption and for a closed stdout.
        command = typer.main.get_command(app)
        with command.make_context("harness", list(arguments)) as context:
            code = command.invoke(context)
        sys.stdout.flush()
        return int(code or 0)
    except (KeyboardInterrupt, typer.Abort) as stop:
        if REPORTED not in getattr(stop, "__notes__", ()):
            print("interrupted: stored data are intact; continue a started run with `harness run --resume RUN`", file=sys.stderr)
        return 130
    except BrokenPipeError:  # stdout was closed (EPIPE): exit as after SIGPIPE, not as after a passed check
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except typer.Exit as leave:
        return leave.exit_code
    except TyperException as error:
        print_error(
            error.format_message().removesuffix("."),
            "run `harness --help` or `harness COMMAND --help` for the available commands and options",
        )
        return 2
    except HarnessError as error:
        print_error(error.what, error.hint)
        if debug:
            raise
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        print_error(f"{type(error).__name__}: {error}", "this is a bug of harness: run again with --debug and report the traceback")
        return 3


@app.callback(invoke_without_command=True, epilog=EXIT_CODES)
def about(version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False) -> None:
    """Energy-aware benchmarking of machine-learning models."""
    if version:
        from harness import __version__

        print(__version__)
        raise typer.Exit


def _interrupt(number: int, frame: object) -> None:
    """Interrupt once; a further signal during the cleanup is ignored."""
    for name in SIGNALS:
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt
