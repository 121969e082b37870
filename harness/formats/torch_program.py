"""A program of torch.export as a module that takes one tensor for each input, and the check of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from harness.formats.libraries import import_library, library_errors

RESIZE = "export it with dynamic dimensions that allow these sizes, or change `batch_sizes` or the data in the suite"


class Program(NamedTuple):
    """A program ready to be called.

    Attributes:
        module: Called with one tensor for each input, in the order of its declaration; it checks nothing.
        types: PyTorch's name of the type of each input.
        check: Raises an `EngineError` for tensors of sizes that the program was not exported for.
    """

    module: Any
    types: tuple[str, ...]
    check: Callable[[Sequence[Any]], None]


def flat(torch: Any, program: Any) -> Program:
    """The program called with tensors alone, whatever nesting, keywords and constants it was exported with.

    The calling convention of torch.export is left out, and so are its checks in each call: a program of one small layer took 102 us a
    query with them and 13 us without (torch 2.11). The first query is checked instead.

    Args:
        torch: The package.
        program: An `ExportedProgram`.
    """
    module = _without_guards(program)
    module._forward_pre_hooks.clear()
    module._forward_hooks.clear()
    types = []
    # Matched by place: a parameter with the name of a builtin, such as `input`, has another name in the graph.
    for spec, node in zip(_user_inputs(program), module.graph.find_nodes(op="placeholder"), strict=True):
        if _is_tensor(spec):
            types.append(str(node.meta["val"].dtype).removeprefix("torch."))
        else:
            module.graph.erase_node(node)
    module.graph.set_codegen(torch.fx.graph.CodeGen())
    module.recompile()
    return Program(module, tuple(types), _checker(torch, program))


def _without_guards(program: Any) -> Any:
    """The program's module; PyTorch before 2.9 has no guards to leave out."""
    try:
        module = program.module(check_guards=False)
    except TypeError:
        module = program.module()
    for node in module.graph.find_nodes(op="call_module", target="_guards_fn"):
        module.graph.erase_node(node)
    return module


def _checker(torch: Any, program: Any) -> Callable[[Sequence[Any]], None]:
    """The checks that PyTorch would make in each call: ranges of dynamic dimensions, and guards."""
    checked = program.module()
    guards = getattr(checked, "_guards_fn", None)
    tree = import_library("torch.utils._pytree", "PyTorch", "run `make torch`")

    def check(tensors: Sequence[Any]) -> None:
        given = list(_with_constants(program, tensors))
        arguments, keywords = tree.tree_unflatten(given, program.call_spec.in_spec)
        with library_errors("the program does not take a query of this size", RESIZE, refused=True), torch.no_grad():
            for hook in checked._forward_pre_hooks.values():
                hook(checked, arguments, keywords)
            if guards is not None:
                guards(*given)

    return check


def _with_constants(program: Any, tensors: Sequence[Any]) -> Iterator[Any]:
    """The tensors with the constants between them that the program was exported with."""
    remaining = iter(tensors)
    for spec in _user_inputs(program):
        yield next(remaining) if _is_tensor(spec) else spec.arg.value


def _user_inputs(program: Any) -> list[Any]:
    return [spec for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]


def _is_tensor(spec: Any) -> bool:
    return type(spec.arg).__name__ == "TensorArgument"
