"""The operators before a model's output -> what its numbers are: probabilities, scores around 0 (logits), or numbers of classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

Head = Literal["probability", "logit", "class"]
"""probability: between 0 and 1. logit: a score whose sign decides, of a linear layer or tanh. class: the number of a class."""

DEPTH = 64
"""Operators looked at behind an output, so that a damaged file cannot lead in a circle."""
PROBABILITIES = {"sigmoid", "logistic", "softmax", "hardsigmoid", "qlinearsigmoid", "qlinearsoftmax"}
CLASSES = {"argmax", "greater", "greaterequal", "greaterorequal", "less", "lessequal", "lessorequal", "equal"}
SCORES = {"matmul", "batchmatmul", "batchmatmulv2", "gemm", "fullyconnected", "dense", "einsum", "tanh", "softsign", "einsumdense"}
SCORES |= {"conv", "conv1d", "conv2d", "conv3d", "convolution", "depthwiseconv2d", "depthwiseconv2dnative", "groupconvolution"}
SCORES |= {"qlinearmatmul", "qlinearconv", "matmulinteger", "convinteger", "matmulnbits", "qgemm", "dynamicquantizematmul", "fusedmatmul"}
SCORES |= {"matmulintegertofloat", "separableconv1d", "separableconv2d", "conv2dtranspose", "transposeconv", "convtranspose"}
PASSES = {"identity", "reshape", "squeeze", "unsqueeze", "expanddims", "flatten", "cast", "convert", "transpose", "dropout"}
PASSES |= {"dequantize", "quantize", "dequantizelinear", "quantizelinear", "fakequantize", "fakequant", "ensureshape", "stopgradient"}
PASSES |= {
    "slice",
    "stridedslice",
    "gather",
    "gatherv2",
    "getitem",
    "split",
    "splitv",
    "variadicsplit",
    "concat",
    "concatv2",
    "concatenation",
}
PASSES |= {
    "reducemean",
    "mean",
    "average",
    "globalaveragepool",
    "globalaveragepooling1d",
    "globalaveragepooling2d",
    "concatenate",
    "result",
}
LINEAR = {"add", "addv2", "addn", "biasadd", "sub", "subtract", "neg", "negative", "mul", "multiply", "div", "divide", "truediv", "realdiv"}
LINEAR |= {"batchnormalization", "fusedbatchnormv3"}
"""They keep a score a score, and make of a probability what cannot be known here, except where only probabilities are multiplied."""
KEEP_BOUNDS = {"clip", "clipbyvalue", "clamp", "minimum", "maximum", "min", "max"}
PRODUCTS = {"mul", "multiply"}


def plain(operator: str) -> str:
    """An operator's name without what tells the formats apart: `HARD_SIGMOID`, `hard_sigmoid` and `HardSigmoid` are one."""
    return operator.replace("_", "").lower()


def head_of(node: Any, look: Callable[[Any], tuple[str, Sequence[Any]]], depth: int = 0) -> Head | None:
    """What a node gives, by the operators behind it; None where they do not say.

    Args:
        node: Of any graph.
        look: Gives the node's operator (see `plain`) and the nodes whose results it takes, constants left out.
        depth: How many nodes stand between it and the output.
    """
    operator, behind = look(node)
    if operator in PROBABILITIES:
        return "probability"
    if operator in CLASSES:
        return "class"
    if operator in SCORES:
        return "logit"
    if depth > DEPTH or not behind or operator not in PASSES | LINEAR | KEEP_BOUNDS:
        return None
    heads = {head_of(each, look, depth + 1) for each in behind}
    head = heads.pop() if len(heads) == 1 else None
    if operator in PASSES:
        return head
    if operator in LINEAR:
        return head if head == "logit" or (head == "probability" and operator in PRODUCTS and len(behind) > 1) else None
    return head if head == "probability" else None


# --- the formats -------------------------------------------------------------------------------------------------------


def onnx_head(path: Path, output: str) -> Head | None:
    """Of the output of that name in an `.onnx` file."""
    from harness.formats.onnx import load_onnx

    graph = load_onnx(path, weights=False).graph
    made = {name: node for node in graph.node for name in node.output if node.op_type != "Constant"}

    def look(node: Any) -> tuple[str, list[Any]]:
        operator, names = plain(node.op_type), list(node.input)
        if operator in PASSES and operator not in ("concat", "mean"):  # shapes, indices and scales come after what is passed on
            names = names[:1]
        return operator, [made[name] for name in names if not is_scale(name)]

    def is_scale(name: str) -> bool:
        """Whether it is a constant, or the scale of what is quantized as it runs, with which a product is multiplied afterwards."""
        node = made.get(name)
        if node is None or node.op_type == "DynamicQuantizeLinear":
            return node is None or name != node.output[0]
        return node.op_type == "Mul" and all(map(is_scale, node.input))

    return head_of(made[output], look) if output in made else None


def tflite_head(path: Path, output: str) -> Head | None:
    """Of the output of that name in a `.tflite` file; a fused activation is one behind its operator."""
    from harness.formats.tflite_graph import read_graph

    graph = read_graph(path)
    made = {index: operator for operator in graph.operators for index in operator.outputs}
    at = next((index for index in graph.outputs if graph.tensors[index].name == output), None)

    def look(operator: Any) -> tuple[str, list[Any]]:
        name = plain(operator.name)
        if operator.activation != "NONE":
            return plain(operator.activation), []
        inputs = operator.inputs[:1] if name in PASSES and not name.startswith("concat") else operator.inputs
        return name, [made[index] for index in inputs if index in made]

    return head_of(made[at], look) if at in made else None


def ir_head(model: Any, place: int) -> Head | None:
    """Of an output of OpenVINO's model, by its place."""

    def look(node: Any) -> tuple[str, list[Any]]:
        operator, sources = plain(node.get_type_name()), [node.input_value(at).get_node() for at in range(node.get_input_size())]
        if operator in PASSES and operator != "concat":
            sources = sources[:1]
        return operator, [source for source in sources if not _is_constant(source) and not (operator in LINEAR and _is_single(source))]

    return head_of(model.outputs[place].get_node(), look)


def _is_constant(node: Any) -> bool:
    """Whether a node of OpenVINO's is a stored number, decompressed or not."""
    while node.get_type_name() in ("Convert", "Multiply", "Subtract", "Reshape", "FakeQuantize") and node.get_input_size():
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Constant")


def _is_single(node: Any) -> bool:
    """Whether a node of OpenVINO's gives one number for all samples: the scale of what is quantized as it runs."""
    shape = node.get_output_partial_shape(0)
    return bool(shape.is_static and len(shape) <= 1 and all(size.get_length() == 1 for size in shape))


def keras_head(tensor: Any) -> Head | None:
    """Of an output of a Keras model, by its layers and their activations."""

    def look(each: Any) -> tuple[str, list[Any]]:
        layer, node, place = each._keras_history
        if hasattr(layer, "layers") and hasattr(layer, "outputs"):  # a model among the layers
            return "identity", [layer.outputs[place]]
        activation = plain(getattr(getattr(layer, "activation", None), "__name__", "linear"))
        kind = plain(type(layer).__name__)
        if activation != "linear":
            return activation, []
        return "identity" if kind == "activation" else kind, list(layer._inbound_nodes[node].input_tensors)

    return head_of(tensor, look)


def graph_head(graph: Any, tensor: str) -> Head | None:
    """Of a tensor of TensorFlow's graph, through the functions that it calls.

    Args:
        graph: GraphDef.
        tensor: Its name: `Identity:0`.
    """
    library = {function.signature.name: function for function in graph.library.function}
    main = {node.name: node for node in graph.node}

    def look(each: tuple[dict[str, Any], dict[str, Any], str]) -> tuple[str, list[Any]]:
        nodes, arguments, name = each
        if name.split(":")[0] in arguments:
            return "identity", [arguments[name.split(":")[0]]]
        node = nodes.get(name.split(":")[0])
        if node is None:
            return "", []
        inputs = [(nodes, arguments, source) for source in node.input if not source.startswith("^")]
        if node.op in ("PartitionedCall", "StatefulPartitionedCall"):
            function = library[node.attr["f"].func.name]
            inner = {inside.name: inside for inside in function.node_def}
            given = {argument.name: source for argument, source in zip(function.signature.input_arg, inputs, strict=False)}
            place = int(name.rsplit(":", 1)[1]) if name.count(":") else 0
            return "identity", [(inner, given, function.ret[function.signature.output_arg[place].name])]
        operator = plain(node.op)
        if operator in PASSES and not operator.startswith("concat"):
            inputs = inputs[:1]
        return operator, [source for source in inputs if not _is_stored(source)]

    return head_of((main, {}, tensor), look)


def _is_stored(source: tuple[dict[str, Any], dict[str, Any], str]) -> bool:
    """Whether a node of TensorFlow's graph is a constant, a variable that is read, or an input."""
    nodes, arguments, name = source
    while name.split(":")[0] in arguments:
        nodes, arguments, name = arguments[name.split(":")[0]]
    node = nodes.get(name.split(":")[0])
    return node is not None and node.op in ("Const", "ReadVariableOp", "Placeholder", "VarHandleOp")
