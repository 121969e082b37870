"""TensorFlow SavedModels: load the serving signature without running code or reading other files, and count its weights."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.errors import EngineError
from harness.formats.base import FIRST_PACKAGES, Format, Imported, ImportRequest, Input
from harness.formats.keras import TRUST
from harness.formats.libraries import import_library, reading
from harness.formats.savedmodel_ops import CHECKPOINT, COMPUTATION
from harness.schema import ArtifactFacts, FormatSpec

KIND = ("a SavedModel", "export it again with model.export() or tf.saved_model.save()")
GRAPH_FILE = "saved_model.pb"
SERVING = "serving_default"
REFERENCES = ("Variable", "VariableV2")
"""Operators of the reference variables of TensorFlow 1."""
ASSETS = "saved_model_assets"
FROM_FILE = "InitializeTableFromTextFile"
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
"""Operators whose inputs are the arguments of the called function."""
INITIAL = ("saved_model_main_op", "legacy_init_op")
"""Collections in which TensorFlow 1 names the operators that run on loading; TensorFlow 2 has the signature `__saved_model_init_op`."""


@dataclass(frozen=True)
class Signature:
    """The function that a SavedModel serves.

    Attributes:
        inputs: A TensorSpec for each input.
        outputs: A TensorSpec for each output.
        key: Name of the signature in the file.
        function: Callable with keyword arguments, which returns a mapping.
        keywords: Keywords of the inputs, in their order.
        results: Keys of the outputs, in their order.
        loaded: The object that owns the variables, which live as long as it does.
    """

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    key: str
    function: Any
    keywords: Sequence[str]
    results: Sequence[str]
    loaded: Any

    def __call__(self, *arguments: Any) -> list[Any]:
        """The outputs for these inputs, both in their order."""
        answers = self.function(**dict(zip(self.keywords, arguments, strict=True)))
        return [answers[name] for name in self.results]

    @property
    def weights_type(self) -> str | None:
        """The type of most weights; None if they are constants of the graph."""
        types: Counter[str] = Counter()
        for variable in self.function.variables:
            types[variable.dtype.name] += int(np.prod(variable.shape))
        return types.most_common(1)[0][0] if types else None


class SavedModel(Format):
    """A folder of tf.saved_model."""

    spec: ClassVar = FormatSpec(name="savedmodel", summary="TensorFlow SavedModel", packages=FIRST_PACKAGES, folder_with="saved_model.pb")

    def import_model(self, request: ImportRequest) -> Imported:
        """Copy the folder after the model was loaded."""
        path = request.folder / "model"
        counted = facts(load_savedmodel(request.source, trusted=request.trusted))
        with reading(request.source, *KIND):  # broken links, pipes
            shutil.copytree(request.source, path)
        return Imported(path, counted)

    def inputs(self, path: Path, *, trusted: bool = False) -> list[Input]:
        """Inputs of the serving signature."""
        return [Input(spec.name, tuple(spec.shape)) for spec in load_savedmodel(path, trusted=trusted).inputs]


def is_savedmodel(path: Path) -> bool:
    """Whether a path is the folder of a SavedModel."""
    return (path / GRAPH_FILE).is_file()


def load_savedmodel(path: Path, *, trusted: bool = False) -> Signature:
    """The serving signature of a SavedModel.

    Args:
        path: Its folder.
        trusted: Whether its graph may run Python and access files.

    Raises:
        EngineError: The folder contains no SavedModel or a damaged one, the signature to serve is not clear, or its graph may run code or
            access files.
    """
    if not is_savedmodel(path):
        raise EngineError(f"{path.name} is not a SavedModel: it has no {GRAPH_FILE}", KIND[1])
    tf = import_tensorflow()
    with reading(path, *KIND):
        saved = _content(path)
        if not trusted:
            _refuse_code(path, saved)
        _register_optimizer(tf)
        loaded = tf.saved_model.load(str(path))
        key = _key(path, list(loaded.signatures))
        return _signature(tf, loaded, key, _names(saved, key))


def _signature(tf: Any, loaded: Any, key: str, names: dict[str, str]) -> Signature:
    """One signature of a loaded model, with the inputs' names in the file."""
    function = loaded.signatures[key]
    specs = dict(sorted(function.structured_input_signature[1].items(), key=lambda item: natural_key(item[0])))
    outputs = function.structured_outputs
    results = sorted(outputs, key=natural_key)
    return Signature(
        inputs=[tf.TensorSpec(spec.shape, spec.dtype, name=names.get(keyword, keyword)) for keyword, spec in specs.items()],
        outputs=[tf.TensorSpec(outputs[name].shape, outputs[name].dtype, name=name) for name in results],
        key=key,
        function=function,
        keywords=list(specs),
        results=results,
        loaded=loaded,
    )


def with_constants(signature: Signature) -> Signature:
    """The signature with reference variables as constants, which tf2onnx loses otherwise; unchanged if it has none."""
    function = signature.function
    if not any(operator.type in REFERENCES for operator in function.graph.get_operations()):
        return signature
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    constant = convert_variables_to_constants_v2(function)  # takes and returns flat lists, in the order of the names
    return replace(
        signature, function=lambda **inputs: tf.nest.pack_sequence_as(function.structured_outputs, constant(*tf.nest.flatten(inputs)))
    )


def natural_key(name: str) -> list[tuple[int, str]]:
    """A sort key for the names of a signature, `output_2` before `output_10`; files store them in no order."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"([0-9]+)", name)]


def import_tensorflow() -> Any:
    """TensorFlow; refused if it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return import_library("tensorflow", "TensorFlow", "pip install 'harness[tensorflow]'")


def _register_optimizer(tf: Any) -> None:
    """Register a stand-in for the optimizer in models that Keras 2 compiled, which TensorFlow cannot load without Keras 2."""
    from tensorflow.python.saved_model import revived_types

    if "optimizer" in revived_types.registered_identifiers():
        return

    class Optimizer(tf.__internal__.tracking.AutoTrackable):  # type: ignore[misc]
        def add_slot(self, var: Any, slot_name: str) -> Any:
            return tf.Variable(tf.zeros(var.shape, var.dtype), trainable=False)

    one = revived_types.VersionedTypeRegistration(
        object_factory=lambda proto: Optimizer(), version=1, min_producer_version=1, min_consumer_version=1, setter=lambda *_: None
    )
    revived_types.register_revived_type("optimizer", lambda thing: isinstance(thing, Optimizer), versions=[one])


def facts(signature: Signature) -> ArtifactFacts:
    """Parameters and nonzero ones among the variables it uses; None if weights are constants of the graph."""
    values = [variable.numpy() for variable in signature.function.variables if variable.dtype.is_floating or variable.dtype.is_integer]
    if not values:
        return ArtifactFacts()
    return ArtifactFacts(
        parameters=sum(int(value.size) for value in values), nonzero_parameters=sum(int(np.count_nonzero(value)) for value in values)
    )


def _key(path: Path, keys: Sequence[str]) -> str:
    if SERVING in keys:
        return SERVING
    if len(keys) != 1:
        raise EngineError(
            f"{path.name} serves {', '.join(sorted(keys)) + f', and none of them is {SERVING!r}' if keys else 'no signature'}",
            f"save it with signatures={{'{SERVING}': function}}",
        )
    return keys[0]


def _content(path: Path) -> Any:
    """The parsed file with its graphs."""
    from tensorflow.core.protobuf import saved_model_pb2

    return saved_model_pb2.SavedModel.FromString((path / GRAPH_FILE).read_bytes())


def _names(saved: Any, key: str) -> dict[str, str]:
    """The inputs' names in the file by keyword, in which TensorFlow replaces all but letters, digits and underscores."""
    keys = {name for graph in saved.meta_graphs if key in graph.signature_def for name in graph.signature_def[key].inputs}
    return {re.sub(r"\W", "_", name): name for name in keys}


def _refuse_code(path: Path, saved: Any) -> None:
    """Refuse a graph with an operator that may do more than compute, or that reads files outside the model's folder."""
    refused = {op for graph in saved.meta_graphs for op in _unknown(graph)}
    refused |= {node.op for graph in saved.meta_graphs for node in _used(graph) if node.op in CHECKPOINT}
    restoring = [node for graph in saved.meta_graphs for node in _reached(graph, [graph.saver_def.restore_op_name], [])]
    refused |= {node.op for node in restoring if node.op.startswith("Save")}
    if refused:
        operators = f"operator{'s' if len(refused) > 1 else ''} {', '.join(sorted(refused))}"
        raise EngineError(f"{path.name} uses the {operators}, which may run code or access files, devices or the network", TRUST)
    assets = [asset.filename for graph in saved.meta_graphs for asset in _assets(graph)]
    outside: list[str | None] = [name for name in assets if Path(name).is_absolute() or ".." in Path(name).parts]
    outside += [name for graph in saved.meta_graphs for name in _vocabularies(graph, by_objects=_by_objects(saved))]
    if None in outside:
        raise EngineError(f"{path.name} fills a lookup table from a file whose name is computed by its graph", TRUST)
    if outside:
        raise EngineError(f"{path.name} reads {outside[0]!r}, outside its folder", "obtain a complete copy from its author")


def _by_objects(saved: Any) -> bool:
    """Whether TensorFlow 2 saved the model and loads it by its objects."""
    return len(saved.meta_graphs) == 1 and saved.meta_graphs[0].HasField("object_graph_def")


def _unknown(graph: Any) -> Iterator[str]:
    """Operators that are neither allowed nor calls of the graph's own functions."""
    from tensorflow.python.framework import op_def_registry

    functions = {function.signature.name for function in graph.graph_def.library.function}
    for op in {node.op for _, content in _named_scopes(graph) for node in content} - COMPUTATION - CHECKPOINT:
        if op not in functions or op_def_registry.get(op) is not None:  # a function may not hide behind the name of an operator
            yield op


def _used(graph: Any) -> Iterator[Any]:
    """Every node that loading or serving may run: in the functions of its objects, and behind its signatures and initial operators."""
    named = [name for key in INITIAL if key in graph.collection_def for name in graph.collection_def[key].node_list.value]
    served = [output.name for signature in graph.signature_def.values() for output in signature.outputs.values()]
    return _reached(graph, [*named, *served], graph.object_graph_def.concrete_functions)


def _reached(graph: Any, operators: Iterable[str], functions: Iterable[str]) -> Iterator[Any]:
    """Every node that these operators of the graph depend on, and every node of these functions and of those that they call."""
    nodes = {node.name: node for node in graph.graph_def.node}
    library = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    waiting, seen = [(nodes, name) for name in map(_operator, operators)] + [(library, name) for name in functions], set()
    while waiting:
        place, name = waiting.pop()
        if name not in place or (place is nodes, name) in seen:
            continue
        seen.add((place is nodes, name))
        for node in [nodes[name]] if place is nodes else library[name]:
            yield node
            waiting += [(library, function.name) for value in node.attr.values() for function in (value.func, *value.list.func)]
            waiting += [(library, node.op)]  # TensorFlow 1 calls a function by an operator of its name
            waiting += [(nodes, name) for name in map(_operator, node.input)] if place is nodes else []


def _operator(tensor: str) -> str:
    """Name of the operator of a tensor or control input: `x` of `x:0` and of `^x`."""
    return tensor.removeprefix("^").split(":")[0]


def _assets(graph: Any) -> list[Any]:
    """The files in its own folder that a graph reads; TensorFlow 1 lists them in a collection."""
    from tensorflow.core.protobuf import meta_graph_pb2

    packed = graph.collection_def[ASSETS].any_list.value if ASSETS in graph.collection_def else []
    return [*graph.asset_file_def, *(meta_graph_pb2.AssetFileDef.FromString(each.value) for each in packed)]


def _vocabularies(graph: Any, *, by_objects: bool) -> Iterator[str | None]:
    """Names of the files that fill lookup tables, without the assets; None for a name that the graph computes.

    Args:
        graph: One of the graphs of the file.
        by_objects: Whether TensorFlow 2 loads it by its objects, so that nothing outside a function runs.
    """
    assets = {_operator(asset.tensor_info.name) for asset in _assets(graph)}
    arguments = {each.signature.name: [one.name for one in each.signature.input_arg] for each in graph.graph_def.library.function}
    nodes = {scope: {node.name: node for node in content} for scope, content in _named_scopes(graph)}
    run = [scope for scope in nodes if scope or not by_objects]
    waiting = [(scope, node.input[1]) for scope in run for node in nodes[scope].values() if node.op.startswith(FROM_FILE)]
    seen = set()
    while waiting:
        scope, tensor = waiting.pop()
        name = _operator(tensor)
        if (scope, name) in seen:
            continue
        seen.add((scope, name))
        node = nodes[scope].get(name)
        if name in arguments.get(scope, ()):
            index = arguments[scope].index(name)
            waiting += [origin for caller in run for origin in _passed(caller, nodes[caller].values(), scope, index)]
            waiting += _bound(graph.object_graph_def, scope, index - len(arguments[scope]))
        elif not scope and name in assets:
            continue
        elif node is not None and node.op == "Identity":
            waiting.append((scope, node.input[0]))
        elif node is None or node.op != "Const":
            yield None
        else:
            yield b"".join(node.attr["value"].tensor.string_val).decode(errors="replace")


def _named_scopes(graph: Any) -> Iterator[tuple[str, Sequence[Any]]]:
    """(Name, nodes) of each function, and of the graph itself under an empty name."""
    yield "", graph.graph_def.node
    for function in graph.graph_def.library.function:
        yield function.signature.name, function.node_def


def _passed(scope: str, content: Iterable[Any], called: str, index: int) -> Iterator[tuple[str, str]]:
    """The tensors of a scope that are passed as an argument of a function; an empty name if a call cannot be followed."""
    for node in content:
        if node.op == called or (node.op in CALLS and node.attr["f"].func.name == called):
            yield scope, node.input[index]
        elif any(each.name == called for value in node.attr.values() for each in (value.func, *value.list.func)):
            yield scope, ""


def _bound(objects: Any, called: str, index: int) -> Iterator[tuple[str, str]]:
    """The constant bound to an argument (counted from the last) of a function of an object; an empty name for a caller's argument."""
    if called not in objects.concrete_functions:
        return
    bound = objects.concrete_functions[called].bound_inputs
    source = objects.nodes[bound[index]] if -index <= len(bound) else None
    if source is None or not source.HasField("asset"):
        yield "", source.constant.operation if source is not None else ""
