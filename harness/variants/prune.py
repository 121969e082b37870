"""Magnitude pruning of Keras models: the smallest weights become exactly 0 during fine-tuning on training data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from harness.errors import EngineError
from harness.formats.keras import facts, import_keras, leaf_layers, load_keras
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import Array, Job, Recipe, RecipeParameters
from harness.variants.training import fine_tuned, fine_tuning, steps_of

PRUNED = ("Dense", "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")


class Parameters(RecipeParameters):
    """What a suite may set."""

    final_sparsity: float = Field(
        0.9, gt=0, lt=1, description="final share of zeros in each kernel, or in all kernels together", json_schema_extra={"shown": True}
    )
    initial_sparsity: float = Field(0.5, ge=0, lt=1, description="share of zeros when polynomial pruning begins")
    epochs: int | None = Field(None, ge=1, le=100_000, description="epochs of fine-tuning; null: those of the model's training")
    begin_step: int = Field(0, ge=0, description="training step at which pruning begins")
    end_step: int | None = Field(None, ge=1, description="step at which the final sparsity is reached; null: two thirds of the training")
    frequency: int = Field(10, ge=1, description="steps between two changes of the masks")
    # Added later: left out of the hashed parameters at their defaults, so that older builds are still found in the cache.
    schedule: Literal["polynomial", "constant"] = Field(
        "polynomial", exclude_if=lambda value: value == "polynomial", description="constant: the final sparsity from begin_step on"
    )
    scope: Literal["layer", "global"] = Field(
        "layer",
        exclude_if=lambda value: value == "layer",
        description="global: one threshold for all kernels, so that each layer has its own share",
    )


class Schedule(NamedTuple):
    """Cubic decay of the share of nonzero weights; constant if `initial` is `final`.

    Zhu and Gupta, "To prune, or not to prune" (2017), equation 1:
    s(t) = s_f + (s_i - s_f) (1 - (t - t_0) / (t_1 - t_0))^3 for t_0 <= t <= t_1.

    Attributes:
        initial: s_i, share of zeros at `begin`.
        final: s_f, share of zeros from `end` on.
        begin: t_0, training step.
        end: t_1, training step.
        frequency: Steps between two changes of the masks.
    """

    initial: float
    final: float
    begin: int
    end: int
    frequency: int

    def sparsity(self, step: int) -> float:
        """Share of zeros at a step; 0 before `begin`."""
        if step < self.begin:
            return 0.0
        left = 1 - min(1.0, (step - self.begin) / max(1, self.end - self.begin))
        return self.final + (self.initial - self.final) * left**3

    def changes(self, step: int) -> bool:
        """Whether the masks change at a step; the last change is at `end` for every frequency."""
        return step == self.end or (self.begin <= step < self.end and (step - self.begin) % self.frequency == 0)


class Prune(Recipe):
    """Zeros in the kernels of dense and convolutional layers, by magnitude; biases and other weights stay."""

    spec: ClassVar = VariantSpec(
        name="prune",
        summary="magnitude pruning by a schedule, per layer or global, fine-tuned",
        packages=("tensorflow", "tensorflow-cpu", "keras"),
        extra="tensorflow",
        parameters=Parameters,
        conversions=(("keras", "keras"),),
        needs=("train", "labels"),
        version=2,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Train with masks, save, and count the zeros in the saved file."""
        assert job.data
        schedule = schedule_of(job.parameters, steps_of(fine_tuning(job), job.data))
        keras = import_keras()
        model = load_keras(job.source, trusted=job.trusted)
        layers = [layer for layer in leaf_layers(model) if type(layer).__name__ in PRUNED]
        if not layers:
            raise EngineError("the model has no dense or convolutional layer to prune", "remove `prune` for this model")
        target = fine_tuned(job, model, [masking(keras, layers, schedule, job.parameters.scope)])
        saved = load_keras(target, trusted=job.trusted)
        job.notes["sparsity"] = check_sparsity(saved, schedule.final, job.parameters.scope)
        return target, facts(saved)


def schedule_of(parameters: Parameters, steps: int) -> Schedule:
    """The schedule for a training of this number of steps.

    Raises:
        EngineError: Training ends before the schedule does.
    """
    end = parameters.end_step if parameters.end_step is not None else max(parameters.begin_step, 2 * steps // 3)
    if end >= steps or parameters.begin_step > end:
        raise EngineError(
            f"pruning would run from step {parameters.begin_step} to step {end}, the training has {steps} steps",
            f"train for at least {max(end, parameters.begin_step) + 1} steps (epochs, batch_size), or lower end_step and begin_step",
            refused=True,
        )
    initial = parameters.initial_sparsity if parameters.schedule == "polynomial" else parameters.final_sparsity
    return Schedule(initial, parameters.final_sparsity, parameters.begin_step, end, parameters.frequency)


def masking(keras: Any, layers: list[Any], schedule: Schedule, scope: str) -> Any:
    """A Keras callback that sets the pruned weights to 0 after each step."""

    class Masking(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.step = 0
            self.masks: list[Any] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if schedule.changes(self.step):
                sparsity = schedule.sparsity(self.step)
                kernels = [np.asarray(layer.kernel) for layer in layers]
                self.masks = [keras.ops.convert_to_tensor(kept) for group in grouped(kernels, scope) for kept in masks(group, sparsity)]
            for layer, kept in zip(layers, self.masks, strict=False):
                layer.kernel.assign(layer.kernel * kept)
            self.step += 1

    return Masking()


def grouped(kernels: list[Array], scope: str) -> list[list[Array]]:
    """Groups of kernels that share a threshold: all (`global`), or each by itself (`layer`)."""
    return [kernels] if scope == "global" else [[kernel] for kernel in kernels]


def masks(kernels: list[Array], sparsity: float) -> list[Array]:
    """For each kernel an array of its shape and type, 0 for the smallest weights of all kernels, 1 for the others.

    Args:
        kernels: Kernels that share one threshold.
        sparsity: Share of zeros; see `zeros_in` for their number.
    """
    magnitudes = [np.abs(kernel).ravel() for kernel in kernels]
    for values in magnitudes:
        values[np.argmax(values)] = np.inf
    ends = np.cumsum([values.size for values in magnitudes])
    kept = np.ones(ends[-1])
    if zeros := zeros_in(kernels, sparsity):
        kept[np.argpartition(np.concatenate(magnitudes), zeros - 1)[:zeros]] = 0
    return [part.reshape(kernel.shape).astype(kernel.dtype) for part, kernel in zip(np.split(kept, ends[:-1]), kernels, strict=True)]


def zeros_in(kernels: list[Array], sparsity: float) -> int:
    """Number of zeros in the kernels, rounded up; each keeps its largest weight, since a layer of zeros passes nothing on."""
    size = sum(kernel.size for kernel in kernels)
    return min(ceil(sparsity * size - 1e-9), size - len(kernels))


def pruned_kernels(model: Any) -> dict[str, Array]:
    """The kernels of the layers that pruning changes, by layer."""
    return {layer.name: np.asarray(layer.kernel) for layer in leaf_layers(model) if type(layer).__name__ in PRUNED}


def check_sparsity(
    model: Any, final_sparsity: float, scope: str = "layer", required: Callable[[list[Array], float], int] = zeros_in
) -> dict[str, float]:
    """The share of exact zeros in each pruned kernel, by layer.

    Args:
        model: The saved model.
        final_sparsity: Requested share of zeros.
        scope: Whether each kernel has this share (`layer`), or all together (`global`).
        required: Number of zeros that kernels with one threshold must have for this share.

    Raises:
        EngineError: There are fewer.
    """
    return check_zeros(pruned_kernels(model), final_sparsity, scope, required)


def check_zeros(
    kernels: Mapping[str, Array], final_sparsity: float, scope: str, required: Callable[[list[Array], float], int] = zeros_in
) -> dict[str, float]:
    """Likewise, of kernels by layer."""
    shares = {name: 1 - int(np.count_nonzero(kernel)) / kernel.size for name, kernel in kernels.items()}
    for group in grouped(list(kernels.values()), scope):
        zeros = sum(kernel.size - int(np.count_nonzero(kernel)) for kernel in group)
        if zeros < required(group, final_sparsity):
            raise EngineError(
                f"pruning fell short of {final_sparsity} zeros: {', '.join(f'{name} {share:.4f}' for name, share in shares.items())}",
                "this is a bug of the harness: please report it",
            )
    return shares
