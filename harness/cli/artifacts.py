"""`harness cache`: what was built and kept."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from harness.cli.app import EXIT_CODES, app, print_table


@app.command(epilog=EXIT_CODES)
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="remove every artifact that no run uses")] = False,
    trim: Annotated[bool, typer.Option("--trim", help="remove the least recently used until the limit holds")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="clear without asking")] = False,
) -> None:
    """Show what was built and kept, and remove it; $HARNESS_CACHE says where it lies, $HARNESS_CACHE_LIMIT_BYTES how large it may be."""
    from harness.artifacts import Cache
    from harness.errors import HarnessError
    from harness.report.cache import cached, size

    kept = Cache()
    if clear or trim:
        if clear and not yes:
            if not sys.stdin.isatty():
                raise HarnessError("nobody can be asked whether to clear the cache", "say --clear --yes")
            typer.confirm(f"remove everything from {kept.folder} that no run uses?", abort=True, err=True)
        print(f"freed {size(kept.clear() if clear else kept.trim())}")
    entries = kept.entries()
    if entries and not (clear or trim):
        print_table(lambda width: cached(entries))
    used = sum(entry.in_use for entry in entries)
    print(f"{kept.folder}: {len(entries)} artifacts, {size(sum(e.bytes for e in entries))} of at most {size(kept.limit_bytes)}", end="")
    print(f", {used} in use" if used else "")
