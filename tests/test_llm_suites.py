"""The suites of language models: what `plan` prints of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.helpers import HARNESS

SUITES = Path(__file__).parent.parent / "suites"


def planned(tmp_path, name, *options):
    """Lines of `plan`."""
    command = [*HARNESS, "plan", str(SUITES / f"{name}.yaml"), *options]
    environment = {**os.environ, "COLUMNS": "120", "HARNESS_CACHE": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("name", "minutes", "parts"),
    [
        ("llm", 15, ["/dense/", "/float16/", "/q8_0/", "/q4_0/", "/c1/", "/c4/", "/c8/", "smollm2/", "random/"]),
        ("llm-gpu", 30, ["llama-1b/", "llama-8b/", "quantization=fp8", "quantization=bitsandbytes", "/c1/", "/c512/", "/gpu/"]),
    ],
)
def test_all_cases_are_supported_within_the_time(tmp_path, name, minutes, parts):
    """At the profile quick, without builds."""
    lines = planned(tmp_path, name, *(["--device", "gpu"] if name == "llm-gpu" else []))
    cases = [line.split(maxsplit=1)[1] for line in lines if line.startswith("  case ")]
    assert cases and not [line for line in lines if line.startswith("  unsupported ")]
    assert all(any(part in case for case in cases) for part in parts)
    assert int(next(line for line in lines if line.startswith("quick:")).split()[2]) < minutes
