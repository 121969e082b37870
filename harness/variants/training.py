"""(Keras model, training data) -> the model fitted, and what it reached on the validation data."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite
from typing import Any

from harness.errors import EngineError
from harness.formats.keras import import_keras
from harness.formats.reading import first_line
from harness.schema import Training
from harness.variants.base import TrainData


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
        _compile(keras, model, training)
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
    return {"epochs": training.epochs, "steps": steps_of(training, data), **reached}


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


def _compile(keras: Any, model: Any, training: Training) -> None:
    optimizer = keras.optimizers.get(training.optimizer)
    if training.learning_rate is not None:
        optimizer.learning_rate = training.learning_rate
    model.compile(optimizer=optimizer, loss=training.loss, metrics=["accuracy"] if "crossentropy" in training.loss else None)


def _arrays(data: TrainData) -> tuple[Any, Any]:
    """Inputs and labels as `fit` takes them."""
    return (list(data.inputs) if len(data.inputs) > 1 else data.inputs[0]), data.labels
