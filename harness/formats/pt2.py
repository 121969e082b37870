"""A `.pt2` archive (torch.export): vetted and read without PyTorch, because loading one may run code that it holds.

`torch.export.load` unpickles members, evaluates size expressions and resolves any dotted name under `torch` as an operator (seen in
torch 2.11, `torch/_export/serde/serialize.py`). An archive that passes `check_pt2` holds none of these beyond an allowlist.
"""

from __future__ import annotations

import ast
import io
import json
import pickletools
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import EngineError
from harness.formats.base import Declared, Format, Imported, ImportRequest, Input
from harness.formats.libraries import reading
from harness.schema import FormatSpec

PROGRAM = "models/model.json"
KIND = ("a PyTorch program (.pt2)", "export it again with torch.export.save; the file may be damaged or cut short")
SAVE = "save the model by torch.export.save(torch.export.export(module, example_inputs), path)"
TRUST = "if you trust its author, run with --trust: loading this file would run code that it holds"
OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|quantized_decomposed|torchao|torchvision|higher_order)\.\w+(\.\w+)?|torch\.sym_\w+"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)|math\.(ceil|floor|trunc|sqrt)"
)
FILE_OPERATORS = re.compile(r"torch\.ops\.\w+\.(from_file|save|load|_save\w*|_load\w*)\b")
"""Operators of the allowed namespaces that open files."""
TEXT = re.compile(r"[\w ,>\-]{0,200}|Runtime assertion failed for expression [\w<>=+*/%(), .-]{1,200} on node '\w+'")
"""Arguments that are text: a rounding mode, an equation of einsum; never a path."""
NAME = re.compile(r"[\w.]*")
NAMES = (
    "name",
    "as_name",
    "fqn",
    "forward_arg_names",
    "parameter_name",
    "buffer_name",
    "tensor_constant_name",
    "custom_obj_name",
    "user_input_name",
)
TREES = {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
GLOBALS = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)|torch\._tensor _rebuild_from_type_v2|torch\.nn\.parameter Parameter"
    r"|torch (\w+Storage|Tensor|Size|device|float\w*|bfloat16|u?int\d+|bool)|torch\.storage (Untyped|Typed)Storage|torch\.serialization _get_layout"
)
"""What a pickled tensor refers to; a pickle with any other name may run code."""
FUNCTIONS = {
    "Symbol",
    "Integer",
    "Add",
    "Mul",
    "Max",
    "Min",
    "Mod",
    "FloorDiv",
    "CeilDiv",
    "CleanDiv",
    "PythonMod",
    "ModularIndexing",
    *("GreaterThan", "LessThan", "StrictGreaterThan", "StrictLessThan", "Equality", "Unequality", "And", "Or", "Not"),  # codespell:ignore
}
"""Names of sympy and PyTorch that an expression of sizes may call."""
NODES = (ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.keyword, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 10: "complex64", 12: "bool",
    13: "bfloat16", 29: "float8_e4m3fn", 30: "float8_e5m2",
}  # fmt: skip
"""torch._export.serde.schema.ScalarType."""


class Pt2(Format):
    """A `.pt2` file of torch.export.save."""

    spec: ClassVar = FormatSpec(name="pt2", summary="torch.export", packages=("torch", "numpy"), venv="torch", suffixes=(".pt2",))

    def import_model(self, request: ImportRequest) -> Imported:
        """Copy the file after it was vetted and loaded."""
        from harness.formats import torch_module

        path = request.folder / "model.pt2"
        loaded = torch_module.load(request.source, "pt2", trusted=request.trusted)
        shutil.copyfile(request.source, path)
        return Imported(path, torch_module.facts(loaded.module, torch_module.zeros(loaded.inputs)))

    def inputs(self, path: Path, *, trusted: bool = False) -> list[Input]:
        """Inputs that the program declares."""
        return [Input(each.name, each.shape) for each in signature(path)[0]]

    def stored_inputs(self, path: Path, signature: str | None = None) -> list[Input] | None:
        """Likewise."""
        return self.inputs(path)

    def stored_types(self, path: Path) -> set[str]:
        """Types of the weights."""
        return stored_types(path)


def check_pt2(path: Path) -> None:
    """Refuse an archive whose loading or running may execute code or open files.

    Args:
        path: The `.pt2` file.

    Raises:
        EngineError: It is no such archive, or it holds something outside the allowlist, with its name.
    """
    with reading(path, *KIND), zipfile.ZipFile(path) as archive:
        _check_names(path, archive)
        plain = _plain_members(path)
        members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        for name, info in members.items():
            if info.compress_type != zipfile.ZIP_STORED:
                raise EngineError(f"{path.name}: {name} is compressed, which torch.export.save never does", KIND[1], refused=True)
            if name.startswith(("data/aotinductor/", "data/executorch/", "extra/")) or "custom_obj" in name:
                raise _untrusted(path, f"compiled code or pickled objects ({name})")
            if name.startswith(("data/weights/", "data/constants/", "data/sample_inputs/")) and name not in plain:
                _check_pickle(path, name, archive.read(info))
        _check_program(path, _json(path, PROGRAM))


def signature(path: Path) -> tuple[tuple[Declared, ...], tuple[Declared, ...]]:
    """Tensors that a program takes and gives, in order; dynamic dimensions are None. It may also give constants and None.

    Raises:
        EngineError: It cannot be read.
    """
    with reading(path, *KIND):
        module = _json(path, PROGRAM)["graph_module"]
        values, sides = module["graph"]["tensor_values"], module["signature"]
        names = [
            [each[kind]["arg"]["as_tensor"]["name"] for each in sides[side] if kind in each and "as_tensor" in each[kind]["arg"]]
            for side, kind in (("input_specs", "user_input"), ("output_specs", "user_output"))
        ]
        return tuple(tuple(_declared(name, values[name]) for name in side) for side in names)  # type: ignore[return-value]


def _declared(name: str, meta: Mapping[str, Any]) -> Declared:
    kind = DTYPES.get(meta["dtype"], "object")
    return Declared(name, tuple(size.get("as_int") for size in meta["sizes"]), "float32" if kind.startswith(("bfloat", "float8")) else kind)


def stored_types(path: Path) -> set[str]:
    """Types of the parameters by NumPy's names, and of 8-bit buffers, in which a quantizer leaves weights."""
    config = _json(path, "data/weights/model_weights_config.json")["config"]
    kinds = [(DTYPES.get(entry["tensor_meta"]["dtype"], ""), entry["is_param"]) for entry in config.values()]
    return {kind for kind, parameter in kinds if kind and (parameter or kind in ("int8", "uint8"))}


def namespaces(path: Path) -> set[str]:
    """Namespaces of the operators that a program calls, such as `aten`.

    Raises:
        EngineError: It cannot be read.
    """
    with reading(path, *KIND):
        targets = [str(value) for key, value in _walk(_json(path, PROGRAM)) if key == "target"]
    return {target.split(".")[2] for target in targets if target.startswith("torch.ops.")}


def _json(path: Path, member: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        root, members = archive.namelist()[0].partition("/")[0], archive.namelist()
        if f"{root}/{PROGRAM}" not in members:
            raise EngineError(f"{path.name} is no program of torch.export{_other_kind(members)}", SAVE, refused=True)
        return json.loads(archive.read(f"{root}/{member}"))


def _other_kind(members: Sequence[str]) -> str:
    """What another archive of PyTorch is, as a clause; empty if it is unknown."""
    ends = {member.partition("/")[2] for member in members}
    if any(end.startswith("code/") for end in ends):
        return ", but a TorchScript archive"
    if "data.pkl" in ends:
        return ", but a pickle of torch.save, such as weights"
    return ", but one of a PyTorch before 2.8" if any("serialized_exported_program.json" in member for member in members) else ""


def _untrusted(path: Path, what: str) -> EngineError:
    return EngineError(f"{path.name} holds {what}", TRUST, refused=True)


def _check_names(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse names that PyTorch's reader of archives might resolve to another member than ours."""
    names = [name.lower() for name in archive.namelist()]
    if len(set(names)) < len(names):
        raise EngineError(f"{path.name} has two members of one name", KIND[1], refused=True)


def _plain_members(path: Path) -> set[str]:
    """Members that PyTorch reads as plain bytes or as JSON."""
    plain = set()
    for kind in ("weights", "constants"):
        config = f"data/{kind}/model_{kind}_config.json"
        entries = _json(path, config)["config"].values()
        plain |= {config, *(f"data/{kind}/{entry['path_name']}" for entry in entries if entry["use_pickle"] is False)}
    return plain


def _check_pickle(path: Path, name: str, content: bytes) -> None:
    """Refuse a member that PyTorch unpickles, unless torch.save wrote it and it refers to the parts of a tensor alone."""
    if not content.startswith(b"PK"):
        raise _untrusted(path, f"a pickle ({name})")
    with zipfile.ZipFile(io.BytesIO(content)) as inner:
        _check_names(path, inner)
        for member in inner.namelist():
            for reference in _globals(inner.read(member)) if member.endswith(".pkl") else ():
                if not GLOBALS.fullmatch(reference):
                    raise _untrusted(path, f"a pickle that refers to {reference.replace(' ', '.')} ({name})")


def _globals(pickle: bytes) -> Iterator[str]:
    """`module name` of everything that a pickle imports; `?` for a name taken from the stack, as torch.save (protocol 2) never does."""
    for opcode, argument, _ in pickletools.genops(pickle):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument)
        elif opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            yield "?"


def _check_program(path: Path, program: Any) -> None:
    for key, value in _walk(program):
        if not NAME.fullmatch(key) and not is_size_expression(key):
            raise _untrusted(path, f"the name {key[:60]!r}")
        if isinstance(value, str) and key in CHECKS:
            what, passes = CHECKS[key]
            if not passes(value):
                raise _untrusted(path, f"the {what} {value[:60]!r}")
        if key in ("in_spec", "out_spec") and isinstance(value, str):
            _check_tree(path, value)
        if key in ("as_custom_obj", "treespec_namedtuple_fields") and value:
            raise _untrusted(path, "objects of classes of its own")


def is_operator(name: str) -> bool:
    """Whether a target is an operator of PyTorch's own that opens no file."""
    return bool(OPERATORS.fullmatch(name)) and not FILE_OPERATORS.match(name)


def is_guard(text: str) -> bool:
    """Whether a guard compares sizes of the inputs, as `L['x'].size()[0] % 2 == 0`: PyTorch executes it as Python.

    OpenVINO's converter lets it (`ExportedProgram.module` with its default arguments).
    """
    sizes = re.sub(r"L\['\w+'\](\[\d+\]|\['\w+'\])*\.size\(\)\[\d+\]", "s0", text)
    try:
        tree = ast.parse(sizes, mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        return False
    allowed = (ast.Expression, ast.Compare, ast.cmpop, ast.BoolOp, ast.boolop, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Load)
    return all(
        (isinstance(node, allowed) and not isinstance(node, ast.Pow))
        or (isinstance(node, ast.Name) and node.id == "s0")
        or (isinstance(node, ast.Constant) and isinstance(node.value, int))
        for node in ast.walk(tree)
    )


def is_size_expression(text: str) -> bool:
    """Whether an expression is arithmetic on sizes: SymPy evaluates it as Python.

    Args:
        text: As `Symbol('s77', positive=True, integer=True)`, or `s0*s1 + 4`.
    """
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        return False
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return all(_is_arithmetic(node, id(node) in called) for node in ast.walk(tree))


def _is_arithmetic(node: ast.AST, called: bool) -> bool:
    if isinstance(node, ast.Name):
        return node.id in FUNCTIONS if called else bool(re.fullmatch(r"[a-z]\d+", node.id))
    if isinstance(node, ast.Pow):  # could be made to compute for ever
        return False
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool | int) or bool(isinstance(node.value, str) and re.fullmatch(r"[a-z]\w{0,20}", node.value))
    return isinstance(node, NODES)


def _check_tree(path: Path, text: str) -> None:
    """The nesting of a program's inputs or outputs: containers of Python's own, keys that are text or numbers."""
    for key, value in _walk(json.loads(text)):
        if key == "type" and value not in TREES:
            raise _untrusted(path, f"inputs or outputs of the type {value}")
        if key == "context" and isinstance(value, str) and any(isinstance(each, dict) for _, each in _walk(json.loads(value))):
            raise _untrusted(path, f"inputs or outputs with keys {value[:60]}")


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """(key, value) of everything in a JSON document, elements of lists with the key of the list."""
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        key, node = stack.pop()
        yield key, node
        if isinstance(node, dict):
            stack.extend(node.items())
        elif isinstance(node, list):
            stack.extend((key, each) for each in node)


CHECKS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("target", "as_operator"), ("operator", is_operator)),
    **dict.fromkeys(("as_string", "as_strings"), ("text argument", TEXT.fullmatch)),
    **dict.fromkeys(NAMES, ("name", NAME.fullmatch)),
    "expr_str": ("size expression", is_size_expression),
    "guards_code": ("guard", is_guard),
}
"""What a string under a key of the program must be: PyTorch writes names into source code that it executes, and evaluates the rest."""
