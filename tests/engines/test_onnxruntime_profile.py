"""Events of ONNX Runtime's profiler."""

import pytest

from harness.engines.base import kernels_of, undisturbed
from harness.engines.onnxruntime_profile import calls_of
from harness.engines.onnxruntime_profile import kernels as kernels_from


def test_interrupted_queries_do_not_distort_the_shares():
    """Two of five queries were interrupted while quantizing: the products still take 30 of 40 us. The first query warms up."""
    events = []
    for number, lost_us in enumerate((500.0, 0.0, 4000.0, 0.0, 9000.0, 0.0)):
        start = 1e6 * number
        events.append({"name": "model_run", "ts": start, "dur": 1e5})
        for name, op, kind, us in (("a", "QLinearConv", "uint8", 30.0), ("b", "QuantizeLinear", "float", 10.0 + lost_us)):
            arguments = {"op_name": op, "provider": "CPUExecutionProvider", "input_type_shape": [{kind: [1]}]}
            events.append({"name": f"{name}_kernel_time", "cat": "Node", "ts": start + 1, "dur": us, "args": arguments})
    first, second = kernels_of(undisturbed(calls_of(events)))
    assert (first.op, first.precision, first.share) == ("QLinearConv", "int8", pytest.approx(0.75))
    assert second.share == pytest.approx(0.25)


def test_nodes_on_a_gpu_count_once():
    """Their times are those of launches. A float32 product that may be TensorFloat-32 has no known precision; no node has, where TensorRT ran some."""
    events = []
    for start in (0.0, 1e6):
        events.append({"name": "model_run", "ts": start, "dur": 1e5})
        for op, provider, us in (("MatMul", "CUDA", 900.0), ("Relu", "CUDA", 1.0), ("Shape", "CPU", 1.0), ("Cast", "CUDA", 5.0)):
            arguments = {"op_name": op, "provider": f"{provider}ExecutionProvider", "input_type_shape": [{"float": [1]}]}
            events.append({"name": f"{op}_kernel_time", "cat": "Node", "ts": start + 1, "dur": us, "args": arguments})
    for tf32, product in ((False, "float32"), (True, None)):
        kernels = {kernel.op: kernel for kernel in kernels_from(events, on_gpu=True, tf32=tf32)}
        assert {kernel.share for kernel in kernels.values()} == {0.25} and kernels["Relu"].basis == "operators"
        assert (kernels["MatMul"].precision, kernels["Relu"].precision) == (product, "float32")
        assert kernels["Shape"].kernel == "CPU"
    events[-1]["args"] |= {"op_name": "TRTKernel_0", "provider": "TensorrtExecutionProvider"}
    assert {kernel.precision for kernel in kernels_from(events, on_gpu=True, tf32=False)} == {None}


def test_kernels_of_the_card_are_preferred():
    """A library that is built with NVIDIA's profiling interface reports them; a name may state the precision."""
    name = "cutlass_80_tensorop_s1688gemm_128x128"
    events = [{"cat": "Kernel", "name": name, "ts": 5, "dur": 30.0, "args": {"op_name": "MatMul"}}]
    (kernel,) = kernels_from(events, on_gpu=True, tf32=True)
    assert (kernel.op, kernel.kernel, kernel.precision, kernel.basis) == ("MatMul", name, "tf32", "time")
