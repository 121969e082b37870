"""(Keras model, training data) -> the model fitted, and what it reached on the validation data."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite
from typing import Any

import numpy as np

from harness.errors import EngineError
from harness.formats.keras import import_keras
from harness.formats.libraries import first_line
from harness.schema import Training
from harness.variants.base import TrainData

LOGITS = {
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "binary_crossentropy": "BinaryCrossentropy",
}
"""The losses that take logits too, and their classes."""
ASKED = 64
ROUNDING = 0.01
"""How far quantization may carry a probability over its ends."""


def fit(model: Any, training: Training, data: TrainData, seed: int, callbacks: Sequence[Any] = (), keras: Any = None) -> dict[str, Any]:
    """Train a model in place, the same each time on the same machine.

    Args:
        model: A Keras model; it is compiled here.
        training: Optimizer, loss, epochs, batch size.
        data: Inputs and labels; its validation part is only watched.
        seed: Of weights that are still to be drawn, and of the order of the samples.
        callbacks: Keras callbacks.
        keras: The module that the model is of; null: Keras 3.

    Returns:
        Notes for the artifact: epochs, steps, and the last loss and accuracy on the training and validation data.

    Raises:
        EngineError: Optimizer, loss, or data do not fit the model, or the loss is no longer finite.
    """
    if data.labels is None:
        raise EngineError("training needs labels", "name them in `data.train`")
    keras = keras or import_keras()
    seed_everything(seed, keras)
    try:
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
    except (EngineError, MemoryError):
        raise
    except Exception as error:  # Keras raises whatever a shape, a loss or a label that does not fit makes it raise
        raise EngineError(f"the model cannot be trained so: {first_line(error)}", "see `data.train` and `training` in the suite") from error
    if not isfinite(history["loss"][-1]):
        raise EngineError("training diverged: the loss is not finite", "lower `training.learning_rate`")
    model.optimizer, model.compiled = None, False  # what only training needs would make the saved model three times as large
    reached = {name.replace("val_", "validation_"): round(values[-1], 6) for name, values in history.items()}
    return {"epochs": training.epochs, "steps": steps_of(training, data), **({"from_logits": True} if logits else {}), **reached}


def fine_tuning(training: Training, epochs: int | None) -> Training:
    """A model's training with the epochs of a recipe; null: as the training says."""
    return training if epochs is None else training.model_copy(update={"epochs": epochs})


def steps_of(training: Training, data: TrainData) -> int:
    """How many steps a fit takes."""
    return ceil(len(data.inputs[0]) / training.batch_size) * training.epochs


def seed_everything(seed: int, keras: Any = None) -> None:
    """Make every random choice of Keras, TensorFlow, NumPy and Python, and the order of sums, the same each time."""
    (keras or import_keras()).utils.set_random_seed(seed)
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def gives_logits(model: Any, loss: str, data: TrainData) -> bool:
    """Whether a model that is trained by a cross-entropy answers some training samples with what is no probability: then its loss is that of logits.

    Args:
        model: A Keras model, wrapped or not, with one output; of several none is said to give logits.
        loss: As the suite names it.
        data: With inputs.
    """
    if loss not in LOGITS:
        return False
    answers = model.predict([array[:ASKED] for array in data.inputs] if len(data.inputs) > 1 else data.inputs[0][:ASKED], verbose=0)
    return isinstance(answers, np.ndarray) and bool(((answers < -ROUNDING) | (answers > 1 + ROUNDING)).any())


def _compile(keras: Any, model: Any, training: Training, *, logits: bool) -> None:
    optimizer = keras.optimizers.get(training.optimizer)
    if training.learning_rate is not None:
        optimizer.learning_rate = training.learning_rate
    loss = getattr(keras.losses, LOGITS[training.loss])(from_logits=True) if logits else training.loss
    # Keras counts a binary answer as right from 0.5 on, which is no probability there.
    counted = "crossentropy" in training.loss and not (logits and training.loss.startswith("binary"))
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"] if counted else None)


def _arrays(data: TrainData) -> tuple[Any, Any]:
    """Inputs and labels as `fit` takes them."""
    return (list(data.inputs) if len(data.inputs) > 1 else data.inputs[0]), data.labels
