"""llama.cpp's server out of the wheel: its parameters, with a stand-in of the wheel."""

from argparse import Namespace
from types import SimpleNamespace

import pytest

from harness.serving import llamacpp

ARGUMENTS = {"model": "/m.gguf", "port": 8000, "threads": 3, "parallel": 4, "ctx_size": 4096, "cache_type": None}


@pytest.fixture
def wheel():
    """A stand-in of the module."""
    cores = lambda: SimpleNamespace(n_threads=-1)  # noqa: E731
    return SimpleNamespace(
        CommonParams=lambda: SimpleNamespace(model=SimpleNamespace(path=""), cpuparams=cores(), cpuparams_batch=cores()),
        ggml_type=SimpleNamespace(GGML_TYPE_Q8_0=8),
    )


def test_nothing_is_cached_between_requests(wheel):
    """Nor adapted to the memory or downloaded; slots, context and threads are those of the case."""
    made = llamacpp.parameters(wheel, Namespace(**ARGUMENTS))
    assert (made.cache_prompt, made.cache_idle_slots, made.cache_ram_mib, made.fit_params) == (False, False, 0, False)
    assert made.offline and made.endpoint_metrics
    assert (made.model.path, made.port, made.n_parallel, made.n_ctx) == ("/m.gguf", 8000, 4, 4096)
    assert made.cpuparams.n_threads == made.cpuparams_batch.n_threads == 3
    assert not hasattr(made, "cache_type_k")


def test_the_type_of_the_cache_is_set_for_keys_and_values(wheel):
    """With the verbosity at which llama.cpp prints it."""
    made = llamacpp.parameters(wheel, Namespace(**{**ARGUMENTS, "cache_type": "q8_0"}))
    assert (made.cache_type_k, made.cache_type_v, made.verbosity) == (8, 8, 4)


def test_an_unknown_type_is_a_sentence(wheel):
    """Before the model is loaded."""
    with pytest.raises(SystemExit, match="has no type q9"):
        llamacpp.parameters(wheel, Namespace(**{**ARGUMENTS, "cache_type": "q9"}))
