"""A PyTorch module as our builds store it, and a `.pt2` program, as one thing: a callable of flat tensors with declared inputs and outputs."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from harness.errors import EngineError
from harness.formats import pt2
from harness.formats.base import Declared, Format, Imported, ImportRequest, Input
from harness.formats.libraries import import_library, library_errors, reading
from harness.formats.torch_program import flat
from harness.schema import ArtifactFacts, FormatSpec

KIND = ("a PyTorch model", "was it saved by another version of PyTorch?")
MODULE, SIGNATURE = "module.pt", "signature.json"
TRUST = "if you trust its author, run with --trust"
INSTALL = "run `make torch`, or pip install 'harness[torch]'"
REGISTERED_BY = {
    "quantized_decomposed": "torch.ao.quantization.fx._decomposed",
    "torchao": "torchao.quantization",
    "torchvision": "torchvision",
}
"""Modules whose import registers the operators of a namespace."""


class TorchModule(Format):
    """A folder that our builds write: a pickled `nn.Module` and its signature. A pickled module of the user's needs trust."""

    spec: ClassVar = FormatSpec(
        name="torch", summary="pickled nn.Module", packages=("torch", "numpy"), venv="torch", suffixes=(".pt", ".pth")
    )

    def import_model(self, request: ImportRequest) -> Imported:
        """Store the user's module with its signature."""
        torch, source = import_torch(), request.source
        if not request.trusted:
            raise EngineError(
                f"{source.name} is a pickle, which may run code when it is loaded", f"{TRUST}, or export it to .pt2", refused=True
            )
        with reading(source, *KIND):
            module = torch.load(source, map_location="cpu", weights_only=False)
        if not isinstance(module, torch.nn.Module):
            raise EngineError(
                f"{source.name} holds a {type(module).__name__}, not an nn.Module",
                "weights alone are no model: give a function that returns the module with them, `path: package.module:function`",
                refused=True,
            )
        samples = arranged(module, request.names, request.samples) if request.names else request.samples
        return save(module, request.folder, [torch.from_numpy(sample) for sample in samples])

    def inputs(self, path: Path, *, trusted: bool = False) -> list[Input]:
        """Inputs of the signature that was stored with the module."""
        return [Input(name, tuple(shape)) for name, shape, _ in json.loads((path / SIGNATURE).read_text())["inputs"]]

    def stored_types(self, path: Path) -> set[str] | None:
        """Types of the weights, as the build wrote them down; None for an artifact of an older version."""
        types = json.loads((path / SIGNATURE).read_text()).get("types")
        return None if types is None else set(types)


class Loaded(NamedTuple):
    """A module ready to be called with one tensor for each input.

    Attributes:
        module: The module.
        inputs: What it takes.
        outputs: What it gives.
        types: PyTorch's name of the type of each input; empty: only `inputs` is known.
        check: Raises an `EngineError` for inputs of sizes that the module does not take; None if only a query shows it.
    """

    module: Any
    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]
    types: tuple[str, ...] = ()
    check: Callable[[Sequence[Any]], None] | None = None


def import_torch() -> Any:
    """The `torch` package.

    Raises:
        EngineError: It is not installed, or cannot be loaded.
    """
    return import_library("torch", "PyTorch", INSTALL)


def load(path: Path, format_: str, *, trusted: bool = False) -> Loaded:
    """The module of an artifact.

    Args:
        path: A folder of `save`, or a `.pt2` file.
        format_: torch or pt2.
        trusted: Whether a `.pt2` may run code of its own when it is loaded.

    Raises:
        EngineError: It cannot be read, or would run code without trust.
    """
    torch = import_torch()
    with reading(path, *KIND):
        if format_ == "torch":
            declared = json.loads((path / SIGNATURE).read_text())
            module = torch.load(path / MODULE, map_location="cpu", weights_only=False)  # written by a build of ours
            inputs, outputs = (tuple(Declared(n, tuple(s), d) for n, s, d in declared[side]) for side in ("inputs", "outputs"))
            return Loaded(module, inputs, outputs)
        if not trusted:
            pt2.check_pt2(path)
        for namespace in sorted(pt2.namespaces(path) & REGISTERED_BY.keys()):
            import_library(REGISTERED_BY[namespace], REGISTERED_BY[namespace].partition(".")[0], INSTALL)
        program = flat(torch, torch.export.load(path))
        return Loaded(program.module, *pt2.signature(path), program.types, program.check)


def save(model: Any, folder: Path, samples: Sequence[Any]) -> Imported:
    """Store a module with what it takes and gives.

    Args:
        model: An `nn.Module`; put into evaluation mode.
        folder: For the artifact, a new folder `model`.
        samples: One tensor for each input, of a batch of 2.

    Raises:
        EngineError: There are no samples, or the module fails on them.
    """
    torch = import_torch()
    if not samples:
        raise EngineError(
            "the shapes of the model's inputs are unknown",
            "add `input_shapes: {x: [3, 224, 224]}` (of one sample) to the model in the suite, or let its function return (model, example inputs)",
            refused=True,
        )
    model.eval()
    with library_errors("the model fails on its example inputs", "are the shapes those of a batch?"), torch.inference_mode():
        answers = flatten(model(*samples))
    names = parameter_names(model)
    names += [f"input_{index}" for index in range(len(names), len(samples))]
    inputs = [declare(name, sample) for name, sample in zip(names, samples, strict=False)]
    return write(model, inputs, [declare(f"output_{index}", answer) for index, answer in enumerate(answers)], folder, samples)


def write(model: Any, inputs: Sequence[Declared], outputs: Sequence[Declared], folder: Path, samples: Sequence[Any]) -> Imported:
    """Store a module whose inputs and outputs are known.

    Args:
        model: An `nn.Module` in evaluation mode.
        inputs: What it takes.
        outputs: What it gives.
        folder: For the artifact, a new folder `model`.
        samples: One tensor for each input, to count operations; empty: they are not counted.
    """
    torch = import_torch()
    path = folder / "model"
    path.mkdir()
    for module in model.modules():
        module.__dict__.pop("extra_repr", None)  # torchao sets one that cannot be pickled
    signature = {"inputs": inputs, "outputs": outputs, "types": sorted({str(v.dtype).removeprefix("torch.") for v in weights(model)})}
    (path / SIGNATURE).write_text(json.dumps(signature))
    torch.save(model, path / MODULE)
    return Imported(path, facts(model, samples))


def weights(model: Any) -> list[Any]:
    """What a module stores of its parameters: of a quantized one (torchao) the integers; of a program also int8 buffers, a quantizer's weights."""
    torch = import_torch()
    buffers = model.buffers() if isinstance(model, torch.fx.GraphModule) else ()
    integers = [buffer for buffer in buffers if buffer.dtype == torch.int8]
    return [getattr(p, "qdata", p).detach() for p in model.parameters()] + integers


def parameter_names(model: Any) -> list[str]:
    """Names of the positional parameters of `forward`; empty if it takes any number."""
    parameters = inspect.signature(model.forward).parameters.items()
    return [name for name, p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def arranged(model: Any, names: Sequence[str], samples: Sequence[Any]) -> list[Any]:
    """Samples in the order of the parameters of `forward`.

    Args:
        model: An `nn.Module`.
        names: Name of the parameter of each sample.
        samples: In the order of the names.

    Raises:
        EngineError: There is no such parameter, or one before the last of them has no sample.
    """
    parameters, given = parameter_names(model), dict(zip(names, samples, strict=True))
    if not parameters:
        return list(samples)
    if set(names) != set(parameters[: len(names)]):
        raise EngineError(
            f"the suite names the inputs {', '.join(names)}, but forward takes {', '.join(parameters)}",
            "name its parameters in `input_shapes` or `data.train`, all that come before the last one named",
            refused=True,
        )
    return [given[name] for name in parameters[: len(names)]]


def declare(name: str, tensor: Any) -> Declared:
    """A tensor of a batch of 2 as declared: its first axis is the batch."""
    return Declared(name, (None, *tensor.shape[1:]), host_dtype(tensor))


def host_dtype(tensor: Any) -> str:
    """NumPy's name of a tensor's type; float32 for those that NumPy does not have."""
    name = str(tensor.dtype).removeprefix("torch.")
    return "float32" if name.startswith(("bfloat", "float8")) else name


def flatten(answer: Any) -> list[Any]:
    """The tensors of whatever a module returns, in order.

    Raises:
        EngineError: It returns none.
    """
    torch = import_torch()
    tensors = [leaf for leaf in torch.utils._pytree.tree_leaves(answer) if isinstance(leaf, torch.Tensor)]
    if not tensors:
        raise EngineError(f"the model returns a {type(answer).__name__} without tensors", "let it return tensors", refused=True)
    return tensors


def zeros(inputs: Sequence[Declared]) -> list[Any]:
    """One sample of zeros for each input; empty if an input has a dynamic dimension besides the batch, or a batch of its own."""
    torch = import_torch()
    if any(None in each.shape[1:] for each in inputs):
        return []
    return [torch.zeros([1 if size is None else size for size in each.shape], dtype=getattr(torch, each.dtype)) for each in inputs]


def facts(model: Any, samples: Sequence[Any]) -> ArtifactFacts:
    """Parameters, those that are not 0, and multiply-accumulates of one inference (torch.utils.flop_counter: two operations each)."""
    torch = import_torch()
    from torch.utils.flop_counter import FlopCounterMode

    stored = weights(model)
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            model(*samples)
        macs = counter.get_total_flops() // (2 * len(samples[0]))
    except Exception:  # no samples, or an operator that cannot be counted
        macs = None
    return ArtifactFacts(
        parameters=sum(p.numel() for p in stored),
        nonzero_parameters=sum(int(torch.count_nonzero(p)) for p in stored if not p.is_quantized),
        macs=macs,
    )
