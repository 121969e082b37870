"""Duration of the digits suite: with an empty cache, then by profile with the artifacts built."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.cost import Row, row

GOALS = {"quick": "<= 4 min", "standard": "<= 12 min"}


def rows(profiles: tuple[str, ...] = ("quick", "standard")) -> list[Row]:
    """Wall times of the commands."""
    command = str(Path(sys.executable).parent / "harness")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "HARNESS_CACHE": f"{folder}/cache"}

        def minutes(profile: str) -> float:
            began_s = time.monotonic()
            argv = [command, "run", "suites/digits.yaml", "--profile", profile, "--results", f"{folder}/results"]
            subprocess.run(argv, check=True, env=environment, stdout=subprocess.DEVNULL)
            return (time.monotonic() - began_s) / 60

        cold = minutes("quick")
        warm = {profile: minutes(profile) for profile in profiles}
    return [
        *(row(f"digits suite, {profile}, artifacts built", GOALS[profile], f"{spent:.1f} min") for profile, spent in warm.items()),
        row("digits suite, quick, empty cache", "reported", f"{cold:.1f} min, of which builds {cold - warm['quick']:.1f}"),
    ]
