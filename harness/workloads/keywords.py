"""Keyword spotting on generated sound: eight kinds of tones and chirps in noise, and a one-dimensional convolutional network."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.formats.keras import import_keras
from harness.schema import Training, WorkloadSpec
from harness.workloads.base import Split, Workload

SEED = 20240217
RATE_HZ = 2000
LENGTH = 512
KINDS = ("low tone", "high tone", "rising", "falling", "two tones", "beating", "trill", "noise alone")
SAMPLES = {"train": 2400, "validation": 480, "test": 800}
NOISE = 0.45
"""Standard deviation of the noise; the amplitude of a sound is 0.8 to 1.6."""


class KeywordSpotting(Workload):
    """A quarter of a second of sound in eight classes, with the shapes and size of a keyword spotter."""

    spec: ClassVar = WorkloadSpec(
        name="keyword-spotting",
        summary="eight generated sounds in noise, 1-D convolutional network",
        packages=("keras", "numpy"),
        extra="tensorflow",
    )
    training: ClassVar = Training(epochs=10, batch_size=32, learning_rate=0.003)

    def data(self) -> dict[str, Split]:
        """Waves of shape (n, 512, 1), float32, and their kind from 0 to 7, balanced: 2,400 train, 480 validation, 800 test."""
        rng = np.random.default_rng(SEED)
        return {name: _split(rng, count) for name, count in SAMPLES.items()}

    def model(self) -> Any:
        """Four strided convolutions, the mean over time, one dense layer; ends in softmax."""
        keras = import_keras()
        layers = keras.layers
        wave = keras.Input((LENGTH, 1), name="wave")
        x = wave
        for filters, size, stride in ((16, 32, 4), (32, 8, 2), (32, 8, 2), (64, 4, 2)):
            x = layers.Conv1D(filters, size, strides=stride, padding="same", activation="relu")(x)
        x = layers.GlobalAveragePooling1D()(x)
        x = layers.Dropout(0.2)(x)
        return keras.Model(wave, layers.Dense(len(KINDS), activation="softmax", name="kind")(x), name="keyword_spotting")


def _split(rng: np.random.Generator, count: int) -> Split:
    labels = rng.permutation(np.arange(count) % len(KINDS))
    waves = np.stack([_wave(rng, KINDS[label]) for label in labels])
    return Split(waves[..., np.newaxis].astype(np.float32), labels.astype(np.int64))


def _wave(rng: np.random.Generator, kind: str) -> NDArray[np.float64]:
    """One sound with random start and end in the window, with noise."""
    t_s = np.arange(LENGTH) / RATE_HZ
    base_hz = rng.uniform(420, 700) if kind == "high tone" else rng.uniform(150, 380)
    span_hz = rng.uniform(120, 300)
    cycles = {
        "low tone": base_hz * t_s,
        "high tone": base_hz * t_s,
        "rising": base_hz * t_s + span_hz * t_s**2 / (2 * t_s[-1]),
        "falling": (base_hz + span_hz) * t_s - span_hz * t_s**2 / (2 * t_s[-1]),
        "two tones": base_hz * t_s,
        "beating": base_hz * t_s,
        "trill": base_hz * t_s + 3 * np.sin(2 * np.pi * rng.uniform(12, 25) * t_s),
    }
    noise = rng.normal(0, NOISE, LENGTH)
    if kind == "noise alone":
        return noise
    sound = np.sin(2 * np.pi * (cycles[kind] + rng.random()))
    if kind == "two tones":
        sound = (sound + np.sin(2 * np.pi * ((base_hz * rng.uniform(1.4, 1.7)) * t_s + rng.random()))) / np.sqrt(2)
    if kind == "beating":
        sound *= np.sqrt(2) * np.sin(2 * np.pi * (rng.uniform(8, 14) * t_s + rng.random()))
    begins, lasts = rng.integers(0, LENGTH // 4), rng.integers(LENGTH // 2, 3 * LENGTH // 4)
    audible = (np.arange(LENGTH) >= begins) & (np.arange(LENGTH) < begins + lasts)
    return np.asarray(rng.uniform(0.8, 1.6) * sound * audible + noise)
