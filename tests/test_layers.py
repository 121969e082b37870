"""Rules of the code: packages import lower layers only, files and functions are short, public names are documented, tests mirror modules."""

from __future__ import annotations

import ast
import functools
import graphlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import harness

ROOT = Path(harness.__file__).parent
TESTS = Path(__file__).parent
LAYERS: dict[str, float] = {
    **dict.fromkeys(["errors", "schema"], 0),  # types that every other package may use
    **dict.fromkeys(["plugins", "venvs", "atomic", "text", "userfiles", "analysis"], 1),
    "virtual": 1.1,
    "formats": 1.2,
    **dict.fromkeys(["energy", "serving"], 1.5),
    **dict.fromkeys(
        ["suite", "environment", "artifacts", "channel", "store", "frame", "workloads", "variants", "engines"],
        2,
    ),
    "frameworks": 2.5,
    **dict.fromkeys(["sensors", "meters"], 3),
    **dict.fromkeys(["worker", "run", "decide"], 4),  # parent and child are in the same layer
    "report": 5,
    "verify": 6,
    "cli": 7,
}
HEAVY = ("tensorflow", "keras", "onnxruntime", "openvino", "nncf", "ai_edge_litert", "pynvml", "codecarbon", "psutil", "sklearn", "torch")
FILES = sorted(ROOT.rglob("*.py"))
MAX_PACKAGES, MAX_IMPORTS, MAX_FILE, MAX_FUNCTION, MEDIAN_FUNCTION = 30, 191, 400, 60, 8
"""Limits; those of files and functions in lines."""


def each_file(check: Callable[[Path], None]) -> Callable[[], None]:
    """A test that checks each file, and lists every file that fails."""

    def test() -> None:
        problems = []
        for path in FILES:
            try:
                check(path)
            except AssertionError as error:
                problems.append(f"{path.relative_to(ROOT)}: {error}")
        assert not problems, "\n".join(problems)

    test.__name__, test.__doc__ = check.__name__, check.__doc__
    return test


@functools.cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


def package_of(path: Path) -> str:
    """`energy` for a file in harness/energy, `errors` for harness/errors.py."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


@functools.cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """Each module that a file imports, and whether it does so at the top."""
    found = []
    tree = parsed(path)
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"harness.{alias.name}" for alias in node.names] if node.module == "harness" else [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found += [(name, id(node) in top) for name in names]
    return found


def package_imports() -> dict[str, set[str]]:
    """The packages that each package imports."""
    graph: dict[str, set[str]] = {}
    for path in FILES:
        others = {name.split(".")[1] for name, _ in imports(path) if name.startswith("harness.")}
        graph.setdefault(package_of(path), set()).update(others - {package_of(path), "__version__"})
    graph.pop("__init__")
    return graph


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    yield from (node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from `def` to its end."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


# --- packages --------------------------------------------------------------------------------------------------------------


def test_each_package_has_a_layer():
    """There are at most 30 packages, and each is assigned to a layer."""
    assert set(package_imports()) == set(LAYERS)
    assert len(LAYERS) <= MAX_PACKAGES


@each_file
def test_imports_go_down(path):
    """A package imports packages of lower layers only, none of its own layer."""
    own = package_of(path)
    for name, _ in imports(path):
        other = name.split(".")[1] if name.startswith("harness.") else own
        if own != "__init__" and other not in (own, "__version__"):
            assert LAYERS[other] < LAYERS[own], f"{own} (layer {LAYERS[own]}) imports {other} (layer {LAYERS[other]})"


def test_packages_have_no_import_cycle():
    """There are at most 191 imports between packages, and a topological order exists."""
    graph = package_imports()
    assert list(graphlib.TopologicalSorter(graph).static_order())
    assert sum(map(len, graph.values())) <= MAX_IMPORTS


def test_parent_and_child_do_not_import_each_other():
    """They exchange typed messages only."""
    graph = package_imports()
    assert "worker" not in graph["run"]
    assert "run" not in graph["worker"]


@each_file
def test_heavy_libraries_are_imported_where_they_are_used(path):
    """Not at the top of a file: `--help` is instant, and a plug-in's spec is read without its library."""
    for name, at_top in imports(path):
        assert not (at_top and name.split(".")[0] in HEAVY), name


ENGINES = ("tensorflow", "keras", "onnxruntime", "ai_edge_litert")
SENSORS = ("pynvml", "codecarbon", "harness.sensors")


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("harness.report", (*ENGINES, *SENSORS, "harness.engines")),
        ("harness.frame", (*ENGINES, *SENSORS, "harness.engines")),
        ("harness.worker.measure", (*ENGINES, *SENSORS, "pandas", "scipy")),
        ("harness.worker.build", ("tensorflow", *SENSORS, "harness.engines")),
        ("harness.run.runner", (*ENGINES, "harness.engines.litert", "harness.run.plan", "harness.store")),
        ("harness.cli", ("numpy", "pandas", "pydantic", "matplotlib", "rich.progress", "tensorflow")),
    ],
)
def test_a_wing_loads_without_the_other(module, never):
    """In a fresh interpreter: figures on a laptop, the measuring child without a sensor, the parent without an engine."""
    code = f"import sys, {module}; print([m for m in {never!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- files and functions ------------------------------------------------------------------------------------------------


@each_file
def test_files_and_functions_are_short(path):
    """A file has at most 400 lines, a function at most 60."""
    assert len(path.read_text().splitlines()) <= MAX_FILE
    assert not [f"{node.name}: {length(node)} lines" for node in functions(path) if length(node) > MAX_FUNCTION]


def test_the_median_function_is_short():
    """Below 8 lines, counted with its docstring."""
    assert statistics.median(length(node) for path in FILES for node in functions(path)) < MEDIAN_FUNCTION


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=lambda path: path.parent.name)
def test_init_only_re_exports(path):
    """Docstrings, imports and names with two underscores; a `__getattr__` that imports on first use is allowed."""
    for node in parsed(path).body:
        if isinstance(node, ast.Assign):
            assert all(isinstance(target, ast.Name) and target.id.startswith("__") for target in node.targets), node.lineno
        elif isinstance(node, ast.FunctionDef):
            assert node.name in ("__getattr__", "__dir__"), node.name
        elif isinstance(node, ast.If):
            assert isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING", node.lineno
        else:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert docstring or isinstance(node, ast.Import | ast.ImportFrom), node.lineno


def public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public functions, classes and methods."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node)


@each_file
def test_public_names_have_docstrings(path):
    """So has the module."""
    assert ast.get_docstring(parsed(path)), "the module has no docstring"
    assert not [node.name for node in public(parsed(path)) if not ast.get_docstring(node)]


# --- tests --------------------------------------------------------------------------------------------------------------


def test_the_tests_mirror_the_modules():
    """`harness/a/b.py` is tested in `tests/a/test_b.py`; an underscore in front is dropped."""
    modules = [path.relative_to(ROOT) for path in FILES if path.name != "__init__.py"]
    tests = [module.with_name(f"test_{module.stem.lstrip('_')}.py") for module in modules]
    assert not [str(test) for test in tests if not (TESTS / test).is_file()]
