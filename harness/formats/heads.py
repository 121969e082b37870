"""Meaning of a model's output, from the operators before it: probabilities, scores around zero (logits), or class numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

Head = Literal["probability", "logit", "class"]
"""probability: a value between 0 and 1. logit: a score whose sign decides, of a linear layer or tanh. class: the number of a class."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DEPTH = 64
"""Largest number of operators followed from an output: a damaged file may hold a cycle."""
PROBABILITIES = _words("sigmoid logistic softmax hardsigmoid qlinearsigmoid qlinearsoftmax")
CLASSES = _words("argmax greater greaterequal greaterorequal less lessequal lessorequal equal")
SCORES = _words("""
    matmul batchmatmul batchmatmulv2 gemm fullyconnected dense einsum einsumdense tanh softsign
    conv conv1d conv2d conv3d convolution depthwiseconv2d depthwiseconv2dnative groupconvolution
    separableconv1d separableconv2d conv2dtranspose transposeconv convtranspose
    qlinearmatmul qlinearconv matmulinteger convinteger matmulnbits qgemm dynamicquantizematmul fusedmatmul matmulintegertofloat
    """)
PASSES = _words("""
    identity reshape squeeze unsqueeze expanddims flatten cast convert transpose dropout ensureshape stopgradient result
    dequantize quantize dequantizelinear quantizelinear fakequantize fakequant
    slice stridedslice gather gatherv2 getitem split splitv variadicsplit concat concatv2 concatenation concatenate
    reducemean mean average globalaveragepool globalaveragepooling1d globalaveragepooling2d
    """)
"""Operators whose output is of the same kind as their inputs."""
LINEAR = _words("""
    add addv2 addn biasadd sub subtract neg negative mul multiply div divide truediv realdiv batchnormalization fusedbatchnormv3
    """)
"""Operators that turn logits into logits; the result for probabilities is unknown, unless only probabilities are multiplied."""
KEEP_BOUNDS = _words("clip clipbyvalue clamp minimum maximum min max")
PRODUCTS = frozenset(("mul", "multiply"))


def plain(operator: str) -> str:
    """An operator's name as all formats share it: `HARD_SIGMOID`, `hard_sigmoid` and `HardSigmoid` become `hardsigmoid`."""
    return operator.replace("_", "").lower()


def head_of(node: Any, look: Callable[[Any], tuple[str, Sequence[Any]]], depth: int = 0) -> Head | None:
    """What a node's output holds, by the operators before it; None if they do not decide it.

    Args:
        node: A node of any graph.
        look: Returns the node's operator (see `plain`) and its input nodes without constants.
        depth: Number of nodes between it and the output.
    """
    operator, sources = look(node)
    if operator in PROBABILITIES:
        return "probability"
    if operator in CLASSES:
        return "class"
    if operator in SCORES:
        return "logit"
    if depth > DEPTH or not sources or operator not in PASSES | LINEAR | KEEP_BOUNDS:
        return None
    heads = {head_of(source, look, depth + 1) for source in sources}
    head = heads.pop() if len(heads) == 1 else None
    if operator in PASSES:
        return head
    if operator in KEEP_BOUNDS or (operator in PRODUCTS and len(sources) > 1):
        return head if head == "probability" or (head == "logit" and operator in LINEAR) else None
    return head if head == "logit" else None


def _passed_on(operator: str, sources: Sequence[Any]) -> Sequence[Any]:
    """The inputs whose values an operator passes on; its other inputs are shapes, indices and scales."""
    return sources[:1] if operator in PASSES and not operator.startswith("concat") else sources


# --- formats -----------------------------------------------------------------------------------------------------------


def onnx_head(path: Path, output: str) -> Head | None:
    """What the named output of an `.onnx` file holds."""
    from harness.formats.onnx import load_onnx

    graph = load_onnx(path, weights=False).graph
    producers = {name: node for node in graph.node for name in node.output if node.op_type != "Constant"}

    def look(node: Any) -> tuple[str, list[Any]]:
        operator = plain(node.op_type)
        names = node.input if operator == "mean" else _passed_on(operator, node.input)
        return operator, [producers[name] for name in names if not is_scale(name)]

    def is_scale(name: str) -> bool:
        """Whether it is a constant, or the scale of a dynamically quantized tensor, which multiplies the product later."""
        node = producers.get(name)
        if node is None or node.op_type == "DynamicQuantizeLinear":
            return node is None or name != node.output[0]
        return node.op_type == "Mul" and all(map(is_scale, node.input))

    return head_of(producers[output], look) if output in producers else None


def tflite_head(path: Path, output: str) -> Head | None:
    """What the named output of a `.tflite` file holds; a fused activation counts as an operator after its own."""
    from harness.formats.tflite_graph import read_graph

    graph = read_graph(path)
    producers = {index: operator for operator in graph.operators for index in operator.outputs}
    at = next((index for index in graph.outputs if graph.tensors[index].name == output), None)

    def look(operator: Any) -> tuple[str, list[Any]]:
        if operator.activation != "NONE":
            return plain(operator.activation), []
        name = plain(operator.name)
        return name, [producers[index] for index in _passed_on(name, operator.inputs) if index in producers]

    return head_of(producers[at], look) if at in producers else None


def ir_head(model: Any, place: int) -> Head | None:
    """What an output of an OpenVINO model holds, by its position."""

    def look(node: Any) -> tuple[str, list[Any]]:
        operator = plain(node.get_type_name())
        sources = _passed_on(operator, [node.input_value(at).get_node() for at in range(node.get_input_size())])
        return operator, [source for source in sources if not _is_constant(source) and not (operator in LINEAR and _is_single(source))]

    return head_of(model.outputs[place].get_node(), look)


def _is_constant(node: Any) -> bool:
    """Whether an OpenVINO node is a stored constant, compressed or not."""
    while node.get_type_name() in ("Convert", "Multiply", "Subtract", "Reshape", "FakeQuantize") and node.get_input_size():
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Constant")


def _is_single(node: Any) -> bool:
    """Whether an OpenVINO node gives one number for all samples, as the scale of a dynamically quantized tensor."""
    shape = node.get_output_partial_shape(0)
    return bool(shape.is_static and len(shape) <= 1 and all(size.get_length() == 1 for size in shape))


def keras_head(tensor: Any) -> Head | None:
    """What an output tensor of a Keras model holds, by its layers and their activations."""

    def look(each: Any) -> tuple[str, list[Any]]:
        layer, node, place = each._keras_history
        if hasattr(layer, "layers") and hasattr(layer, "outputs"):  # a nested model
            return "identity", [layer.outputs[place]]
        activation = plain(getattr(getattr(layer, "activation", None), "__name__", "linear"))
        if activation != "linear":
            return activation, []
        kind = plain(type(layer).__name__)
        return "identity" if kind == "activation" else kind, list(layer._inbound_nodes[node].input_tensors)

    return head_of(tensor, look)


def graph_head(graph: Any, tensor: str) -> Head | None:
    """What a tensor of a TensorFlow graph holds, followed through function calls.

    Args:
        graph: GraphDef.
        tensor: Name of the tensor: `Identity:0`.
    """
    library = {function.signature.name: function for function in graph.library.function}
    main = {node.name: node for node in graph.node}

    def look(each: tuple[dict[str, Any], dict[str, Any], str]) -> tuple[str, Sequence[Any]]:
        nodes, arguments, name = each
        base = name.split(":")[0]
        if base in arguments:
            return "identity", [arguments[base]]
        node = nodes.get(base)
        if node is None:
            return "", []
        inputs = [(nodes, arguments, source) for source in node.input if not source.startswith("^")]
        if node.op in ("PartitionedCall", "StatefulPartitionedCall"):
            function = library[node.attr["f"].func.name]
            inner = {inside.name: inside for inside in function.node_def}
            passed = {argument.name: source for argument, source in zip(function.signature.input_arg, inputs, strict=False)}
            place = int(name.rsplit(":", 1)[1]) if ":" in name else 0
            return "identity", [(inner, passed, function.ret[function.signature.output_arg[place].name])]
        operator = plain(node.op)
        return operator, [source for source in _passed_on(operator, inputs) if not _is_stored(source)]

    return head_of((main, {}, tensor), look)


def _is_stored(source: tuple[dict[str, Any], dict[str, Any], str]) -> bool:
    """Whether a node of a TensorFlow graph is a constant, the value of a variable, or an input."""
    nodes, arguments, name = source
    while name.split(":")[0] in arguments:
        nodes, arguments, name = arguments[name.split(":")[0]]
    node = nodes.get(name.split(":")[0])
    return node is not None and node.op in ("Const", "ReadVariableOp", "Placeholder", "VarHandleOp")
