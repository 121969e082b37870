"""Training of PyTorch modules in place, on shuffled batches."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.formats import torch_module
from harness.formats.libraries import library_errors
from harness.schema import ArtifactFacts, Training
from harness.variants.base import Job, TrainData
from harness.variants.training import fine_tuning

LOSSES = {"sparse_categorical_crossentropy": "cross_entropy", "mse": "mse_loss", "mean_squared_error": "mse_loss"}
"""Losses of a suite and their functions in torch.nn.functional."""
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop"}
ROUNDING = 1e-3
"""How far the sum of a sample's probabilities may be from 1."""


def fit(model: Any, training: Training, data: TrainData, seed: int, after_step: Callable[[int], None] | None = None) -> dict[str, Any]:
    """Train a module in place.

    Args:
        model: An `nn.Module`; in evaluation mode afterwards.
        training: Optimizer, loss, epochs, batch size.
        data: Inputs and labels.
        seed: Seed of the order of the samples.
        after_step: Called with the number of each step, from 0, after the weights have changed.

    Returns:
        Notes for the artifact: epochs, steps and the last loss.

    Raises:
        EngineError: Loss or optimizer is not supported, data do not fit the model, or the loss is not finite.
    """
    torch = torch_module.import_torch()
    if training.loss not in LOSSES or training.optimizer.lower() not in OPTIMIZERS:
        raise EngineError(
            f"loss {training.loss!r} with optimizer {training.optimizer!r} is not supported for PyTorch models",
            f"use a loss of {', '.join(LOSSES)} and an optimizer of {', '.join(OPTIMIZERS)}",
            refused=True,
        )
    torch.manual_seed(seed)
    optimizer = getattr(torch.optim, OPTIMIZERS[training.optimizer.lower()])(model.parameters(), lr=training.learning_rate or 1e-3)
    tensors = [torch.from_numpy(array) for array in (*data.inputs, data.labels) if array is not None]
    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*tensors), training.batch_size, shuffle=True)
    last, step = None, 0
    with library_errors("the model cannot be trained with these settings", "see `data.train` and `training` in the suite"):
        loss_of = _loss(torch, model, training.loss, next(iter(batches))[:-1])
        model.train()
        for _ in range(training.epochs):
            for *inputs, labels in batches:
                optimizer.zero_grad()
                loss = loss_of(torch_module.flatten(model(*inputs))[0], labels)
                loss.backward()
                optimizer.step()
                if after_step:
                    after_step(step)
                last, step = float(loss.detach()), step + 1
        model.eval()
    if last is None or not isfinite(last):
        raise EngineError("training diverged: the loss is not finite", "lower `training.learning_rate`")
    return {"epochs": training.epochs, "steps": step, "loss": round(last, 6)}


def fine_tuned(job: Job, loaded: torch_module.Loaded, after_step: Callable[[int], None] | None = None) -> tuple[Path, ArtifactFacts]:
    """Fine-tune a loaded module on the data of a job, and store it in the job's folder."""
    assert job.data
    job.notes.update(fit(loaded.module, fine_tuning(job), job.data, job.seed, after_step))
    made = torch_module.write(loaded.module, loaded.inputs, loaded.outputs, job.folder, torch_module.zeros(loaded.inputs))
    return made.path, made.facts


def _loss(torch: Any, model: Any, name: str, inputs: list[Any]) -> Callable[[Any, Any], Any]:
    """The loss of (output, labels); a cross-entropy takes logits or probabilities, by what the model gives for these inputs."""
    function = getattr(torch.nn.functional, LOSSES[name])
    if "crossentropy" not in name:
        return lambda output, labels: function(output, labels.reshape(output.shape).to(output.dtype))
    model.eval()
    with torch.no_grad():
        answers = torch_module.flatten(model(*inputs))[0]
    probabilities = bool((answers >= 0).all()) and bool(((answers.sum(dim=1) - 1).abs() < ROUNDING).all())

    def cross_entropy(output: Any, labels: Any) -> Any:
        target = labels.long().reshape(output.shape[:1] + output.shape[2:])
        if probabilities:
            return torch.nn.functional.nll_loss(output.clamp_min(1e-12).log(), target)
        return function(output, target)

    return cross_entropy
