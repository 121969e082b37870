"""Training of Keras models in place, reproducibly, and their quality on the validation data."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import EngineError
from harness.formats.keras import import_keras
from harness.formats.libraries import library_errors
from harness.schema import Training
from harness.variants.base import Job, TrainData

LOGITS = {
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "binary_crossentropy": "BinaryCrossentropy",
}
"""Losses that also take logits, and their classes."""
PROBED = 64
"""Number of training samples whose predictions show whether a model returns logits."""
ROUNDING = 0.01
"""How far quantization may move a probability beyond 0 and 1."""


def fit(model: Any, training: Training, data: TrainData, seed: int, callbacks: Sequence[Any] = (), keras: Any = None) -> dict[str, Any]:
    """Train a model in place, with the same result each time on the same machine.

    Args:
        model: A Keras model; it is compiled here.
        training: Optimizer, loss, epochs, batch size.
        data: Inputs and labels, with validation data that are only observed.
        seed: Seed of new weights and of the order of the samples.
        callbacks: Keras callbacks.
        keras: The package of the model; None: Keras 3.

    Returns:
        Notes for the artifact: epochs, steps, and the last loss and accuracy on the training and validation data.

    Raises:
        EngineError: Optimizer, loss or data do not fit the model, or the loss is not finite.
    """
    if data.labels is None:
        raise EngineError("training needs labels", "name them in `data.train`")
    keras = keras or import_keras()
    seed_everything(seed, keras)
    with library_errors("the model cannot be trained with these settings", "see `data.train` and `training` in the suite"):
        logits = gives_logits(model, training.loss, data)
        _compile(keras, model, training, logits=logits)
        history = model.fit(
            *_arrays(data),
            batch_size=training.batch_size,
            epochs=training.epochs,
            validation_data=_arrays(data.validation) if data.validation else None,
            callbacks=list(callbacks),
            verbose=0,
        ).history
    if not isfinite(history["loss"][-1]):
        raise EngineError("training diverged: the loss is not finite", "lower `training.learning_rate`")
    model.optimizer, model.compiled = None, False  # the optimizer would make the saved file three times as large
    reached = {name.replace("val_", "validation_"): round(values[-1], 6) for name, values in history.items()}
    return {"epochs": training.epochs, "steps": steps_of(training, data), **({"from_logits": True} if logits else {}), **reached}


def fine_tuned(job: Job, model: Any, callbacks: Sequence[Any] = ()) -> Path:
    """Fine-tune a Keras model on the data of a job, record its validation quality, and save it in the job's folder."""
    assert job.data
    job.notes.update(fit(model, fine_tuning(job), job.data, job.seed, callbacks))
    target = job.folder / "model.keras"
    model.save(target)
    return target


def fine_tuning(job: Job) -> Training:
    """The training of a job, with the epochs of its recipe if the suite sets them."""
    epochs = job.parameters.epochs
    return job.training if epochs is None else job.training.model_copy(update={"epochs": epochs})


def steps_of(training: Training, data: TrainData) -> int:
    """Number of steps of a training."""
    return ceil(len(data.inputs[0]) / training.batch_size) * training.epochs


def seed_everything(seed: int, keras: Any = None) -> None:
    """Fix every random choice of Keras, TensorFlow, NumPy and Python, and the order of sums."""
    (keras or import_keras()).utils.set_random_seed(seed)
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def gives_logits(model: Any, loss: str, data: TrainData) -> bool:
    """Whether the model's output is outside 0 to 1 for some training samples, so that a cross-entropy must take logits.

    Args:
        model: A Keras model, wrapped or not; False if it has several outputs.
        loss: Loss that the suite names.
        data: Training data.
    """
    if loss not in LOGITS:
        return False
    inputs = [array[:PROBED] for array in data.inputs]
    answers = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    return isinstance(answers, np.ndarray) and bool(((answers < -ROUNDING) | (answers > 1 + ROUNDING)).any())


def _compile(keras: Any, model: Any, training: Training, *, logits: bool) -> None:
    optimizer = keras.optimizers.get(training.optimizer)
    if training.learning_rate is not None:
        optimizer.learning_rate = training.learning_rate
    loss = getattr(keras.losses, LOGITS[training.loss])(from_logits=True) if logits else training.loss
    # Keras compares a binary output with 0.5, which is wrong for a logit.
    counted = "crossentropy" in training.loss and not (logits and training.loss.startswith("binary"))
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"] if counted else None)


def _arrays(data: TrainData) -> tuple[Any, Any]:
    """Inputs and labels as `fit` takes them."""
    return (list(data.inputs) if len(data.inputs) > 1 else data.inputs[0]), data.labels
