"""Linear layers of a language model quantized by torchao when it is loaded, on the CPU or a card."""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.engines.torch_weights import LAYOUTS, REMOVE, Layout, check_card
from harness.errors import EngineError
from harness.formats.libraries import import_library, library_errors
from harness.formats.torch_module import INSTALL

INT8 = {
    "int8_weight_only": Layout("Int8WeightOnlyConfig", {}, (7, 0)),
    "int8_dynamic": Layout("Int8DynamicActivationInt8WeightConfig", {}, (7, 5)),
}
ON_CARD = {**INT8, "int4_weight_only": LAYOUTS["int4_weight_only"], "fp8": LAYOUTS["fp8"]}
"""Layouts for which torchao has kernels on a card."""
ON_CPU = {
    **INT8,
    "int4_weight_only": Layout("PrototypeInt4WeightOnlyConfig", {"group_size": 128}, (0, 0), "torchao.prototype.quantization.int4"),
}
"""Layouts for which torchao has kernels on a CPU; int4 in its prototypes, in the type of the other weights."""
CARD_TYPE = {"int4_weight_only": "bfloat16", "fp8": "bfloat16"}
"""Type of the other weights that the kernels of a card need."""
STORED_AS = {"int8_weight_only": "int8", "int8_dynamic": "int8", "int4_weight_only": "int4", "fp8": "float8"}
"""Type of the quantized weights."""


class Quantized(NamedTuple):
    """Linear layers whose weights were quantized.

    Attributes:
        layers: Number of quantized layers.
        of: Number of linear layers, with that of the logits.
        weights: Number of quantized weights.
        tensor: Class of the tensors that hold them.
    """

    layers: int
    of: int
    weights: int
    tensor: str


def quantize(torch: Any, model: Any, layout: str, device: str) -> Quantized:
    """Quantize the weights of linear layers in place; the layer of the logits stays, as by transformers' own quantization.

    Args:
        torch: The package.
        model: A language model of transformers on its device.
        layout: A key of `STORED_AS`.
        device: cpu or gpu.

    Returns:
        What was quantized: a layer of a width that the layout does not take stays as it is.

    Raises:
        EngineError: There are no kernels for it on the device, the library fails, or there is no layer that it takes.
    """
    chosen = _layout(torch, model, layout, device)
    logits = model.get_output_embeddings()
    linear = [module for module in model.modules() if type(module) is torch.nn.Linear]
    with library_errors(f"torchao cannot convert the weights to {layout}", REMOVE, refused=True):
        quantization = import_library("torchao.quantization", "torchao", INSTALL)
        config = getattr(import_library(chosen.package, "torchao", INSTALL), chosen.config)(**chosen.settings)
        quantization.quantize_(model, config, filter_fn=lambda module, _: type(module) is torch.nn.Linear and module is not logits)
    quantized = [module for module in linear if is_quantized(module.weight)]
    if not quantized:
        raise EngineError(f"the model has no nn.Linear whose weights can be {layout}", "remove this variant for this model", refused=True)
    weights = sum(module.weight.numel() for module in quantized)
    return Quantized(len(quantized), len(linear), weights, type(quantized[0].weight).__name__)


def is_quantized(weight: Any) -> bool:
    """Whether a weight is a tensor of torchao."""
    return type(weight).__module__.startswith("torchao.")


def _layout(torch: Any, model: Any, layout: str, device: str) -> Layout:
    """How a layout is stored on a device.

    Raises:
        EngineError: There are no kernels for it.
    """
    if device == "cpu":
        if layout not in ON_CPU:
            raise EngineError(f"torchao has no {layout} kernels for a CPU", "name `devices: [gpu]`, or remove it", refused=True)
        return ON_CPU[layout]
    chosen, needed = ON_CARD[layout], CARD_TYPE.get(layout)
    check_card(torch, layout, chosen)
    if needed and model.dtype != getattr(torch, needed):
        have = str(model.dtype).removeprefix("torch.")
        raise EngineError(
            f"the {layout} kernels of a card need {needed}, and the weights are {have}", f"set `dtype: {needed}`", refused=True
        )
    return chosen
