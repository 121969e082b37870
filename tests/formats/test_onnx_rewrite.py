"""Rewrites of ONNX models: the same answers, with constants as initializers or weights in float16."""

from __future__ import annotations

import numpy as np
import pytest

from harness.formats import onnx as files
from harness.formats.onnx_rewrite import beyond_half, to_half, with_initializers
from tests.onnx_models import KERNEL, X, answers, branched, constant, model, product


@pytest.mark.parametrize(
    "made", [model([constant("w", KERNEL), product()]), branched(), branched(shared=True)], ids=["flat", "if", "if-outer"]
)
def test_constants_become_initializers_of_the_graph_that_uses_them(made):
    """The same answers; no weight is left in a `Constant` node or in the outer graph of a branch, and node names are unique."""
    rewritten = with_initializers(made)
    assert all(np.array_equal(answers(rewritten, sign * X), answers(made, sign * X)) for sign in (1, -1))
    graphs = [rewritten.graph, *(a.g for node in rewritten.graph.node for a in node.attribute if a.HasField("g"))]
    nodes = [node for graph in graphs for node in graph.node]
    assert not any(node.op_type == "Constant" for node in nodes) and len({node.name for node in nodes}) == len(nodes)
    for graph in graphs:
        own = {tensor.name for tensor in graph.initializer}
        assert all(node.input[1] in own for node in graph.node if node.op_type == "MatMul")


def test_weights_alone_in_float16():
    """In branches too; answers differ by rounding only, and values beyond the range of float16 stay in float32."""
    made = with_initializers(branched())
    reference = [answers(made, sign * X) for sign in (1, -1)]
    assert to_half(made) == 2 and files.stored_types(made) == {"float16"}
    assert all(np.allclose(answers(made, sign * X), was, rtol=2e-3, atol=2e-3) for sign, was in zip((1, -1), reference, strict=True))
    large = with_initializers(model([product()], [("w", 1e8 * KERNEL)]))
    assert to_half(large) == 0 and beyond_half(large) == ["MatMul_0_0"]
