"""Events of ONNX Runtime's profiler -> the kernels that ran, each with its precision and share."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from harness.analysis.kernels import MULTIPLIES
from harness.engines.base import Call, kernels_of, undisturbed
from harness.engines.onnxruntime_gpu import CPU, SUFFIX, TENSORRT
from harness.engines.torch_profile import named_precision
from harness.schema import Kernel

TYPES = {"float": "float32", "double": "float64", "string": "object"}
"""NumPy's names of ONNX Runtime's types, where they differ."""
INT8 = ("QLinear", "QGemm", "QAttention", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulInteger", "ConvInteger")
"""Prefixes of operators that multiply in 8-bit integers, regardless of the types of their inputs."""


def kernels(events: Sequence[dict[str, Any]], *, on_gpu: bool, tf32: bool) -> Sequence[Kernel]:
    """Kernels from the events of the profiler.

    On a GPU a node's time is that of its launch, so each node counts once, unless the library is built with NVIDIA's profiling interface and
    reports the kernels of the card.

    Args:
        events: Events of a few queries.
        on_gpu: Whether the nodes run on a GPU.
        tf32: Whether float32 products may be TensorFloat-32 there, so that a node's type does not determine its precision.
    """
    if not on_gpu:
        return kernels_of(undisturbed(calls_of(events)))
    if kernels := [event for event in events if event.get("cat") == "Kernel"]:
        return kernels_of([_card_call(event) for event in kernels])
    calls = calls_of(events)[-1]
    if any(kernel == TENSORRT.removesuffix(SUFFIX) for _, kernel, *_ in calls):  # most of the model, of which no precision is known
        return kernels_of([(op, kernel, None, 1.0) for op, kernel, *_ in calls], "operators")
    return kernels_of([(op, kernel, _known(op, kernel, computes_in, tf32=tf32), 1.0) for op, kernel, computes_in, _ in calls], "operators")


def _card_call(event: dict[str, Any]) -> Call:
    """The call of a kernel of the card, whose name may state its precision."""
    return event.get("args", {}).get("op_name") or event["name"], event["name"], named_precision(event["name"]), float(event["dur"])


def _known(op: str, provider: str | None, computes_in: str | None, *, tf32: bool) -> str | None:
    """Precision of a node on a GPU; None for a float32 product that may be TensorFloat-32."""
    on_card = provider != CPU.removesuffix(SUFFIX)
    return None if tf32 and on_card and computes_in == "float32" and MULTIPLIES.search(op) else computes_in


def calls_of(events: Sequence[dict[str, Any]]) -> list[list[Call]]:
    """Executed nodes with their times in microseconds, per query after the first, from the events of the profiler."""
    runs = sorted(event["ts"] for event in events if event["name"] == "model_run")
    queries: list[list[Call]] = [[] for _ in runs]
    for event in events:
        query = bisect_right(runs, event["ts"]) - 1
        if query >= 0 and event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            node = event["args"]
            computes_in = _computes_in(node["op_name"], node.get("input_type_shape") or ())
            queries[query].append((node["op_name"], node["provider"].removesuffix(SUFFIX), computes_in, float(event["dur"])))
    return queries[1:] or queries


def _computes_in(op: str, inputs: Sequence[dict[str, Any]]) -> str | None:
    """Type of the first input, by which the kernel is chosen; quantization itself is float arithmetic."""
    if op.startswith(INT8):
        return "int8"
    if op in ("QuantizeLinear", "DequantizeLinear") or not inputs:
        return "float32" if inputs else None
    kind = next(iter(inputs[0]))
    return "int8" if kind in ("int8", "uint8") else TYPES.get(kind, kind)
