"""Queries under torch.profiler -> the kernels that ran, each with its precision and its share of the time."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.engines.base import Call, in_time, kernels_of, undisturbed
from harness.schema import Kernel

QUERY = "harness_query"
TYPES = {
    "float": "float32",
    "double": "float64",
    "c10::BFloat16": "bfloat16",
    "c10::Half": "float16",
    "c10::Float8_e4m3fn": "float8",
    "c10::Float8_e5m2": "float8",
    "signed char": "int8",
    "unsigned char": "int8",
}
"""The profiler's names of tensor types."""
IN_NAME = (
    ("e4m3", "float8"), ("e5m2", "float8"), ("tf32", "tf32"), ("bf16", "bfloat16"), ("i8816", "int8"), ("i16832", "int8"), ("_i8", "int8"), ("imma", "int8"),
    ("f16", "float16"), ("fp16", "float16"), ("h884", "float16"), ("s16816gemm", "float16"), ("s1688gemm", "tf32"), ("sgemm", "float32"),
)  # fmt: skip
"""Parts of the names of CUDA kernels (cuBLAS, cuDNN, CUTLASS) that state what they compute in, the most specific first."""
INT8_OPERATORS = ("aten::_int_mm", "onednn::qlinear", "onednn::qconv", "quantized::")
"""Operators that multiply 8-bit integers, whatever the types that the profiler reports of their inputs."""

UNNAMED = "nvjet"
"""Kernels of cuBLASLt whose names have no type: those that take float32 may compute in TensorFloat-32."""
FUSED = {"triton_poi": "fused element-wise kernel", "triton_red": "fused reduction", "triton_per": "fused reduction"}
"""Kernels that the compiler wrote in Triton. They bear the names of the operators around them, as triton_poi_fused_convolution_relu_0, and
multiply no matrices; templates that do are triton_tem."""
COMPILED = {"## Call CompiledFxGraph": "compiled graph: fused kernels", "Torch-Compiled Region": "compiled graph: call"}
"""Spans of compiled graphs. The kernels that the compiler wrote for a CPU are in the time that the first spends in itself; the trace has no
types of them. They do not multiply matrices: products and convolutions are calls of oneDNN, MKL or ATen, which the trace names."""


def profile(torch: Any, answer: Callable[[Any], Any], queries: Sequence[Any], seconds: float) -> Sequence[Kernel]:
    """The kernels of a query.

    Args:
        torch: The package.
        answer: Runs one staged query and waits for its answer.
        queries: Staged; the first warms up.
        seconds: About how long it may take.

    Returns:
        Largest share first: on a GPU its kernels, on the CPU operators by the time spent in themselves.
    """
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        with torch.profiler.profile(activities=activities, record_shapes=True) as recorder:
            for query in in_time(queries, seconds):
                with torch.profiler.record_function(QUERY):
                    answer(query)
        path = Path(folder) / "trace.json"
        recorder.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    return kernels_of(undisturbed(calls(events)))


def calls(events: Sequence[Mapping[str, Any]]) -> list[list[Call]]:
    """The calls of each query after the first, from a trace of torch.profiler, us.

    Args:
        events: `traceEvents` of the exported trace.
    """
    timed = [event for event in events if event.get("ph") == "X" and "dur" in event]
    spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in timed if e["name"] == QUERY and e.get("cat") == "user_annotation")
    kernels = [event for event in timed if event.get("cat") == "kernel"]
    operators = [event for event in timed if event.get("cat") == "cpu_op"]
    timed_calls = _gpu_calls(kernels, operators) if kernels else _cpu_calls(operators)
    queries: list[list[Call]] = [[] for _ in spans]
    for start, call in timed_calls:
        index = next((n for n, (begin, end) in enumerate(spans) if begin <= start < end), None)
        if index is not None:
            queries[index].append(call)
    return queries[1:] or queries


def _gpu_calls(kernels: Sequence[Mapping[str, Any]], operators: Sequence[Mapping[str, Any]]) -> Iterator[tuple[float, Call]]:
    """(start, call) of each kernel; its operator is that of the same external id."""
    by_id = {event["args"].get("External id"): event for event in operators if "args" in event}
    for kernel in kernels:
        operator = by_id.get(kernel["args"].get("External id"))
        precision = named_precision(kernel["name"]) or (_input_type(operator) if operator else None)
        name = kernel["name"].lower()
        if name.startswith(UNNAMED) and precision == "float32":
            precision = None
        start = operator["ts"] if operator else kernel["ts"]
        fused = next((text for prefix, text in FUSED.items() if name.startswith(prefix)), None)
        yield start, (fused or (operator["name"] if operator else kernel["name"]), kernel["name"], precision, float(kernel["dur"]))


def named_precision(kernel: str) -> str | None:
    """Precision that the name of a CUDA kernel states; None if it states none."""
    return next((precision for part, precision in IN_NAME if part in kernel.lower()), None)


def _cpu_calls(operators: Sequence[Mapping[str, Any]]) -> Iterator[tuple[float, Call]]:
    """(start, call) of each operator, with the time spent in itself: less that of the operators that it calls."""
    threads = defaultdict(list)
    for event in sorted(operators, key=lambda event: (event["ts"], -event["dur"])):
        threads[event.get("tid")].append(event)
    for events in threads.values():
        open_: list[tuple[Mapping[str, Any], list[float]]] = []
        closed = []
        for event in events:
            while open_ and event["ts"] >= open_[-1][0]["ts"] + open_[-1][0]["dur"]:
                closed.append(open_.pop())
            if open_:
                open_[-1][1].append(event["dur"])
            open_.append((event, []))
        for event, children in (*closed, *open_):
            yield event["ts"], (_operator(event["name"]), None, _input_type(event), max(0.0, event["dur"] - sum(children)))


def _operator(name: str) -> str:
    """An operator's name; of a span of a compiled graph what it spends in itself, without the number or hash of the graph."""
    return next((text for start, text in COMPILED.items() if name.startswith(start)), name)


def _input_type(event: Mapping[str, Any]) -> str | None:
    """Type of the operator's first tensor; None where it takes none."""
    if event["name"].startswith(INT8_OPERATORS):
        return "int8"
    types = [kind for kind in event.get("args", {}).get("Input type", ()) if kind in TYPES]
    return TYPES[types[0]] if types else None
