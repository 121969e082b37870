"""A bare loop around an engine in a process of its own, as one would write it without the harness; prints the p50 in seconds.

python -m benchmarks.bare SECONDS < TASK.json
"""

from __future__ import annotations

import json
import os
import sys
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np


def litert(path: str, batch: np.ndarray) -> Callable[[Any], Any]:
    """A call of LiteRT: set, invoke, get."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    input_index, output_index = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(input_index, batch.shape)
    interpreter.allocate_tensors()

    def call(x: np.ndarray) -> Any:
        interpreter.set_tensor(input_index, x)
        interpreter.invoke()
        return interpreter.get_tensor(output_index)

    return call


def onnxruntime(path: str, batch: np.ndarray) -> Callable[[Any], Any]:
    """A call of ONNX Runtime: run."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})


def openvino(path: str, batch: np.ndarray) -> Callable[[Any], Any]:
    """A call of OpenVINO: write into the request's array, infer, read from it."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(f"{path}/model.xml")
    model.reshape(batch.shape)
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    inputs, outputs = request.get_input_tensor(0).data, request.get_output_tensor(0).data

    def call(x: np.ndarray) -> Any:
        inputs[...] = x
        request.infer()
        return outputs

    return call


def tensorflow(path: str, batch: np.ndarray) -> Callable[[Any], Any]:
    """A call of TensorFlow: a traced function, the result as an array."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = tf.keras.models.load_model(path)
    function = tf.function(lambda x: model(x, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec(batch.shape, tf.float32))
    return lambda x: concrete(tf.constant(x)).numpy()


def pytorch(path: str, batch: np.ndarray, *, compiled: bool = False) -> Callable[[Any], Any]:
    """A call of PyTorch: the module, or the compiled module."""
    import torch

    torch.set_num_threads(1)
    module: Callable[[Any], Any] = torch.load(f"{path}/module.pt", weights_only=False).eval()
    return torch.compile(module) if compiled else module


LOOPS = {"litert": litert, "onnxruntime": onnxruntime, "openvino": openvino, "tensorflow": tensorflow}


def bare_call(task: Mapping[str, Any], batch: np.ndarray) -> tuple[Callable[[Any], Any], Callable[[np.ndarray], Any]]:
    """The call of a task's engine, and the conversion of a batch to what the call takes, outside the timed region."""
    path = task["artifact"]["path"]
    if task["engine"] != "torch":
        return LOOPS[task["engine"]](path, batch), lambda x: x
    import torch

    return pytorch(path, batch, compiled=task["engine_options"].get("mode") == "compile"), torch.from_numpy


def inference(task: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """What the loop of a task's engine runs in: PyTorch's inference mode."""
    if task["engine"] != "torch":
        return nullcontext()
    import torch

    mode: AbstractContextManager[Any] = torch.inference_mode()
    return mode


def batches(task: Mapping[str, Any]) -> list[np.ndarray]:
    """Up to 256 batches of the task's test data."""
    (source,), size = task["inputs"], task["batch_size"]
    samples = np.load(source["path"])[source["key"]]
    return [np.ascontiguousarray(samples[i : i + size]) for i in range(0, len(samples) - size + 1, size)][:256]


def loop(call: Callable[[Any], Any], queries: Sequence[Any], seconds: float) -> np.ndarray:
    """Durations in ns of queries in turn, over a time in seconds."""
    times, clock = array("q"), time.monotonic_ns
    until = clock() + int(seconds * 1e9)
    index = 0
    while (began := clock()) < until:
        call(queries[index])
        times.append(clock() - began)
        index = (index + 1) % len(queries)
    return np.frombuffer(times, dtype=np.int64)


def main() -> None:
    """Warm up for a second, loop, and print the p50."""
    task = json.load(sys.stdin)
    arrays = batches(task)
    with inference(task):
        call, convert = bare_call(task, arrays[0])
        queries = [convert(x) for x in arrays]
        loop(call, queries, 1.0)
        print(float(np.median(loop(call, queries, float(sys.argv[1])))) * 1e-9)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
