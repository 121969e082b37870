"""`make benchmarks`: every figure, and one table at the end. Names pick some: `python -m benchmarks cost handshake`."""

from __future__ import annotations

import sys

from tabulate import tabulate

from benchmarks import cost, handshake, suite

PARTS = {"handshake": handshake.rows, "cost": cost.rows, "suite": suite.rows}


def main() -> None:
    """Run the parts asked for, all by default."""
    tables = []
    for name in sys.argv[1:] or PARTS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        tables.append(tabulate(PARTS[name](), headers="keys", tablefmt="github"))
    print("\n\n".join(tables))


if __name__ == "__main__":
    main()
