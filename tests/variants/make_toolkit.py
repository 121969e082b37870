"""CHILD of the tests in the toolkit's environment: each of its recipes on a small model, and translations to legacy Keras."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np

from harness.errors import EngineError
from harness.formats.legacy_keras import import_legacy, to_legacy
from harness.schema import Training
from harness.variants.base import Job, TrainData
from harness.variants.tfmot import ClusterWeights, PruneLowMagnitude, QuantizationAware

RECIPES = {"prune": PruneLowMagnitude, "cluster": ClusterWeights, "qat": QuantizationAware}
layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.random((96, 8, 8, 1), dtype=np.float32)
DATA = TrainData([X], (X.mean(axis=(1, 2, 3)) > 0.5).astype(np.int64))


def small(*extra):
    """A convolution, a pooling, a dense layer."""
    image = keras.Input((8, 8, 1))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3)(image)))
    for layer in extra:
        x = layer(x)
    return keras.Model(image, layers.Dense(2, activation="softmax")(layers.Flatten()(x)))


def applied(folder, name, source, epochs=4, **parameters):
    """The result of a recipe, or its refusal."""
    target = folder / f"{name}-{len(list(folder.iterdir()))}"
    target.mkdir()
    recipe = RECIPES[name]
    job = Job(source, "keras", "-", target, recipe.spec.parameters(**parameters), DATA, Training(epochs=epochs, batch_size=32))
    try:
        path, found = recipe().apply(job)
    except EngineError as error:
        return {"refused": error.what, "hint": error.hint, "for_good": error.refused}
    return {"path": str(path), "facts": found.model_dump(), "notes": job.notes}


def translated(model, *shapes):
    """`same`, or the refusal."""
    try:
        to_legacy(model, [RNG.random((2, *shape), dtype=np.float32) for shape in shapes])
    except EngineError as error:
        return error.what
    return "same"


def graphs():
    """Models of several kinds."""
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, kernel_regularizer="l2")], name="inner")
    steps = keras.Input((6, 3))
    recurrent = layers.TimeDistributed(layers.Dense(2))(layers.Bidirectional(layers.LSTM(4, return_sequences=True))(steps))
    return {
        "sequential": translated(keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dropout(0.5)]), (4,)),
        "shared": translated(keras.Model([a, b], [layers.Add()([inner(a), inner(b)]), layers.Concatenate()([a, b])]), (4,), (4,)),
        "recurrent": translated(keras.Model(steps, recurrent), (6, 3)),
        "unknown layer": translated(keras.Model(steps, layers.RMSNormalization(name="odd")(steps)), (6, 3)),
        "unknown function": translated(keras.Model(a, layers.Activation("hard_silu", name="hard")(a)), (4,)),
    }


def main(folder):
    """Everything in one process: importing the toolkit takes longer than all the rest."""
    folder.mkdir()
    source = folder / "model.keras"
    small().save(source)
    odd = folder / "odd.keras"
    small(layers.UnitNormalization()).save(odd)
    pruned = applied(folder, "prune", source, initial_sparsity=0.2, final_sparsity=0.5)
    import_legacy()
    return {
        "prune": pruned,
        "unreachable": applied(folder, "prune", source, begin_step=2000),
        "cluster": applied(folder, "cluster", source, number_of_clusters=4),
        "cluster pruned": applied(folder, "cluster", Path(pruned["path"]), number_of_clusters=4, preserve_sparsity=True),
        "too many clusters": applied(folder, "cluster", Path(pruned["path"]), number_of_clusters=32, preserve_sparsity=True),
        "qat": applied(folder, "qat", source),
        "qat preserving": applied(folder, "qat", Path(pruned["path"]), preserve="sparsity"),
        "qat odd": applied(folder, "qat", odd),
        "graphs": graphs(),
    }


if __name__ == "__main__":
    (Path(sys.argv[1]) / "toolkit.json").write_text(json.dumps(main(Path(sys.argv[1]) / "toolkit")))
