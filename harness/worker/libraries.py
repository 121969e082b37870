"""Child process: prints the versions of the libraries on which what an engine prepares depends, as JSON."""

from __future__ import annotations

import json
import sys

from harness import plugins


def main() -> None:
    """Print what `Engine.libraries` of the engine named by the argument returns."""
    print(json.dumps(dict(plugins.load("engines", sys.argv[1]).libraries())))


if __name__ == "__main__":
    main()
