"""CHILD of the tests that imports TensorFlow: cuts graphs of all kinds, and reports how the smaller models answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from harness.formats.keras import count_macs, import_keras, leaf_layers
from harness.variants.channels import cut
from harness.variants.flatten import flatten
from tests.make_models import refusal

RNG = np.random.default_rng(11)


def main() -> None:
    """Write `cuts.json`."""
    keras = import_keras()
    keras.utils.set_random_seed(7)
    facts: dict[str, Any] = {
        "cut": {name: compared(keras, *graph) for name, graph in graphs(keras, keras.layers).items()},
        "uncut": {name: refusal(lambda model=model: cut(model, 0.5)) for name, model in barriers(keras, keras.layers).items()},
        "mode": mode(keras, keras.layers),
        "tails": {name: cut(model, 0.5)[1] for name, model in tails(keras, keras.layers).items()},
        "joined": joined(keras, keras.layers),
    }
    (Path(sys.argv[1]) / "cuts.json").write_text(json.dumps(facts))


def graphs(keras: Any, layers: Any) -> dict[str, tuple[Any, tuple[str, ...]]]:
    """Models, and the names of the layers whose channels stay."""
    sequential = [
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.SeparableConv2D(6, 3, padding="same", depth_multiplier=2),
        layers.ZeroPadding2D(),
        layers.Flatten(),
        layers.Dropout(0.1),
        layers.Dense(10, activation="relu"),
        layers.PReLU(),
        layers.Dense(4, activation="softmax", name="last"),
    ]
    return {
        "sequential": (keras.Sequential(sequential), ("last",)),
        "residual": (residual(keras, layers), ("last",)),
        "inverted": (inverted(keras, layers), ("last",)),
        "concatenated": (concatenated(keras, layers), ("last",)),
        "transposed": (transposed(keras, layers), ("last",)),
        "excited": (excited(keras, layers), ("last",)),
        "nested": (nested(keras, layers), ("last",)),
        "mobilenet": (application(keras, "MobileNetV2", alpha=0.35), ("predictions",)),
        "resnet": (application(keras, "ResNet50V2"), ("predictions",)),
    }


def application(keras: Any, name: str, **more: Any) -> Any:
    """A published architecture with random weights."""
    return getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=5, classifier_activation=None, **more)


def residual(keras: Any, layers: Any) -> Any:
    """Two layers that an addition joins, one of them by the operator."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    y = layers.BatchNormalization()(layers.Conv2D(12, 3, padding="same")(x))
    x = layers.Add()([x, layers.Conv2D(8, 1)(layers.ReLU()(y))])
    x = x + layers.Conv2D(8, 3, padding="same")(image)
    return keras.Model(image, layers.Dense(4, name="last")(layers.GlobalAveragePooling2D()(x)))


def inverted(keras: Any, layers: Any) -> Any:
    """A block of MobileNetV2."""
    image = keras.Input((8, 8, 3))
    x = start = layers.Conv2D(8, 3, padding="same")(image)
    for size, make in ((24, layers.Conv2D), (0, layers.DepthwiseConv2D), (8, layers.Conv2D)):
        x = layers.BatchNormalization()(make(size, 1)(x) if size else make(3, padding="same")(x))
        x = x if size == 8 else layers.ReLU(6.0)(x)
    x = layers.Add()([start, x])
    return keras.Model(image, layers.Dense(4, name="last")(layers.Flatten()(x)))


def concatenated(keras: Any, layers: Any) -> Any:
    """Two branches and the image concatenated along the channels, then along the other axis."""
    image = keras.Input((8, 6))
    x = layers.Concatenate()([layers.Conv1D(6, 3, padding="same")(image), image, layers.Conv1D(4, 1)(image)])
    x = layers.Concatenate(axis=1)([layers.Conv1D(6, 1)(x), layers.Conv1D(6, 1, strides=2)(x)])
    return keras.Model(image, layers.Dense(4, name="last")(layers.Flatten()(x)))


def transposed(keras: Any, layers: Any) -> Any:
    """An autoencoder."""
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(image)
    x = layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu")(x)
    return keras.Model(image, layers.Conv2DTranspose(1, 3, padding="same", name="last")(x))


def excited(keras: Any, layers: Any) -> Any:
    """Squeeze and excitation, with a reshape that keeps the channels."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3)(image)
    gate = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.Conv2D(4, 1, activation="relu")(gate))
    x = layers.Flatten()(layers.Multiply()([x, gate]))
    return keras.Model(image, layers.Dense(4, name="last")(x))


def nested(keras: Any, layers: Any) -> Any:
    """As in transfer learning: scaling in the graph, a sequential model in a functional one, with a layer name in common."""
    image = keras.Input((8, 8, 3))
    stem = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(8, 3, padding="same", name="same"), layers.BatchNormalization()], name="stem"
    )
    joined = layers.Add()([stem(image), layers.Conv2D(8, 1, name="same_1")(image)])
    body = keras.Model(image, layers.Conv2D(8, 3, name="same")(joined), name="body")
    first = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", name="same")(body(first / 2.0 - 1.0, training=False))
    return keras.Model(first, layers.Dense(4, name="last")(layers.GlobalAveragePooling2D()(x)))


def compared(keras: Any, model: Any, stays: tuple[str, ...]) -> dict[str, Any]:
    """Every other channel set to 0 and half of the channels removed: the largest difference of the answers, and the sizes."""
    for layer in leaf_layers(model):
        if getattr(layer, "weights", ()) and layer.name not in stays:
            layer.set_weights([silenced(type(layer).__name__, weight) for weight in layer.weights])
    smaller, sizes = cut(model, 0.5)
    inputs = RNG.normal(size=(3, *model.input_shape[1:])).astype(np.float32)
    before, after = np.asarray(model(inputs)), np.asarray(smaller(inputs))
    assert before.shape == after.shape
    return {
        "largest": float(np.abs(before).max()),
        "difference": float(np.abs(before - after).max()),
        "sizes": sizes,
        "parameters": [model.count_params(), smaller.count_params()],
        "macs": [count_macs(model), count_macs(smaller)],
    }


def silenced(kind: str, weight: Any) -> Any:
    """Random values, 0 for output channels of even number."""
    values = RNG.normal(size=weight.shape).astype(np.float32) * min(0.3, 2 / np.sqrt(max(1, np.prod(weight.shape[:-1]))))
    if "variance" in weight.name:
        return np.abs(values) + 0.5
    if weight.name == "gamma":
        values += 1
    if weight.name in ("moving_mean", "depthwise_kernel"):
        return values
    axis = -2 if weight.name == "kernel" and ("Depthwise" in kind or "Transpose" in kind) else -1
    np.moveaxis(values, axis, 0)[::2] = 0
    return values


def barriers(keras: Any, layers: Any) -> dict[str, Any]:
    """Models with a layer that cannot be cut, by its name."""

    def of(make: Any) -> Any:
        first = keras.Input((8, 4))
        return keras.Model(first, make(layers.Conv1D(6, 3, padding="same")(first)))

    twice = layers.Dense(6, name="twice")
    inner = keras.Sequential([keras.Input((8, 6)), layers.Dense(6, name="twice")], name="inner")
    return {
        "recurrent": of(lambda x: layers.Dense(2)(layers.LSTM(4, name="recurrent")(x))),
        "reshaped": of(lambda x: layers.Dense(2)(layers.Flatten()(layers.Reshape((4, 12), name="reshaped")(x)))),
        "attending": of(lambda x: layers.Dense(2)(layers.MultiHeadAttention(1, 2, name="attending")(x, x))),
        "normal": of(lambda x: layers.Dense(2)(layers.LayerNormalization(name="normal")(x))),
        "grouped": of(lambda x: layers.Dense(2)(layers.Conv1D(6, 3, groups=2, name="grouped")(x))),
        "twice": of(lambda x: layers.Dense(2)(twice(twice(x)))),
        "inner_twice": of(lambda x: layers.Dense(2)(layers.Add()([inner(x), inner(x)]))),
        "softest": of(lambda x: layers.Dense(2)(layers.Softmax(name="softest")(x))),
        "nothing": keras.Model(first := keras.Input((4,)), layers.Dense(2)(first)),
    }


def mode(keras: Any, layers: Any) -> list[float]:
    """The largest difference of a model, whose nested one normalises by the batch, to its flat form, and to stored statistics."""
    first = keras.Input((8, 3))
    inner = keras.Sequential([keras.Input((8, 3)), layers.BatchNormalization()], name="inner")
    model = keras.Model(first, layers.Dense(2)(inner(first, training=True)))
    inputs = 9 + RNG.normal(size=(5, 8, 3)).astype(np.float32)
    answers, stored = model(inputs), model.layers[-1](inner(inputs, training=False))
    return [float(np.abs(np.asarray(answers) - np.asarray(other)).max()) for other in (flatten(keras, model)(inputs), stored)]


def tails(keras: Any, layers: Any) -> dict[str, Any]:
    """Models with odd layers only before the first cut and after the last."""
    words, image = keras.Input((8, 4)), keras.Input((8, 4))
    hidden = layers.Dense(6, name="hidden")
    x = layers.Conv1D(6, 3, name="hidden")(layers.Reshape((4, 8))(image))
    return {
        "first": keras.Model(words, layers.Dense(2)(hidden(layers.LSTM(4)(words)))),
        "last": keras.Model(image, layers.Softmax()(layers.Reshape((4, 3))(layers.Conv1D(6, 1)(x)))),
    }


def joined(keras: Any, layers: Any) -> list[Any]:
    """The remaining channels of two joined layers whose norms differ: those with the largest sums."""
    first = keras.Input((3,))
    one, other = layers.Dense(4, use_bias=False), layers.Dense(4, use_bias=False)
    model = keras.Model(first, layers.Dense(2)(layers.Add()([one(first), other(first)])))
    one.set_weights([np.ones((3, 1)) * [1, 2, 3, 4]])
    other.set_weights([np.ones((3, 1)) * [9, 1, 1, 1.5]])
    smaller, _ = cut(model, 0.5)
    return [smaller.get_layer(layer.name).get_weights()[0][0].tolist() for layer in (one, other)]


if __name__ == "__main__":
    main()
