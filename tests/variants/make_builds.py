"""CHILD of the tests that imports TensorFlow: applies recipes that start from Keras to the small models, and says what came of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from harness.formats.keras import load_keras
from harness.schema import Model
from tests.make_models import built, refusal, step


def main() -> None:
    """The last word is `builds.json`, beside the models it starts from."""
    folder = Path(sys.argv[1])
    said = {
        "built": builds(folder),
        "digits": digits(folder),
        "two": refusal(lambda: built(folder, "dynamic_int8", "two.keras", "two-dynamic.tflite")),
    }
    (folder / "builds.json").write_text(json.dumps(said))


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


def digits(folder: Path) -> dict[str, Any]:
    """The built-in model cut and trained, its test file gone."""
    assert not (folder / "digits-data" / "data" / "test.npz").exists()
    model = Model(name="digits-cnn", workload="digits-cnn", brings="labelled", trains=True, format="workload", sha256="-")
    source = {"path": str(folder / "digits" / "model.keras"), "format": "keras", "facts": {}}
    data = {"path": str(folder / "digits-data" / "data")}
    return step(folder / "digits-cut", model, "channel_prune", "keras", source=source, dataset=data, ratio=0.5, epochs=5)


if __name__ == "__main__":
    main()
