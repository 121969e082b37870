"""The interface of an engine: tensors, checks of a case, and shares of kernels."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from harness.engines import base
from harness.engines.base import EngineOptions, Load, Tensor, check_batch, in_time, intra_op_threads, kernels_of, undisturbed
from harness.errors import EngineError

QUANTIZED = Tensor("x", (None, 3), np.dtype(np.int8), scale=0.5, zero_point=-1)


def test_a_quantized_tensor_is_encoded_and_decoded():
    """Q = real / scale + zero_point, rounded and clipped; values of its own type are left as they are."""
    encoded = QUANTIZED.encode(np.array([[0.0, 1.1, 1000.0]]))
    assert encoded.dtype == np.int8 and encoded.tolist() == [[-1, 1, 127]]
    assert QUANTIZED.decode(encoded[:, :2]).tolist() == [[0.0, 1.0]]
    assert QUANTIZED.encode(encoded) is encoded


def test_a_float_tensor_is_only_converted():
    """To its type, in C order."""
    tensor = Tensor("x", (None, 2), np.dtype(np.float32))
    encoded = tensor.encode(np.asfortranarray(np.ones((2, 2))))
    assert encoded.dtype == np.float32 and encoded.flags.c_contiguous
    assert tensor.decode(encoded) is encoded


def tensors(*shapes):
    """Inputs of these shapes."""
    return [Tensor(f"x{place}", shape, np.dtype(np.float32)) for place, shape in enumerate(shapes)]


@pytest.mark.parametrize(
    ("shapes", "batch_size"),
    [([(None, 3)], 32), ([(8, 3)], 8), ([(None, 3), (2, 4)], 1), ([()], 1), ([(1, 3), (None, 3)], 1), ([], 4)],
    ids=["dynamic", "fixed", "state", "scalar", "fixed and dynamic", "no inputs"],
)
def test_a_batch_that_fits(shapes, batch_size):
    """With a batch of 1, one input that takes it is enough."""
    check_batch(tensors(*shapes), batch_size)


@pytest.mark.parametrize(("shapes", "batch_size", "name"), [([(8, 3)], 1, "x0"), ([(None, 3), (2, 4)], 32, "x1"), ([(None,), ()], 2, "x1")])
def test_a_batch_that_does_not_fit_is_refused(shapes, batch_size, name):
    """Naming the input, its shape and the batch."""
    with pytest.raises(EngineError, match=rf"input '{name}' has the fixed shape .* batch of {batch_size}") as caught:
        check_batch(tensors(*shapes), batch_size)
    assert caught.value.refused and "batch_sizes" in caught.value.hint


def load_of(threads, inter_op):
    """A case with these threads."""
    return Load(Path("model"), "any", "cpu", 1, threads, SimpleNamespace(inter_op=inter_op))


def test_parallel_operators_share_the_threads_of_the_case():
    """The other operators need a thread each."""
    assert [intra_op_threads(load_of(4, inter_op)) for inter_op in (1, 2, 4)] == [4, 3, 1]
    with pytest.raises(EngineError, match="inter_op: 5 would use more cores than the 4 of the case") as caught:
        intra_op_threads(load_of(4, 5))
    assert caught.value.refused


def test_an_unknown_option_is_an_error():
    """Not ignored."""
    with pytest.raises(ValidationError, match="fast"):
        EngineOptions(fast=True)


def test_queries_end_with_the_time_but_two_always_run(monkeypatch):
    """One to warm up and one to profile."""
    clock = itertools.count()
    monkeypatch.setattr(base.time, "monotonic", lambda: next(clock))
    assert list(in_time([[n] for n in range(9)], 0.5)) == [[0], [1]]
    assert list(in_time([[n] for n in range(9)], 3.5)) == [[0], [1], [2], [3], [4]]


def test_kernels_have_their_share_of_the_total():
    """Calls of one kernel are added, the largest share comes first, and a kernel without time is left out."""
    kernels = kernels_of([("Conv", "a", "int8", 1.0), ("Add", "b", None, 0.0), ("Conv", "a", "int8", 2.0), ("Gemm", None, "float32", 1.0)])
    assert [(k.op, k.precision, k.share, k.basis) for k in kernels] == [("Conv", "int8", 0.75, "time"), ("Gemm", "float32", 0.25, "time")]
    assert kernels_of([]) == ()


def test_interrupted_queries_are_left_out():
    """The faster half counts; of three queries two."""
    queries = [[("Conv", None, None, us)] for us in (30.0, 500.0, 31.0)]
    assert [us for *_, us in undisturbed(queries)] == [30.0, 31.0]
