"""What an output holds, by the operators before it, in each format."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from harness.formats.heads import graph_head, head_of, onnx_head, plain, tflite_head
from tests.models import model_facts, models
from tests.onnx_models import save
from tests.tflite_models import SMALL, dense, write

INPUT = [("x", "FLOAT", ["n", 3])]
CONSTANTS = {
    "w": np.ones((3, 1), np.float32),
    "b": np.ones(1, np.float32),
    "two": np.array(2, np.float32),
    "shape": np.array([-1], np.int64),
}
PRODUCT = ("z", "MatMul", ["x", "w"])


@pytest.mark.parametrize(
    ("nodes", "head"),
    [
        ([("y", "MatMul", ["x", "w"])], "logit"),
        ([PRODUCT, ("y", "Add", ["z", "b"])], "logit"),
        ([PRODUCT, ("y", "Div", ["z", "two"])], "logit"),
        ([PRODUCT, ("y", "Tanh", ["z"])], "logit"),
        ([PRODUCT, ("y", "Sigmoid", ["z"])], "probability"),
        ([PRODUCT, ("y", "HardSigmoid", ["z"])], "probability"),
        ([PRODUCT, ("p", "Sigmoid", ["z"]), ("y", "Reshape", ["p", "shape"])], "probability"),
        ([PRODUCT, ("p", "Sigmoid", ["z"]), ("y", "Cast", ["p"], {"to": 1})], "probability"),
        ([PRODUCT, ("p", "Sigmoid", ["z"]), ("y", "Clip", ["p"])], "probability"),
        ([PRODUCT, ("p", "Sigmoid", ["z"]), ("q", "Sigmoid", ["z"]), ("y", "Mean", ["p", "q"])], "probability"),
        ([PRODUCT, ("p", "Sigmoid", ["z"]), ("q", "Sigmoid", ["z"]), ("y", "Mul", ["p", "q"])], "probability"),
        ([PRODUCT, ("p", "Sigmoid", ["z"]), ("y", "Mul", ["p", "two"])], None),
        ([PRODUCT, ("p", "Sigmoid", ["z"]), ("y", "Sub", ["two", "p"])], None),
        ([PRODUCT, ("p", "Sigmoid", ["z"]), ("y", "Log", ["p"])], None),
        ([PRODUCT, ("y", "Relu", ["z"])], None),
        ([PRODUCT, ("y", "Clip", ["z"])], None),
        ([PRODUCT, ("p", "Sigmoid", ["z"]), ("y", "Mean", ["p", "z"])], None),
        ([("a", "ArgMax", ["x"]), ("y", "Cast", ["a"], {"to": 1})], "class"),
        ([PRODUCT, ("a", "Greater", ["z", "two"]), ("y", "Cast", ["a"], {"to": 1})], "class"),
        ([("y", "Identity", ["x"])], None),
        (
            [
                (["q", "s", "zero"], "DynamicQuantizeLinear", ["x"]),
                ("i", "MatMulInteger", ["q", "wq"]),
                ("c", "Cast", ["i"], {"to": 1}),
                ("k", "Mul", ["s", "two"]),
                ("m", "Mul", ["c", "k"]),
                ("y", "Add", ["m", "b"]),
            ],
            "logit",
        ),
    ],
)
def test_onnx_head(tmp_path, nodes, head):
    """Operators that only move or cast values are followed; scaled probabilities and values clipped at zero are unknown."""
    assert onnx_head(save(tmp_path, INPUT, nodes, outputs=["y"], **CONSTANTS), "y") == head


@pytest.mark.parametrize("name", ["small", "int8", "dynamic_int8", "float16"])
def test_tflite_head(name):
    """A softmax, quantized or not."""
    from harness.formats.tflite_graph import read_graph

    path = models() / f"{name}.tflite"
    graph = read_graph(path)
    assert tflite_head(path, graph.tensors[graph.outputs[0]].name) == "probability"
    assert tflite_head(path, "no such output") is None


def test_every_engine_reports_the_same():
    """Each engine reports the same for one model in its format."""
    assert model_facts()["heads"] == {
        "softmax": ["probability"] * 4,
        "linear": ["logit"] * 4,
        "sigmoid": ["probability"] * 4,
        "nested": ["probability"] * 4,
    }


def test_a_cycle_ends():
    """A damaged file may hold a cycle; the formats' spellings of an operator are equal."""
    assert head_of("a", lambda name: ("identity", [name])) is None
    assert plain("HARD_SIGMOID") == plain("HardSigmoid") == plain("hard_sigmoid")


def test_a_graph_is_followed_through_its_functions():
    """As in a SavedModel: the signature calls a function, whose outputs have a name and a position."""
    from types import SimpleNamespace as Is

    def node(name, op, inputs=(), function=""):
        return Is(name=name, op=op, input=list(inputs), attr={"f": Is(func=Is(name=function))})

    inner = [
        node("dense/MatMul", "MatMul", ["x", "read:value:0"]),
        node("act", "Sigmoid", ["dense/MatMul:product:0"]),
        node("out", "Identity", ["act:y:0"]),
    ]
    signature = Is(name="f", input_arg=[Is(name="x")], output_arg=[Is(name="logits"), Is(name="p")])
    function = Is(signature=signature, node_def=inner, ret={"p": "out:output:0", "logits": "dense/MatMul:product:0"})
    graph = Is(
        node=[node("x", "Placeholder"), node("call", "PartitionedCall", ["x"], "f"), node("Identity", "Identity", ["call:1", "^x"])],
        library=Is(function=[function]),
    )
    assert graph_head(graph, "Identity:0") == "probability"
    assert graph_head(graph, "call:0") == "logit"
    assert graph_head(graph, "elsewhere:0") is None


@pytest.mark.parametrize(("activation", "head"), [("NONE", "logit"), ("TANH", "logit"), ("RELU", None), ("RELU6", None)])
def test_a_fused_activation_is_part_of_the_head(tmp_path, activation, head):
    """It is stored in the options of the operator."""
    path = write(tmp_path / "m.tflite", [dense(SMALL, activation=getattr(schema.ActivationFunctionType, activation))])
    assert tflite_head(path, "y") == head
