"""The precision that ran is that of what multiplies, by share; what is not known stays None."""

from __future__ import annotations

import pytest

from harness.analysis.kernels import kernels_text, precision_of, share_of
from harness.schema import Kernel


def kernel(op, precision, share, **more) -> Kernel:
    """One of several."""
    return Kernel(op=op, precision=precision, share=share, **more)


ENDS = [kernel("Reorder", "float32", 0.6), kernel("Convolution", "int8", 0.3), kernel("MatMul", "float32", 0.1)]


@pytest.mark.parametrize(
    ("basis", "text"),
    [("time", "Conv 100 %"), ("macs", "Conv 100 % of the multiply-accumulates"), ("operators", "Conv 100 % of the operators")],
)
def test_a_share_names_its_basis(basis, text):
    """Unless it is time."""
    assert kernels_text([kernel("Conv", None, 1.0, basis=basis)]) == text


@pytest.mark.parametrize(
    ("kernels", "precision"),
    [
        (ENDS, "int8"),
        ([kernel("Softmax", "float32", 0.9), kernel("Add", "int32", 0.1)], "float32"),
        ([kernel("Convert", "int8", 0.9), kernel("FULLY_CONNECTED", "float32", 0.1)], "float32"),
        ([kernel("CONV_2D", None, 1.0)], None),
        ([kernel("Conv", None, 0.9), kernel("Gemm", "float32", 0.1)], None),
        ([kernel("Conv", None, 0.1), kernel("Gemm", "float32", 0.9)], "float32"),
        ([kernel("aten::round", "float32", 0.6), kernel("aten::_int_mm", "int8", 0.4)], "int8"),
        ([kernel("compiled graph: fused kernels", None, 0.6), kernel("onednn::qlinear_pointwise", "int8", 0.4)], "int8"),
        ([kernel("aten::copy_", "float32", 0.6), kernel("aten::_weight_int8pack_mm", "bfloat16", 0.4)], "bfloat16"),
        ([kernel("aten::add", "int8", 0.6), kernel("mkldnn::_linear_pointwise", "float32", 0.4)], "float32"),
        ([kernel("mkl::_mkl_linear", "float32", 0.4), kernel("aten::add", "int8", 0.6)], "float32"),
        ([kernel("triton_tem_fused_mm_0", None, 0.6), kernel("aten::mm", "float32", 0.4)], None),
        ([kernel("QuantizeLinear", "float32", 0.6), kernel("QLinearMatMul", "int8", 0.4)], "int8"),
        ([kernel("aten::upsample_bilinear2d", "float32", 0.6), kernel("aten::addmm", "bfloat16", 0.4)], "bfloat16"),
        ([], None),
    ],
)
def test_the_precision_is_that_of_what_multiplies(kernels, precision):
    """Not that of the conversions around it; where nothing multiplies, of all. None if more of it is of an unknown precision."""
    assert precision_of(kernels) == precision


def test_the_share_is_of_the_whole():
    """The whole includes kernels that do not multiply; None if no precision is known, 0 if none is the requested one."""
    assert share_of(ENDS, "int8") == pytest.approx(0.3)
    assert share_of(ENDS, "bfloat16") == 0
    assert share_of([kernel("Conv", None, 1.0)], "int8") is None
    assert share_of([], "int8") is None


def test_the_text_has_the_largest_kernels_and_the_basis_of_their_shares():
    """Never multiply-accumulates for times."""
    assert kernels_text([kernel("Conv", "int8", 0.706, kernel="jit_avx2_I8")]) == "Conv jit_avx2_I8 int8 71 %"
    assert kernels_text([kernel("CONV_2D", None, 1.0, basis="macs")]) == "CONV_2D 100 % of the multiply-accumulates"
    assert kernels_text([]) is None
