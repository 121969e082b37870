"""The table of GGML's types."""

from __future__ import annotations

from harness.formats.ggml import FILE_TYPES, TYPES, shares


def test_the_table_is_that_of_the_package_gguf():
    """Every type that llama.cpp stores, with its number, block and size, and every file type."""
    from gguf.constants import GGML_QUANT_SIZES, LlamaFileType

    assert {(kind.number, kind.name, kind.block, kind.block_bytes) for kind in TYPES.values()} == {
        (int(kind), kind.name, *sizes) for kind, sizes in GGML_QUANT_SIZES.items()
    }
    theirs = {int(kind): kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in LlamaFileType if kind < 1024}
    assert theirs == FILE_TYPES


def test_a_quantized_type_has_a_name_of_its_own():
    """Not that of an integer: Q8_0 is no int8."""
    assert [TYPES[number].stored_as for number in (0, 1, 30, 8, 24)] == ["float32", "float16", "bfloat16", "q8_0", "int8"]
    assert [TYPES[number].is_integer for number in (0, 8, 24)] == [False, False, True]


def test_shares_are_those_of_the_elements():
    """The largest first; of nothing there are none."""
    assert shares([(TYPES[0], 25), (TYPES[8], 75)]) == {"Q8_0": 0.75, "F32": 0.25}
    assert shares([]) == {}
