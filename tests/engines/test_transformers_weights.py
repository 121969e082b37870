"""Linear layers of a language model quantized by torchao."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.engines.transformers import Options, Transformers
from harness.engines.transformers_weights import CARD_TYPE, ON_CARD, ON_CPU, STORED_AS, is_quantized, quantize
from harness.errors import EngineError


def torch_with(capability):
    """A PyTorch with a card of this compute capability."""
    card = SimpleNamespace(get_device_capability=lambda: capability, get_device_name=lambda: "NVIDIA Old")
    return SimpleNamespace(cuda=card, bfloat16="torch.bfloat16", float32="torch.float32")


@pytest.mark.parametrize(
    ("layout", "device", "capability", "dtype", "sentence"),
    [
        ("fp8", "cpu", (9, 0), "bfloat16", "torchao has no fp8 kernels for a CPU"),
        ("fp8", "gpu", (8, 6), "bfloat16", "fp8 needs a card of compute capability 8.9 or higher; NVIDIA Old has 8.6"),
        ("int4_weight_only", "gpu", (7, 5), "bfloat16", "int4_weight_only needs a card of compute capability 8.0 or higher"),
        ("int4_weight_only", "gpu", (9, 0), "float32", "the int4_weight_only kernels of a card need bfloat16, and the weights are float32"),
        ("int8_dynamic", "gpu", (7, 0), "bfloat16", "int8_dynamic needs a card of compute capability 7.5 or higher"),
    ],
)
def test_where_there_are_no_kernels_it_is_refused(layout, device, capability, dtype, sentence):
    """Before a weight is converted."""
    with pytest.raises(EngineError, match=sentence) as caught:
        quantize(torch_with(capability), SimpleNamespace(dtype=f"torch.{dtype}"), layout, device)
    assert caught.value.refused


def test_each_layout_is_an_option_and_a_variant():
    """That names the type which the kernels of a card need."""
    for layout in STORED_AS:
        options = Transformers.spec.by_options[layout]
        assert Options(**options).quantization == layout
        assert options.get("dtype") == CARD_TYPE.get(layout)
    assert set(ON_CARD) == set(STORED_AS) > set(ON_CPU)


def test_a_tensor_of_torchao_is_known_by_its_module():
    """Whatever its class."""
    assert is_quantized(type("Int8Tensor", (), {"__module__": "torchao.quantization.int8"})()) and not is_quantized(1.0)
