"""Generation for one batch after the other, on fakes of PyTorch's parts that decide shapes; tokens are tested in test_transformers.py."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.engines.transformers_decoder import TransformersDecoder, rounded


class Cache:
    """A cache that counts how often it was emptied."""

    def __init__(self, config, max_cache_len=None):
        self.length, self.resets = max_cache_len, 0

    def reset(self):
        """Empty it."""
        self.resets += 1


def decoder(length):
    """A decoder of a model that is never called."""
    torch = SimpleNamespace(tensor=lambda values, **_: values, long=int)
    model = SimpleNamespace(forward=lambda input_ids, cache: None, config=None, device="cpu")
    model.generation_config = SimpleNamespace(eos_token_id=[1, 2])
    return TransformersDecoder(
        torch, SimpleNamespace(StaticCache=Cache, DynamicCache=Cache), type("M", (), {"__call__": None, **vars(model)})(), length
    )


@pytest.mark.parametrize(("tokens", "length"), [(1, 32), (32, 32), (33, 64), (96.5, 96)])
def test_lengths_are_multiples(tokens, length):
    """Of 32 tokens."""
    assert rounded(tokens) == length


def test_a_static_cache_is_kept_for_batches_of_one_shape():
    """A compiled step finds its tensors where they were; a longer batch gets one of twice the length, so that there are few of them."""
    each = decoder(64)
    first = each._new_cache(4, 60)
    assert each._new_cache(4, 64) is first and first.resets == 1 and each.capacity == 64
    longer = each._new_cache(4, 65)
    assert longer.length == 128 and each.capacity == 128
    assert each._new_cache(2, 10).length == 64 == each.planned and each.longest == 128


def test_a_growing_cache_is_new_for_each_batch():
    """It has no length."""
    each = decoder(None)
    assert each._new_cache(4, 60) is not each._new_cache(4, 60)
    assert each.capacity is None
