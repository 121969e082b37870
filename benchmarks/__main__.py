"""`make benchmarks`: every figure, and one table at the end. Names pick some: `python -m benchmarks windows coverage`."""

from __future__ import annotations

import importlib
import sys

from tabulate import tabulate

# Each a module of its own with `rows`: energy against the truth first, then the statistics, then the costs.
PARTS = (
    "windows",
    "cards",
    "part_time",
    "meters",
    "peers",
    "overhead",
    "coverage",
    "winners",
    "open_pairs",
    "decisions",
    "tables",
    "gate",
    "cost",
    "tools",
    "suite",
    "optimisations",
)


def main() -> None:
    """Run the parts asked for, all by default."""
    if unknown := [name for name in sys.argv[1:] if name not in PARTS]:
        sys.exit(f"error: no part is named {', '.join(unknown)}; there is: {', '.join(PARTS)}")
    tables = []
    for name in sys.argv[1:] or PARTS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        tables.append(tabulate(importlib.import_module(f"benchmarks.{name}").rows(), headers="keys", tablefmt="github"))
    print("\n\n".join(tables))


if __name__ == "__main__":
    main()
