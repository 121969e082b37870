"""Weights of PyTorch modules in layouts that only a card has, converted with torchao when a model is loaded: float8, int4, 2:4 sparsity."""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.errors import EngineError
from harness.formats.libraries import import_library, library_errors
from harness.formats.torch_module import INSTALL

REMOVE = "remove this variant for this card"


class Layout(NamedTuple):
    """How torchao stores the weights of linear layers.

    Attributes:
        config: Class of its configuration.
        settings: Its arguments.
        capability: Least compute capability of a card that has kernels for it.
        package: Module of torchao that has the configuration.
    """

    config: str
    settings: dict[str, Any]
    capability: tuple[int, int]
    package: str = "torchao.quantization"


LAYOUTS = {
    "fp8": Layout("Float8DynamicActivationFloat8WeightConfig", {}, (8, 9)),
    "int4_weight_only": Layout("Int4WeightOnlyConfig", {"group_size": 128, "int4_packing_format": "tile_packed_to_4d"}, (8, 0)),
    "sparse_2_4": Layout("SemiSparseWeightConfig", {}, (8, 0)),
}


def convert(torch: Any, module: Any, layout: str) -> int:
    """Convert the weights of the linear layers in place.

    Args:
        torch: The package.
        module: A module on the card.
        layout: A key of `LAYOUTS`.

    Returns:
        Number of converted layers.

    Raises:
        EngineError: The card has no kernels for it, the library fails, or there is no layer that it takes.
    """
    chosen = LAYOUTS[layout]
    check_card(torch, layout, chosen)
    layers = [each for each in module.modules() if type(each) is torch.nn.Linear]
    before = {id(each): type(each.weight) for each in layers}
    with library_errors(f"torchao cannot convert the weights to {layout}", REMOVE, refused=True):
        if layout == "sparse_2_4":
            _prune_2_4(torch, layers)
            sparse = import_library("torchao.sparsity", "torchao", INSTALL)
            sparse.sparsify_(module, import_library("torchao.sparsity.sparse_api", "torchao", INSTALL).SemiSparseWeightConfig())
        else:
            quantization = import_library("torchao.quantization", "torchao", INSTALL)
            quantization.quantize_(module, getattr(quantization, chosen.config)(**chosen.settings))
    converted = sum(type(each.weight) is not before[id(each)] or type(each.weight.data) is not torch.Tensor for each in layers)
    if not converted:
        raise EngineError(f"the model has no nn.Linear whose weights can be {layout}", "remove this variant for this model", refused=True)
    return converted


def check_card(torch: Any, layout: str, chosen: Layout) -> None:
    """Check that the card has kernels for a layout.

    Raises:
        EngineError: It has none.
    """
    have = tuple(torch.cuda.get_device_capability())
    if have < chosen.capability:
        needed, offered = (".".join(map(str, version)) for version in (chosen.capability, have))
        raise EngineError(
            f"{layout} needs a card of compute capability {needed} or higher; {torch.cuda.get_device_name()} has {offered}",
            REMOVE,
            refused=True,
        )


def _prune_2_4(torch: Any, layers: list[Any]) -> None:
    """Set the two smallest of each four weights in a row to 0."""
    for layer in layers:
        weight = layer.weight.data
        if weight.shape[1] % 4 == 0:
            groups = weight.reshape(-1, 4)
            smallest = groups.abs().argsort(dim=1)[:, :2]
            layer.weight.data = groups.scatter(1, smallest, torch.zeros_like(groups)).reshape(weight.shape)
