"""Precision of most of the arithmetic, from the kernels that ran; share of a precision, and a summary."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from harness.schema import Kernel

MULTIPLIES = re.compile(
    r"conv(?!ert)|matmul|gemm|fully_?connected|einsum|lstm|gru|rnn|attention|dense"
    r"|::_?(mkl_)?q?linear|::\w*mm(?![a-z])|^triton_tem_",  # operators of PyTorch, as aten::addmm, and templates of its compiler
    re.IGNORECASE,
)
"""Names of operators that multiply by weights, in all engines."""
SUMMARISED = 3


def precision_of(kernels: Sequence[Kernel]) -> str | None:
    """Precision of the largest share of the arithmetic; None if unknown, or if more of it has an unknown precision.

    Moving and converting numbers does not count, so that a small int8 model is not float32 for its inputs and outputs.
    """
    shares: defaultdict[str | None, float] = defaultdict(float)
    for kernel in arithmetic(kernels):
        shares[kernel.precision] += kernel.share
    return max(shares, key=lambda precision: shares[precision], default=None)


def share_of(kernels: Sequence[Kernel], precision: str) -> float | None:
    """Share of the whole in kernels of a precision, 0 to 1; None if no kernel has a known precision."""
    known = [kernel for kernel in kernels if kernel.precision]
    return sum(kernel.share for kernel in known if kernel.precision == precision) if known else None


def kernels_text(kernels: Sequence[Kernel]) -> str | None:
    """The largest kernels in a line, `Conv jit_avx2_I8 71 %, ...`, with the basis of the shares if it is not time; None if there are none."""
    if not kernels:
        return None
    parts = [" ".join(filter(None, (k.op, k.kernel, k.precision, f"{100 * k.share:.0f} %"))) for k in kernels[:SUMMARISED]]
    return ", ".join(parts) + (" of the multiply-accumulates" if kernels[0].basis == "macs" else "")


def arithmetic(kernels: Sequence[Kernel]) -> Sequence[Kernel]:
    """The kernels that multiply by weights, or all if none does."""
    return [kernel for kernel in kernels if MULTIPLIES.search(kernel.op)] or kernels
