"""Traces of torch.profiler, as it exports them, without PyTorch."""

from __future__ import annotations

import pytest

from harness.engines.torch_profile import QUERY, calls


def event(name, ts, dur, cat="cpu_op", tid=1, **args):
    """An event of a trace, times in us."""
    return {"ph": "X", "name": name, "ts": ts, "dur": dur, "cat": cat, "tid": tid, "args": args}


def query(ts, dur):
    """The span of a query."""
    return event(QUERY, ts, dur, "user_annotation")


FLOAT = {"Input type": ["float", "float"]}


def test_operators_are_counted_by_their_own_time():
    """An operator's children are subtracted; the first query, which warms up, is left out."""
    trace = [
        query(0, 10),
        event("aten::mm", 1, 8, **FLOAT),
        query(20, 100),
        event("aten::linear", 21, 90, **FLOAT),
        event("aten::addmm", 25, 70, **{"Input type": ["c10::BFloat16", "Scalar"]}),
    ]
    assert calls(trace) == [[("aten::linear", None, "float32", 20.0), ("aten::addmm", None, "bfloat16", 70.0)]]


@pytest.mark.parametrize(
    ("kernel", "precision"),
    [
        ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n", "bfloat16"),
        ("cutlass_80_tensorop_s1688gemm_128x128", "tf32"),
        ("sm80_xmma_gemm_i8i32_i8i32", "int8"),
        ("turing_fp16_s1688gemm_fp16_128x128_ldg8_f2f_tn", "float16"),
        ("ampere_sgemm_128x64_tn", "float32"),
        ("ampere_fp16_s16816gemm_fp16", "float16"),
        ("elementwise_kernel", "float32"),
        ("sm90_xmma_gemm_e4m3bf16_e4m3f32_f32_tn_n_tilesize128x128x128", "float8"),
        ("nvjet_sss_128x128_64x4", None),
        ("cutlass_80_tensorop_i16832gemm_s8_256x128_128x3_tn_align16", "int8"),
    ],
)
def test_kernels_of_a_gpu_state_their_precision_in_their_name(kernel, precision):
    """Otherwise it is that of the operator that launched them."""
    trace = [query(0, 50), event("aten::mm", 1, 8, **{"External id": 7, **FLOAT}), event(kernel, 60, 30, "kernel", **{"External id": 7})]
    assert calls(trace) == [[("aten::mm", kernel, precision, 30.0)]]


def test_8_bit_operators_are_int8_whatever_goes_in():
    """Their inputs are floats with scales."""
    trace = [query(0, 50), event("onednn::qlinear_pointwise", 1, 8, **FLOAT)]
    assert calls(trace)[0][0][2] == "int8"


def test_an_operator_without_tensors_has_no_precision():
    """As aten::empty."""
    assert calls([query(0, 50), event("aten::empty", 1, 8)]) == [[("aten::empty", None, None, 8.0)]]


def test_the_spans_of_compiled_graphs_have_one_name():
    """Not one for each graph; what they spend in themselves has no known precision."""
    trace = [
        query(0, 90),
        event("Torch-Compiled Region: 1/0", 1, 80),
        event("## Call CompiledFxGraph fabc ##", 5, 70),
        event("onednn::qconv_pointwise", 10, 50, **FLOAT),
    ]
    assert sorted(calls(trace)[0], key=str) == [
        ("compiled graph: call", None, None, 10.0),
        ("compiled graph: fused kernels", None, None, 20.0),
        ("onednn::qconv_pointwise", None, "int8", 50.0),
    ]


def test_float8_has_its_name():
    """As torch._scaled_mm takes it."""
    scaled = event("aten::_scaled_mm", 1, 8, **{"Input type": ["c10::Float8_e4m3fn", "c10::Float8_e4m3fn", "float"]})
    assert calls([query(0, 50), scaled])[0][0][2] == "float8"


@pytest.mark.parametrize(
    ("kernel", "operator"),
    [
        ("triton_poi_fused_convolution_relu_0", "fused element-wise kernel"),
        ("triton_red_fused_addmm_native_layer_norm_2", "fused reduction"),
        ("triton_tem_fused_mm_0", "triton_tem_fused_mm_0"),
    ],
)
def test_fused_kernels_of_triton_do_not_count_as_the_products_in_their_names(kernel, operator):
    """Except templates of products, whose precision is unknown."""
    trace = [query(0, 90), event(kernel, 1, 8, **{"External id": 7}), event(kernel, 60, 30, "kernel", **{"External id": 7})]
    assert calls(trace) == [[(operator, kernel, None, 30.0)]]
