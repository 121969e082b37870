"""Benchmarks of the harness itself, as tables. `python -m benchmarks windows coverage` runs some of them, `make benchmarks` all."""

from __future__ import annotations

import importlib
import sys

from tabulate import tabulate

# Modules with a function `rows`: energy against the truth first, then the statistics, then the costs.
PARTS = (
    "windows",
    "cards",
    "part_time",
    "meters",
    "peers",
    "real_card",
    "overhead",
    "coverage",
    "winners",
    "open_pairs",
    "decisions",
    "tables",
    "gate",
    "cost",
    "in_flight",
    "serving",
    "aiperf",
    "tokens",
    "tools",
    "suite",
    "optimisations",
    "pytorch",
)


def main() -> None:
    """Run the parts given as arguments, all by default."""
    if unknown := [name for name in sys.argv[1:] if name not in PARTS]:
        sys.exit(f"error: unknown part: {', '.join(unknown)}\nchoose from: {', '.join(PARTS)}")
    tables = []
    for name in sys.argv[1:] or PARTS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        tables.append(tabulate(importlib.import_module(f"benchmarks.{name}").rows(), headers="keys", tablefmt="github"))
    print("\n\n".join(tables))


if __name__ == "__main__":
    main()
