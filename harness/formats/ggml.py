"""Types of the tensors in a GGUF file: name, block and size of each, and the shares of a model that are stored in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple


class GgmlType(NamedTuple):
    """A type of tensors.

    Attributes:
        number: Its number in a file.
        name: GGML's name.
        block: Number of consecutive elements of a row that are stored together; rows are a whole number of blocks.
        block_bytes: Size of a block.
        numpy: NumPy's name of a plain type; None for a quantized one.
    """

    number: int
    name: str
    block: int
    block_bytes: int
    numpy: str | None = None

    @property
    def stored_as(self) -> str:
        """Name for the record: NumPy's for a plain type, GGML's in lower case for a quantized one."""
        return self.numpy or self.name.lower()

    @property
    def is_float(self) -> bool:
        """Whether it is a plain floating-point type."""
        return self.numpy in FLOATS

    @property
    def is_integer(self) -> bool:
        """Whether it is a plain integer type, which holds no weights."""
        return self.numpy is not None and not self.is_float

    def row_bytes(self, elements: int) -> int:
        """Size of a row."""
        return elements // self.block * self.block_bytes


FLOATS = ("float32", "float16", "bfloat16", "float64")
F32, F16, BF16, Q4_0, Q8_0 = 0, 1, 30, 2, 8
TYPES: dict[int, GgmlType] = {
    each.number: each
    for each in (
        GgmlType(F32, "F32", 1, 4, "float32"),
        GgmlType(F16, "F16", 1, 2, "float16"),
        GgmlType(Q4_0, "Q4_0", 32, 18),
        GgmlType(3, "Q4_1", 32, 20),
        GgmlType(6, "Q5_0", 32, 22),
        GgmlType(7, "Q5_1", 32, 24),
        GgmlType(Q8_0, "Q8_0", 32, 34),
        GgmlType(9, "Q8_1", 32, 40),
        GgmlType(10, "Q2_K", 256, 84),
        GgmlType(11, "Q3_K", 256, 110),
        GgmlType(12, "Q4_K", 256, 144),
        GgmlType(13, "Q5_K", 256, 176),
        GgmlType(14, "Q6_K", 256, 210),
        GgmlType(15, "Q8_K", 256, 292),
        GgmlType(16, "IQ2_XXS", 256, 66),
        GgmlType(17, "IQ2_XS", 256, 74),
        GgmlType(18, "IQ3_XXS", 256, 98),
        GgmlType(19, "IQ1_S", 256, 50),
        GgmlType(20, "IQ4_NL", 32, 18),
        GgmlType(21, "IQ3_S", 256, 110),
        GgmlType(22, "IQ2_S", 256, 82),
        GgmlType(23, "IQ4_XS", 256, 136),
        GgmlType(24, "I8", 1, 1, "int8"),
        GgmlType(25, "I16", 1, 2, "int16"),
        GgmlType(26, "I32", 1, 4, "int32"),
        GgmlType(27, "I64", 1, 8, "int64"),
        GgmlType(28, "F64", 1, 8, "float64"),
        GgmlType(29, "IQ1_M", 256, 56),
        GgmlType(BF16, "BF16", 1, 2, "bfloat16"),
        GgmlType(34, "TQ1_0", 256, 54),
        GgmlType(35, "TQ2_0", 256, 66),
        GgmlType(39, "MXFP4", 32, 17),
        GgmlType(40, "NVFP4", 64, 36),
        GgmlType(41, "Q1_0", 128, 18),
    )
}
"""All types that llama.cpp stores, by number; those that are missing were removed from it."""
FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L",
    14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
    36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0",
}  # fmt: skip
"""Names of llama.cpp's file types, by `general.file_type`: what a file claims to be, not what each tensor has."""


def shares(sizes: Iterable[tuple[GgmlType, int]]) -> dict[str, float]:
    """Share of the elements that is stored in each type, by GGML's name, largest first.

    Args:
        sizes: Type and number of elements of each tensor.
    """
    counts: Counter[str] = Counter()
    for kind, elements in sizes:
        counts[kind.name] += elements
    total = counts.total()
    return {name: round(number / total, 6) for name, number in counts.most_common()} if total else {}
