"""CHILD of the tests that imports TensorFlow: applies recipes that start from Keras to the small models, and reports the results."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from harness.engines.base import Load
from harness.formats.fingerprint import fingerprint
from harness.formats.inputs import positions
from harness.formats.keras import import_keras, load_keras
from harness.plugins import load as load_plugin
from harness.schema import Model
from tests.make_models import SAMPLES, built, refusal, step


def main() -> None:
    """Write `builds.json` next to the models."""
    folder = Path(sys.argv[1])
    import_keras()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)  # before anything runs, as the engine finds it in a process of its own
    tf.config.threading.set_inter_op_parallelism_threads(1)
    facts = {
        "built": builds(folder),
        "digits": digits(folder),
        "odd": odd(folder),
        "two": refusal(lambda: built(folder, "dynamic_int8", "two.keras", "two-dynamic.tflite")),
    }
    (folder / "builds.json").write_text(json.dumps(facts))


def builds(folder: Path) -> dict[str, Any]:
    """Recipes that start from Keras: facts and notes."""
    chains: list[tuple[str, str, str, dict[str, Any]]] = [
        ("prune", "small.keras", "constant.keras", {"schedule": "constant", "final_sparsity": 0.8, "begin_step": 3}),
        ("prune", "small.keras", "global.keras", {"scope": "global", "final_sparsity": 0.8}),
        ("channel_prune", "small.keras", "channels.keras", {"ratio": 0.75}),
        ("channel_prune", "small.keras", "channels-again.keras", {"ratio": 0.75}),
        ("int8", "channels.keras", "channels-int8.tflite", {}),
        *((recipe, "small.keras", f"{recipe}-keras.tflite", {}) for recipe in ("int16x8", "weight_int8", "weight_int4")),
        ("weight_int8", "global.keras", "global-weights.tflite", {}),
    ]
    made = {target: built(folder, recipe, source, target, **more) for recipe, source, target, more in chains}
    cut_file = load_keras(folder / "channels.keras")
    made["channels.keras"]["shapes"] = [list(weight.shape) for weight in cut_file.weights]
    made["channels.keras"]["inputs"] = [tensor.name for tensor in cut_file.inputs]
    return made


def odd(folder: Path) -> dict[str, float]:
    """A model with names that TensorFlow's graphs do not accept, on each engine: the largest difference from Keras, with inputs by name."""
    keras = import_keras()
    layers = keras.layers
    foo, upper = keras.Input((4,), name="größe"), keras.Input((4,), name="Größe")
    model = keras.Model([foo, upper], layers.Dense(3, name="密 x")(layers.Subtract(name="-")([layers.Dense(4, name="a\\b")(foo), upper])))
    model.save(folder / "odd.h5")
    data = {"Größe": SAMPLES[:1, 0, :4, 0], "größe": SAMPLES[:1, 1, :4, 0]}
    wanted = np.asarray(model([data["größe"], data["Größe"]]))
    step(
        folder / "odd-source",
        Model(name="odd", path=str(folder / "odd.h5"), format="h5", sha256=fingerprint(folder / "odd.h5")[0]),
        "source",
        "keras",
    )
    (folder / "odd-source" / "model.keras").rename(folder / "odd.keras")
    for target in ("tflite", "onnx", "ir"):
        built(folder, target, "odd.keras", f"odd.{target}")
    engines = {"tensorflow": "keras", "litert": "tflite", "onnxruntime": "onnx", "openvino": "ir"}
    return {name: _difference(name, folder / f"odd.{format_}", format_, data, wanted) for name, format_ in engines.items()}


def _difference(name: str, path: Path, format_: str, data: dict[str, Any], wanted: Any) -> float:
    engine = load_plugin("engines", name)
    session = engine().open(Load(path, format_, "cpu", 1, 1, engine.spec.parameters()))
    order = positions([tensor.name for tensor in session.inputs], list(data))
    answer = session.run([list(data.values())[index] for index in order])[0]
    return float(np.abs(answer - wanted).max())


def digits(folder: Path) -> dict[str, Any]:
    """The built-in model cut and trained without its test file."""
    assert not (folder / "digits-data" / "data" / "test.npz").exists()
    model = Model(name="digits-cnn", workload="digits-cnn", brings="labelled", trains=True, format="workload", sha256="-")
    source = {"path": str(folder / "digits" / "model.keras"), "format": "keras", "facts": {}}
    data = {"path": str(folder / "digits-data" / "data")}
    return step(folder / "digits-cut", model, "channel_prune", "keras", source=source, dataset=data, ratio=0.5, epochs=5)


if __name__ == "__main__":
    main()
