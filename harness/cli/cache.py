"""`harness cache`: list and remove cached build artifacts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from harness.cli.app import EXIT_CODES, app
from harness.cli.console import print_table


@app.command(epilog=EXIT_CODES)
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="remove all artifacts that no run uses")] = False,
    trim: Annotated[bool, typer.Option("--trim", help="remove the least recently used artifacts until the size limit is met")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="with --clear: do not ask for confirmation")] = False,
) -> None:
    """List or remove cached build artifacts.

    $HARNESS_CACHE sets the folder of the cache, $HARNESS_CACHE_LIMIT_BYTES its maximum size (default: 20 GiB).
    """
    from harness.artifacts import Cache
    from harness.errors import HarnessError
    from harness.report.cache import cached, size

    store = Cache()
    if clear or trim:
        if clear and not yes:
            if not sys.stdin.isatty():
                raise HarnessError("clearing the cache needs a confirmation, and stdin is not a terminal", "use --clear --yes")
            typer.confirm(f"remove everything from {store.folder} that no run uses?", abort=True, err=True)
        print(f"freed {size(store.clear() if clear else store.trim())}")
    entries = store.entries()
    if entries and not (clear or trim):
        print_table(lambda width: cached(entries))
    in_use = sum(entry.in_use for entry in entries)
    total = f"{len(entries)} artifacts, {size(sum(e.bytes for e in entries))} of at most {size(store.limit_bytes)}"
    print(f"{store.folder}: {total}{f', {in_use} in use' if in_use else ''}")
