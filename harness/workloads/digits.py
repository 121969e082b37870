"""Handwritten digits: scikit-learn's 1,797 images of 8 x 8 in three splits, and two small networks for them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from harness.errors import EngineError
from harness.formats.keras import import_keras
from harness.schema import Training, WorkloadSpec
from harness.workloads.base import Split, Workload

SPLIT_SEED = 20240117
HELD_OUT = 360
"""Samples of the validation split, and of the test split; the rest trains."""
PACKAGES = ("scikit-learn", "keras", "numpy")


class Digits(Workload):
    """The data that both networks share."""

    def data(self) -> dict[str, Split]:
        """Images of shape (n, 8, 8, 1), float32 in 0..1, and their digits; stratified: 1,077 train, 360 validation, 360 test."""
        try:
            from sklearn.datasets import load_digits
            from sklearn.model_selection import train_test_split
        except ImportError as error:
            raise EngineError(f"scikit-learn cannot be imported: {error}", "pip install 'harness[tensorflow]'", refused=True) from error
        digits = load_digits()
        images = (digits.images[..., np.newaxis] / 16).astype(np.float32)
        x, x_test, y, y_test = train_test_split(images, digits.target, test_size=HELD_OUT, random_state=SPLIT_SEED, stratify=digits.target)
        x_train, x_validation, y_train, y_validation = train_test_split(x, y, test_size=HELD_OUT, random_state=SPLIT_SEED, stratify=y)
        return {"train": Split(x_train, y_train), "validation": Split(x_validation, y_validation), "test": Split(x_test, y_test)}


class DigitsCnn(Digits):
    """A convolutional network of some 20,000 parameters that tells ten digits apart."""

    spec: ClassVar = WorkloadSpec(
        name="digits-cnn",
        summary="scikit-learn's handwritten digits, small convolutional network",
        packages=PACKAGES,
        extra="tensorflow",
    )
    training: ClassVar = Training(epochs=20, batch_size=32, learning_rate=0.002)

    def model(self) -> Any:
        """Two convolutions, a pooling, two dense layers; ends in softmax."""
        keras = import_keras()
        layers = keras.layers
        image = keras.Input((8, 8, 1), name="image")
        x = layers.Conv2D(16, 3, padding="same", activation="relu")(image)
        x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
        x = layers.Flatten()(x)
        x = layers.Dropout(0.3)(x)
        x = layers.Dense(32, activation="relu")(x)
        return keras.Model(image, layers.Dense(10, activation="softmax", name="digit")(x), name="digits_cnn")


class DigitsMlp(Digits):
    """A network of dense layers alone, some 17,000 parameters."""

    spec: ClassVar = WorkloadSpec(
        name="digits-mlp", summary="scikit-learn's handwritten digits, dense network", packages=PACKAGES, extra="tensorflow"
    )
    training: ClassVar = Training(epochs=30, batch_size=32, learning_rate=0.002)

    def model(self) -> Any:
        """Two hidden layers; ends in softmax."""
        keras = import_keras()
        layers = keras.layers
        image = keras.Input((8, 8, 1), name="image")
        x = layers.Flatten()(image)
        x = layers.Dense(128, activation="relu")(x)
        x = layers.Dropout(0.3)(x)
        x = layers.Dense(64, activation="relu")(x)
        return keras.Model(image, layers.Dense(10, activation="softmax", name="digit")(x), name="digits_mlp")
