"""The house holds: imports go down the floors, never up, never sideways, never in a circle; figures need no engine and no sensor."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness

HOUSE = Path(harness.__file__).parent
FLOORS: dict[str, float] = {
    **dict.fromkeys(["errors", "schema"], 0),  # the nouns of the ground, which the rest of the ground may use
    **dict.fromkeys(["plugins", "venvs", "atomic", "text", "userfiles", "virtual", "analysis", "formats"], 1),
    "energy": 1.5,
    **dict.fromkeys(
        [
            "suite",
            "environment",
            "artifacts",
            "channel",
            "store",
            "frame",
            "workloads",
            "variants",
            "engines",
        ],
        2,
    ),
    **dict.fromkeys(["sensors", "meters"], 3),
    **dict.fromkeys(["worker", "run", "decide"], 4),  # parent and child are neighbours
    "report": 5,
    "verify": 6,
    "cli": 7,
}
HEAVY = ("tensorflow", "keras", "onnxruntime", "openvino", "nncf", "ai_edge_litert", "pynvml", "codecarbon", "psutil", "sklearn")


def room(module: str) -> str:
    """`energy` of `harness.energy.joules`, `engines` of `harness.engines.base`."""
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each module of the package that a file imports, and whether it does so at the top."""
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"harness.{alias.name}" for alias in node.names] if node.module == "harness" else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            yield name, id(node) in top


FILES = sorted(HOUSE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_imports_go_down(path):
    """A room knows the floors below it and nothing beside it."""
    own = path.relative_to(HOUSE).with_suffix("").parts[0]
    if own == "__init__":
        return
    for name, _ in imports(path):
        other = room(name)
        if name.startswith("harness.") and other not in (own, "__version__"):
            assert other in FLOORS, f"{other} has no floor"
            assert FLOORS[other] < FLOORS[own], f"{own} (floor {FLOORS[own]}) imports {other} (floor {FLOORS[other]})"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_heavy_libraries_are_imported_where_they_are_used(path):
    """Never at the top of a file: `--help` is instant, and a plug-in's spec is read without its library."""
    for name, at_top in imports(path):
        assert not (at_top and name.split(".")[0] in HEAVY), name


@pytest.mark.parametrize(
    ("module", "never"),
    [
        (
            "harness.report",
            ("tensorflow", "keras", "onnxruntime", "ai_edge_litert", "pynvml", "codecarbon", "harness.engines", "harness.sensors"),
        ),
        (
            "harness.frame",
            ("tensorflow", "keras", "onnxruntime", "ai_edge_litert", "pynvml", "codecarbon", "harness.engines", "harness.sensors"),
        ),
        (
            "harness.worker.measure",
            ("tensorflow", "keras", "onnxruntime", "ai_edge_litert", "pynvml", "codecarbon", "harness.sensors", "pandas", "scipy"),
        ),
        ("harness.worker.build", ("tensorflow", "pynvml", "codecarbon", "harness.sensors", "harness.engines")),
        (
            "harness.run.runner",
            ("tensorflow", "keras", "onnxruntime", "ai_edge_litert", "harness.engines.litert", "harness.run.plan", "harness.store"),
        ),
        ("harness.cli", ("numpy", "pandas", "pydantic", "matplotlib", "rich.progress", "tensorflow")),
    ],
)
def test_a_wing_loads_without_the_other(module, never):
    """In a fresh interpreter: figures on a laptop, the measuring child without a sensor, the parent without an engine."""
    code = f"import sys, {module}; print([m for m in {never!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
