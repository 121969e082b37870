"""Handwritten digits: scikit-learn's 1,797 images of 8 x 8 pixels in three splits, and small networks of Keras and PyTorch."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from harness.formats.keras import import_keras
from harness.formats.libraries import import_library
from harness.formats.torch_module import import_torch
from harness.schema import Training, WorkloadSpec
from harness.workloads.base import Array, Split, Workload

SPLIT_SEED = 20240117
HELD_OUT = 360
"""Size of the validation split and of the test split; the other samples are for training."""
PACKAGES = ("scikit-learn", "keras", "numpy")
SKLEARN = ("scikit-learn", "pip install scikit-learn")


class Digits(Workload):
    """The data of all networks."""

    def data(self) -> dict[str, Split]:
        """Images of shape (n, 8, 8, 1), float32 in 0..1, and their digits; stratified: 1,077 train, 360 validation, 360 test."""
        digits = import_library("sklearn.datasets", *SKLEARN).load_digits()
        images = (digits.images[..., np.newaxis] / 16).astype(np.float32)
        x, x_test, y, y_test = _split(images, digits.target)
        x_train, x_validation, y_train, y_validation = _split(x, y)
        return {"train": Split(x_train, y_train), "validation": Split(x_validation, y_validation), "test": Split(x_test, y_test)}


def _split(images: Array, labels: Array) -> tuple[Array, Array, Array, Array]:
    """Images without the held-out ones, the held-out ones, and the labels of both; stratified."""
    split = import_library("sklearn.model_selection", *SKLEARN).train_test_split
    parts: tuple[Array, Array, Array, Array] = tuple(split(images, labels, test_size=HELD_OUT, random_state=SPLIT_SEED, stratify=labels))
    return parts


class DigitsCnn(Digits):
    """A convolutional network of about 20,000 parameters for ten digits."""

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
    """A network of dense layers with about 17,000 parameters."""

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


class DigitsCnnTorch(Digits):
    """The convolutional network of `digits-cnn` as a PyTorch module."""

    spec: ClassVar = WorkloadSpec(
        name="digits-cnn-torch",
        summary="scikit-learn's handwritten digits, small convolutional network of PyTorch",
        packages=("scikit-learn", "numpy"),
        extra="torch",
        framework="torch",
    )
    training: ClassVar = Training(epochs=20, batch_size=32, learning_rate=0.002)

    def data(self) -> dict[str, Split]:
        """The same splits with images of shape (n, 1, 8, 8)."""
        return {name: Split(np.moveaxis(np.asarray(split.inputs), -1, 1).copy(), split.labels) for name, split in super().data().items()}

    def model(self) -> Any:
        """Two convolutions, a pooling, two dense layers; ends in logits, as PyTorch's cross-entropy takes them."""
        nn = import_torch().nn
        return nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Dropout(0.3)),
            *(nn.Linear(32 * 4 * 4, 32), nn.ReLU(), nn.Linear(32, 10)),
        )
