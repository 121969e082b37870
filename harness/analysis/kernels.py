"""The kernels that ran -> what most of the arithmetic was computed in, and how much of it in int8."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from harness.schema import Kernel

MULTIPLIES = re.compile(r"conv(?!ert)|matmul|gemm|fully_?connected|einsum|lstm|gru|rnn|attention|dense", re.IGNORECASE)
"""What the names of operators that multiply by weights have in them, whichever engine names them."""
SHOWN = 3


def precision_of(kernels: Sequence[Kernel]) -> str | None:
    """The precision of the largest share of what multiplies; of all where nothing does; null where it is not known.

    Moving and converting numbers is left out, or a small int8 model would be called float32 for its ends.
    """
    shares: defaultdict[str, float] = defaultdict(float)
    for kernel in arithmetic(kernels):
        if kernel.precision:
            shares[kernel.precision] += kernel.share
    return max(shares, key=lambda precision: shares[precision], default=None)


def share_of(kernels: Sequence[Kernel], precision: str) -> float | None:
    """The share of the whole in kernels of a precision, 0 to 1; null where no kernel tells its precision."""
    known = [kernel for kernel in kernels if kernel.precision]
    return sum(kernel.share for kernel in known if kernel.precision == precision) if known else None


def kernels_text(kernels: Sequence[Kernel]) -> str | None:
    """The largest, in a line: `Conv jit_avx2_I8 71 %, ...`; shares of multiply-accumulates say so; null where none is known."""
    if not kernels:
        return None
    said = [" ".join(filter(None, (k.op, k.kernel, k.precision, f"{k.share:.0%}".replace("%", " %")))) for k in kernels[:SHOWN]]
    return ", ".join(said) + (" of the multiply-accumulates" if kernels[0].basis == "macs" else "")


def arithmetic(kernels: Sequence[Kernel]) -> Sequence[Kernel]:
    """Those that multiply by weights; all where none does."""
    return [kernel for kernel in kernels if MULTIPLIES.search(kernel.op)] or kernels
