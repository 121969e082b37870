"""The framework: a multilayer perceptron that NumPy computes, trains, saves and loads."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np


class Network:
    """Dense layers with ReLU between them.

    Args:
        weights: One array for each layer, shape (inputs, outputs).
        biases: One array for each layer, shape (outputs,).
    """

    def __init__(self, weights: list[np.ndarray], biases: list[np.ndarray]) -> None:
        self.weights, self.biases = weights, biases

    @classmethod
    def random(cls, sizes: list[int], seed: int) -> Network:
        """A network of random weights (He's initialization)."""
        rng = np.random.default_rng(seed)
        weights = [rng.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32) for a, b in pairwise(sizes)]
        return cls(weights, [np.zeros(b, np.float32) for b in sizes[1:]])

    def forward(self, x: np.ndarray) -> list[np.ndarray]:
        """The activations of each layer, the input first; the last are logits."""
        layers = [x.reshape(len(x), -1)]
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            y = layers[-1] @ weight + bias
            layers.append(np.maximum(y, 0) if index < len(self.weights) - 1 else y)
        return layers

    def fit(self, x: np.ndarray, labels: np.ndarray, *, epochs: int, batch_size: int, learning_rate: float, seed: int) -> None:
        """Stochastic gradient descent on the cross-entropy of the logits."""
        rng = np.random.default_rng(seed)
        for _ in range(epochs):
            for rows in np.array_split(rng.permutation(len(x)), max(1, len(x) // batch_size)):
                layers = self.forward(x[rows])
                shifted = np.exp(layers[-1] - layers[-1].max(axis=1, keepdims=True))
                gradient = shifted / shifted.sum(axis=1, keepdims=True)
                gradient[np.arange(len(rows)), labels[rows]] -= 1
                gradient /= len(rows)
                for index in reversed(range(len(self.weights))):
                    before = layers[index]
                    step, weight = learning_rate * before.T @ gradient, self.weights[index]
                    self.biases[index] = self.biases[index] - learning_rate * gradient.sum(axis=0)
                    gradient = (gradient @ weight.T) * (before > 0)
                    self.weights[index] = weight - step.astype(weight.dtype)

    def save(self, path: Path) -> None:
        """Write an archive of plain arrays."""
        arrays = {f"weight_{index}": weight for index, weight in enumerate(self.weights)}
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays, **{f"bias_{index}": bias for index, bias in enumerate(self.biases)})

    @classmethod
    def load(cls, path: Path) -> Network:
        """Read such an archive; objects are refused."""
        with np.load(path, allow_pickle=False) as archive:
            count = sum(name.startswith("weight_") for name in archive)
            return cls([archive[f"weight_{n}"] for n in range(count)], [archive[f"bias_{n}"] for n in range(count)])
