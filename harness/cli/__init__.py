"""The command line: parse the arguments, call the package, print the results. Only this package ends the process."""

from harness.cli.entry import main

__all__ = ["main"]
