"""Matrix products of a size that takes about a millisecond on a device: the load of a probe."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

LONGEST_S = 0.002
"""Longest product, so that the load is switched on and off sharply."""
SIZES = (256, 512, 1024, 2048, 3072, 4096, 6144, 8192)
TRIES = 3

Work = Callable[[], None]


def sized_work(product_of: Callable[[int], Work], sizes: tuple[int, ...] = SIZES) -> Work:
    """The product of the largest matrices that takes at most `LONGEST_S`, or of the smallest.

    Args:
        product_of: Function from the number of rows and columns to a function that computes one product and waits for it.
        sizes: Sizes to try, smallest first, until one takes too long.
    """
    chosen = product_of(sizes[0])
    for size in sizes:
        work = product_of(size)
        work()  # compiles or selects a kernel
        if statistics.median(_seconds(work) for _ in range(TRIES)) > LONGEST_S:
            break
        chosen = work
    return chosen


def _seconds(work: Work) -> float:
    began_s = time.monotonic()
    work()
    return time.monotonic() - began_s


def onnx_product(size: int) -> bytes:
    """An ONNX model that multiplies the square matrix `a` by itself."""
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size, size]) for name in ("a", "b")]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "a"], ["b"])], "product", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8  # old enough for every supported ONNX Runtime
    return bytes(model.SerializeToString())
