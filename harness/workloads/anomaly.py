"""Anomaly detection on generated spectra, with a dense autoencoder trained on normal spectra only."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.formats.keras import import_keras
from harness.schema import Training, WorkloadSpec
from harness.workloads.base import Split, Workload

SEED = 20240317
BINS, FACTORS = 64, 6
NOISE = 0.15
TRAIN, VALIDATION, NORMAL, ANOMALOUS = 3000, 500, 400, 400


class AnomalyDetection(Workload):
    """Spectra of 64 bins from a few hidden factors; an anomaly has an extra peak. Quality as in MLPerf Tiny: AUC of the reconstruction error."""

    spec: ClassVar = WorkloadSpec(
        name="anomaly-detection",
        summary="generated spectra, dense autoencoder, AUC of the reconstruction error",
        packages=("keras", "numpy"),
        extra="tensorflow",
        metric="reconstruction_auc",
    )
    training: ClassVar = Training(loss="mean_squared_error", epochs=20, batch_size=64, learning_rate=0.002)

    def data(self) -> dict[str, Split]:
        """Spectra of shape (n, 64), float32: normal ones as their own labels for training, 400 normal (0) and 400 anomalous (1) ones for testing."""
        rng = np.random.default_rng(SEED)
        mixing = rng.normal(0, 1, (FACTORS, BINS)) / np.sqrt(FACTORS)
        train, validation, test = (_spectra(rng, mixing, count) for count in (TRAIN, VALIDATION, NORMAL + ANOMALOUS))
        labels = rng.permutation(np.arange(NORMAL + ANOMALOUS) % 2)
        test[labels == 1] += _peaks(rng, int(labels.sum()))
        return {"train": Split(train, train), "validation": Split(validation, validation), "test": Split(test, labels)}

    def model(self) -> Any:
        """An autoencoder of 64, 64, 8, 64, 64 units."""
        keras = import_keras()
        layers = keras.layers
        spectrum = keras.Input((BINS,), name="spectrum")
        x = layers.Dense(64, activation="relu")(spectrum)
        x = layers.Dense(8, activation="relu")(x)
        x = layers.Dense(64, activation="relu")(x)
        return keras.Model(spectrum, layers.Dense(BINS, name="reconstruction")(x), name="anomaly_detection")


def _spectra(rng: np.random.Generator, mixing: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    smooth = np.tanh(rng.normal(0, 1, (count, FACTORS)) @ mixing)
    return (smooth + rng.normal(0, NOISE, smooth.shape)).astype(np.float32)


def _peaks(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """A narrow peak for each spectrum, from barely visible to obvious."""
    centres = rng.uniform(0, BINS, (count, 1))
    heights = rng.uniform(0.4, 1.9, (count, 1)) * rng.choice([-1, 1], (count, 1))
    return np.asarray(heights * np.exp(-(((np.arange(BINS) - centres) / 2) ** 2)), np.float32)
