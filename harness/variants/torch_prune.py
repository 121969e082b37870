"""Pruning of PyTorch modules with fine-tuning: weights of least magnitude become 0, or whole channels are removed by torch-pruning."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from harness.errors import EngineError
from harness.formats import torch_module
from harness.formats.libraries import first_line, import_library
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants import channels, prune
from harness.variants.base import Job, Recipe, not_applicable
from harness.variants.torch_training import fine_tuned
from harness.variants.training import fine_tuning, steps_of

PACKAGES = ("torch", "torchvision", "timm", "torch-pruning")


class TorchPrune(Recipe):
    """`prune` of PyTorch modules: zeros in the weights of linear and convolutional layers; other weights stay."""

    spec: ClassVar = VariantSpec(
        name="torch_prune",
        implements="prune",
        summary="PyTorch: magnitude pruning by a schedule, per layer or global, fine-tuned",
        packages=PACKAGES[:-1],
        venv="torch",
        parameters=prune.Parameters,
        conversions=(("torch", "torch"),),
        needs=("train", "labels"),
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Train with masks, store, and count the zeros in what was stored."""
        assert job.data
        torch = torch_module.import_torch()
        schedule = prune.schedule_of(job.parameters, steps_of(fine_tuning(job), job.data))
        loaded = torch_module.load(job.source, "torch")
        layers = pruned_layers(torch, loaded.module)
        if not layers:
            raise not_applicable("the model has no linear or convolutional layer to prune")
        kept: list[Any] = []

        def mask(step: int) -> None:
            if schedule.changes(step):
                weights = [layer.weight.detach().numpy() for layer in layers.values()]
                groups = prune.grouped(weights, job.parameters.scope)
                kept[:] = [torch.from_numpy(each) for group in groups for each in prune.masks(group, schedule.sparsity(step))]
            with torch.no_grad():
                for layer, each in zip(layers.values(), kept, strict=False):
                    layer.weight.mul_(each)

        path, facts = fine_tuned(job, loaded, mask)
        stored = pruned_layers(torch, torch_module.load(path, "torch").module)
        weights = {name: layer.weight.detach().numpy() for name, layer in stored.items()}
        job.notes["sparsity"] = prune.check_zeros(weights, schedule.final, job.parameters.scope)
        return path, facts


class TorchChannelPrune(Recipe):
    """`channel_prune` of PyTorch modules: fewer channels in each hidden layer, a smaller dense model."""

    spec: ClassVar = VariantSpec(
        name="torch_channel_prune",
        implements="channel_prune",
        summary="PyTorch: whole channels of least L1 norm removed by torch-pruning, fine-tuned",
        packages=PACKAGES,
        venv="torch",
        parameters=channels.Parameters,
        conversions=(("torch", "torch"),),
        needs=("train", "labels"),
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Cut, check that the model still gives what it gave, fine-tune, store."""
        torch = torch_module.import_torch()
        loaded = torch_module.load(job.source, "torch")
        samples = [torch.cat([sample, sample]) for sample in torch_module.zeros(loaded.inputs)]
        if not samples:
            raise not_applicable("the model has dynamic dimensions besides the batch, so that its channels cannot be traced")
        job.notes["channels"] = cut(torch, loaded.module, samples, job.parameters.ratio)
        return fine_tuned(job, loaded)


def pruned_layers(torch: Any, model: Any) -> dict[str, Any]:
    """The layers whose weights are pruned, by name; a layer or weight that is used twice once."""
    kinds = (torch.nn.Linear, torch.nn.modules.conv._ConvNd)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, kinds)}
    return dict({id(layer.weight): (name, layer) for name, layer in layers.items()}.values())


def cut(torch: Any, model: Any, samples: list[Any], ratio: float) -> dict[str, tuple[int, int]]:
    """Remove channels in place with torch-pruning, each group by its L1 norm.

    Args:
        torch: The package.
        model: An `nn.Module`.
        samples: One tensor for each input.
        ratio: Share of the channels to remove from each group of layers that depend on each other.

    Returns:
        By layer the number of channels before and after.

    Raises:
        EngineError: The model does not run afterwards, gives other shapes, or nothing was removed.
    """
    pruning = import_library("torch_pruning", "torch-pruning", "run `make torch`, or pip install torch-pruning")
    before, shapes = _sizes(torch, model), _shapes(torch, model, samples)
    last = _last_layers(torch, model, samples)
    try:
        pruning.pruner.BasePruner(
            model,
            tuple(samples),
            importance=pruning.importance.GroupMagnitudeImportance(p=1),
            pruning_ratio=ratio,
            ignored_layers=last,
        ).step()
        left = _shapes(torch, model, samples)
    except Exception as error:  # attention reshapes to a fixed number of features
        raise _untraceable(f"torch-pruning cannot follow them: {first_line(error)}") from error
    if left != shapes:
        raise _untraceable(f"the outputs would change their shapes from {shapes} to {left}")
    after = _sizes(torch, model)
    changed = {name: (size, after[name]) for name, size in before.items() if after[name] != size}
    if not changed:
        raise not_applicable(
            f"the model has no hidden layer that would lose a channel at the ratio {ratio}", "raise `ratio`, or remove this variant"
        )
    return changed


def _untraceable(why: str) -> EngineError:
    return not_applicable(
        f"channels cannot be removed from this model: {why}", "remove this variant for this model, or prune weights with `prune`"
    )


def _sizes(torch: Any, model: Any) -> dict[str, int]:
    return {name: int(getattr(layer, "out_features", None) or layer.out_channels) for name, layer in pruned_layers(torch, model).items()}


def _shapes(torch: Any, model: Any, samples: list[Any]) -> list[tuple[int, ...]]:
    model.eval()
    with torch.no_grad():
        return [tuple(answer.shape) for answer in torch_module.flatten(model(*samples))]


def _last_layers(torch: Any, model: Any, samples: list[Any]) -> list[Any]:
    """The layers that make the outputs, whose channels stay: those that the outputs reach without passing another layer with weights."""
    owners = {id(layer.weight): layer for layer in pruned_layers(torch, model).values()}
    with torch.enable_grad():
        nodes = [answer.grad_fn for answer in torch_module.flatten(model(*samples)) if answer.grad_fn]
    last, seen = [], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        layers = [owners[id(v)] for v in (getattr(n, "variable", None) for n in _leaves(node)) if id(v) in owners]
        last += layers
        nodes += [] if layers else [parent for parent, _ in node.next_functions]
    return last


def _leaves(node: Any) -> list[Any]:
    """Leaves of a node's own operands: a weight, or a weight behind a transposition."""
    parents = [parent for parent, _ in node.next_functions if parent is not None]
    behind = [
        grand for parent in parents if type(parent).__name__ in ("TBackward0", "PermuteBackward0") for grand, _ in parent.next_functions
    ]
    return [each for each in (*parents, *behind) if each is not None]
