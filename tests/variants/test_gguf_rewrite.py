"""GGUF files with tensors of other types: which tensors keep theirs, and one conversion by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.formats.ggml import TYPES
from harness.formats.gguf_header import Header, TensorInfo
from harness.variants.gguf_rewrite import converted, planned

Q8_0, F16, F32 = TYPES[8], TYPES[1], TYPES[0]


@pytest.mark.parametrize(
    ("name", "sizes", "kind"),
    [
        ("blk.0.attn_q.weight", (64, 64), Q8_0),
        ("blk.0.ffn_up_exps.weight", (64, 8, 4), Q8_0),
        ("token_embd.weight", (64, 9), Q8_0),
        ("blk.0.ffn_down.weight", (65, 64), F16),
        ("blk.0.attn_norm.weight", (64,), F32),
        ("blk.0.attn_norm.weight", (64, 1), F32),
        ("blk.0.attn_q_norm.weight", (64, 2), F32),
        ("blk.0.attn_q.bias", (64, 2), F32),
        ("blk.0.ffn_gate_inp.weight", (64, 8), F32),
        ("position_embd.weight", (64, 128), F32),
        ("blk.0.ssm_conv1d.weight", (4, 64), F32),
        ("blk.0.time_mix_w1.weight", (64, 32), F32),
    ],
)
def test_which_tensors_change(name, sizes, kind):
    """Matrices do, as in llama.cpp's quantizer; not routers, positions, norms and biases."""
    assert planned(Header({}, (TensorInfo(name, sizes, F32, 0),), 32, 0), Q8_0) == [kind]


def test_a_block_of_q8_0_by_hand():
    """A scale in float16, which is the largest value / 127, and 32 numbers of 8 bits."""
    values = np.arange(-31, 33, 2, dtype=np.float32)
    block = converted(values.tobytes(), TensorInfo("a", (32,), F32, 0), Q8_0)
    scale = np.frombuffer(block[:2], np.float16)[0]
    assert scale == np.float16(31 / 127) and len(block) == 34
    assert np.frombuffer(block[2:], np.int8).tolist() == np.round(values * 127 / 31).tolist()
