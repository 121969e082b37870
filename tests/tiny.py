"""A suite with a minimal model: a user's own ONNX file with one matrix product, and data that it classifies without an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SUITE = """\
name: tiny
models:
  - name: product
    path: product.onnx
    data:
      test: {inputs: "data.npz:x", labels: "data.npz:y"}
matrices:
  - variants: [dense]
    engines: [onnxruntime]
    batch_sizes: [1, 4]
"""


def write(folder: Path, suite: str = SUITE) -> Path:
    """Write model, data and suite; returns the path of the suite."""
    import onnx
    from onnx import TensorProto, helper

    weights = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["in put:0", "w"], ["scores"])],
        "product",
        [helper.make_tensor_value_info("in put:0", TensorProto.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "product.onnx")
    x = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=np.argmax(x @ weights, axis=1))
    path = folder / "suite.yaml"
    path.write_text(suite)
    return path
