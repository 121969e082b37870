"""CHILD of the tests that imports TensorFlow: writes small models of every kind into a folder, and a report on them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.engines import tensorflow
from harness.engines.base import Load
from harness.errors import HarnessError
from harness.formats.keras import count_macs, facts, import_keras, load_keras
from harness.plugins import load as load_plugin
from harness.schema import ArrayRef, Build, DataRef, Model, Step, Training
from harness.schema.worker import BuildTask
from harness.variants.base import Job, TrainData
from harness.worker.build import build, fingerprint

SAMPLES = np.random.default_rng(5).random((64, 8, 8, 1), dtype=np.float32)
LABELS = (SAMPLES.mean(axis=(1, 2, 3)) > 0.5).astype(np.int64)
DATA = TrainData([SAMPLES], LABELS, TrainData([SAMPLES[:16]], LABELS[:16]))


def main() -> None:
    """Write all of it, and `models.json` last."""
    folder = Path(sys.argv[1])
    keras = import_keras()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)  # before anything runs, as the engine finds it in a process of its own
    tf.config.threading.set_inter_op_parallelism_threads(1)
    two = [tf.config.LogicalDeviceConfiguration()] * 2  # the second stands for a GPU in `placements`
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
    keras.utils.set_random_seed(3)
    report: dict[str, Any] = {}
    sources(keras, folder)
    report["macs"] = macs(keras)
    report["built"] = builds(folder)
    report["engine"] = engine(folder)
    report["placements"] = placements(tf)
    report["refused"] = hostile(keras, folder)
    report["too_short"] = refusal(lambda: built(folder, "prune", "small.keras", "short.keras", end_step=100))
    report["digits"] = digits(folder)
    report["own"] = own(folder)
    report["heads"] = heads(keras, folder)
    (folder / "models.json").write_text(json.dumps(report))


def sources(keras: Any, folder: Path) -> None:
    """The source models."""
    layers = keras.layers
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(image)
    x = layers.Dense(2, activation="softmax")(layers.Flatten()(x))
    small = keras.Model(image, x)
    small.save(folder / "small.keras")
    small.save(folder / "small.h5")
    np.save(folder / "small.npy", small(SAMPLES).numpy())
    z, a = keras.Input((4,), name="zeta"), keras.Input((4,), name="alpha")
    two = keras.Model([z, a], [layers.Dense(3)(z - 2 * a), layers.Dense(1)(a)])
    two.save(folder / "two.keras")
    pair = [SAMPLES.reshape(64, -1)[:, :4], SAMPLES.reshape(64, -1)[:, 4:8]]
    np.savez(folder / "two.npz", zeta=pair[0], alpha=pair[1], first=two(pair)[0].numpy(), second=two(pair)[1].numpy())
    wide = x = keras.Input((64, 64, 16), name="wide")  # milliseconds of work, which a pool of threads would share
    for filters in (64, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    keras.Model(wide, layers.GlobalAveragePooling2D()(x)).save(folder / "wide.keras")
    fixed = keras.Input((4,), batch_size=2, name="fixed")
    keras.Model(fixed, layers.Dense(2)(fixed)).save(folder / "fixed.keras")


def heads(keras: Any, folder: Path) -> dict[str, Any]:
    """What the output of four models holds, as each engine reports it."""
    layers = keras.layers
    image = keras.Input((4,), name="image")
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(1, activation="sigmoid")])
    made = {
        name: keras.Model(image, layers.Dense(1 + (name == "softmax"), activation=name)(image)) for name in ("softmax", "linear", "sigmoid")
    }
    made["nested"] = keras.Model(image, layers.Reshape((1,))(inner(image)))
    found = {}
    for name, model in made.items():
        model.save(folder / f"head-{name}.keras")
        found[name] = [_head(folder / f"head-{name}.keras", "keras", "tensorflow")]
        for format_, engine in (("tflite", "litert"), ("onnx", "onnxruntime"), ("ir", "openvino")):
            built(folder, format_, f"head-{name}.keras", f"head-{name}.{format_}")
            found[name].append(_head(folder / f"head-{name}.{format_}", format_, engine))
    return found


def _head(path: Path, format_: str, engine: str) -> str | None:
    plugin = load_plugin("engines", engine)
    head: str | None = plugin().open(Load(path, format_, "cpu", 1, 1, plugin.spec.parameters())).head(0)
    return head


def macs(keras: Any) -> dict[str, Any]:
    """Multiply-accumulates as counted, of layers whose true numbers are in the test."""
    layers = keras.layers

    def of(shape: tuple[int | None, ...], *chain: Any) -> int | None:
        x = first = keras.Input(shape)
        for layer in chain:
            x = layer(x)
        return count_macs(keras.Model(first, x))

    shared, once = layers.Dense(4), keras.Input((4,))
    return {
        "dense": of((6,), layers.Dense(4)),
        "conv2d": of((8, 8, 3), layers.Conv2D(5, 3)),
        "strided": of((8, 8, 3), layers.Conv2D(5, 3, strides=2, padding="same")),
        "grouped": of((8, 8, 4), layers.Conv2D(6, 3, groups=2)),
        "depthwise": of((8, 8, 3), layers.DepthwiseConv2D(3)),
        "separable": of((8, 8, 3), layers.SeparableConv2D(5, 3)),
        "transposed": of((4, 4, 3), layers.Conv2DTranspose(5, 3, strides=2)),
        "conv1d": of((10, 2), layers.Conv1D(4, 3)),
        "normalized": of((6,), layers.Dense(4), layers.BatchNormalization()),
        "unknown": of((5, 3), layers.LSTM(4)),
        "open": of((None, None, 3), layers.Conv2D(5, 3)),
        "shared": count_macs(keras.Model(once, shared(shared(once)))),
        "sequential": count_macs(keras.Sequential([keras.Input((6,)), layers.Dense(4)])),
        "nested": of((6,), keras.Sequential([keras.Input((6,)), layers.Dense(4)]), layers.Dense(2)),
    }


def builds(folder: Path) -> dict[str, Any]:
    """Every recipe on the small model: facts and notes."""
    chains = [
        ("tflite", "small.keras", "small.tflite"),
        ("tflite", "two.keras", "two.tflite"),
        ("tflite", "fixed.keras", "fixed.tflite"),
        ("onnx", "small.keras", "small.onnx"),
        ("onnx", "two.keras", "two.onnx"),
        ("ir", "small.keras", "small.ir"),
        ("ir", "small.onnx", "of-onnx.ir"),
        ("ir", "two.keras", "two.ir"),
        ("ir", "fixed.keras", "fixed.ir"),
        ("float16", "small.ir", "float16.ir"),
        ("int8", "small.ir", "int8.ir"),
        *((target, "wide.keras", f"wide.{target}") for target in ("tflite", "onnx", "ir")),
        ("prune", "small.keras", "pruned.keras"),
        ("prune", "small.keras", "again.keras"),
        ("int8", "pruned.keras", "pruned-int8.tflite"),
        *((recipe, f"small.{source}", f"{recipe}.{target}") for recipe in ("float16", "dynamic_int8", "int8") for source, target in (("keras", "tflite"), ("onnx", "onnx"))),
        ("ir", "dynamic_int8.onnx", "dynamic_int8.ir"),
    ]  # fmt: skip
    return {target: built(folder, recipe, source, target) for recipe, source, target in chains}


def built(folder: Path, recipe: str, source: str, target: str, **parameters: Any) -> dict[str, Any]:
    """Apply a recipe, and move its file to the name of the target."""
    plugin = load_plugin("variants", recipe)
    here = folder / f"{recipe}-{target}"
    here.mkdir()
    job = Job(
        folder / source,
        Path(source).suffix[1:],
        Path(target).suffix[1:],
        here,
        parameters=plugin.spec.parameters(**parameters) if plugin.spec.parameters else None,
        data=DATA if plugin.spec.needs else None,
        training=Training(epochs=2, batch_size=16),
    )
    path, counted = plugin().apply(job)
    path.rename(folder / target)
    return {**counted.model_dump(), "notes": job.notes}


def engine(folder: Path) -> dict[str, Any]:
    """The TensorFlow engine against plain Keras: the largest difference, and what the engine reports."""
    plugin = load_plugin("engines", "tensorflow")
    report: dict[str, Any] = {}
    for name, options in {"graph": {}, "xla": {"xla": True}, "eager": {"mode": "eager"}}.items():
        session = plugin().open(Load(folder / "small.keras", "keras", "cpu", 4, 1, plugin.spec.parameters(**options)))
        difference = float(np.abs(session.run([SAMPLES[:4]])[0] - np.load(folder / "small.npy")[:4]).max())
        report[name] = {
            "difference": difference,
            "precision": session.precision(),
            "facts": session.facts(),
            "shape": session.inputs[0].shape,
        }
    two = np.load(folder / "two.npz")
    session = plugin().open(Load(folder / "two.keras", "keras", "cpu", 4, 1, plugin.spec.parameters()))
    answers = session.run([two["zeta"][:4], two["alpha"][:4]])
    report["two"] = [float(np.abs(answer - two[key][:4]).max()) for answer, key in zip(answers, ("first", "second"), strict=True)]
    for name, load in {
        "gpu": Load(folder / "small.keras", "keras", "gpu", 1, 1, plugin.spec.parameters()),
        "fixed": Load(folder / "fixed.keras", "keras", "cpu", 1, 1, plugin.spec.parameters()),
        "inter_op": Load(folder / "small.keras", "keras", "cpu", 1, 1, plugin.spec.parameters(inter_op=2)),
        "tf32": Load(folder / "small.keras", "keras", "cpu", 1, 1, plugin.spec.parameters(tf32="on")),
        "eager_xla": Load(folder / "small.keras", "keras", "cpu", 1, 1, plugin.spec.parameters(xla=True, mode="eager")),
    }.items():
        report[f"refusal_{name}"] = refusal(lambda load=load: plugin().open(load))
    return report


def placements(tf: Any) -> dict[str, Any]:
    """What a session on a GPU reports of a model whose product runs there and whose other operators run on the CPU.

    The GPU is the second logical CPU: TensorFlow splits and executes the graph as between two devices of different kinds.
    """
    spec = [tf.TensorSpec([None, 3], tf.float32, name="x")]
    weights = tf.ones([3, 2])

    def call(x: Any) -> Sequence[Any]:
        with tf.device("/CPU:1"):
            product = tf.matmul(x, weights)
        with tf.device("/CPU:0"):
            return [tf.nn.softmax(tf.where(product > 2.0, product, 0.0))]

    def elsewhere(x: Any) -> Sequence[Any]:
        with tf.device("/CPU:0"):
            return [tf.nn.softmax(x)]

    def opened(function: Callable[..., Any], **options: Any) -> Any:
        load = Load(Path("-"), "keras", "gpu", 2, 1, tensorflow.Options(**options))
        return tensorflow.StagedSession(tf, tensorflow.Program(spec, spec, function, "float32", lambda _: None), load)

    place, tensorflow._place = tensorflow._place, lambda device: "GPU" if device.endswith("CPU:1") else "CPU"
    try:
        report: dict[str, Any] = {}
        for mode in ("graph", "eager"):
            session = opened(call, mode=mode)
            staged = session.stage([np.ones((2, 3), np.float32)])
            outputs = session.run(staged)
            session.synchronize()
            answers = [session.fetch(outputs)[0].tolist(), session.answer([np.ones((2, 3), np.float32)])[0].tolist()]
            report[mode] = {"placement": session.facts()["placement"], "answers": answers}
        report["nothing"] = refusal(lambda: opened(elsewhere).answer([np.ones((2, 3), np.float32)]))
        report["tf32"] = [opened(call, tf32=tf32).precision() for tf32 in ("off", "on")]
    finally:
        tensorflow._place = place
    return report


def hostile(keras: Any, folder: Path) -> dict[str, Any]:
    """The errors of files that must not be loaded."""
    layers = keras.layers
    first = keras.Input((4,))
    brings_code = keras.Model(first, layers.Dense(2)(layers.Lambda(lambda x: 2 * x)(first)))
    for name in ("lambda.keras", "lambda.h5"):
        brings_code.save(folder / name)
    whole = (folder / "small.keras").read_bytes()
    (folder / "flipped.keras").write_bytes(whole[:4000] + bytes(256) + whole[4256:])
    report = {name: refusal(lambda name=name: load_keras(folder / name)) for name in ("lambda.keras", "lambda.h5", "flipped.keras")}
    report["trusted"] = facts(load_keras(folder / "lambda.h5", trusted=True)).parameters
    return report


def digits(folder: Path) -> dict[str, Any]:
    """The built-in model, built from its data set with the test file deleted."""
    model = Model(name="digits-cnn", workload="digits-cnn", brings="labelled", trains=True, format="workload", sha256="-")
    data = step(folder / "digits-data", model, "dataset", "npz")
    test_file = Path(data["path"]) / "test.npz"
    test = dict(np.load(test_file))
    test_file.unlink()
    trained = step(folder / "digits", model, "train", "keras", source=data, dataset=data)
    right = load_keras(folder / "digits" / "model.keras").predict(test["inputs"], verbose=0).argmax(1) == test["labels"]
    return {**trained, "test_accuracy": float(right.mean())}


def own(folder: Path) -> list[dict[str, Any]]:
    """A user's `.h5`, then pruned on the user's data with the suite's training."""
    np.savez(folder / "own.npz", x=SAMPLES, y=LABELS)
    x, y = (ArrayRef(path=str(folder / "own.npz"), key=key, sha256="-") for key in ("x", "y"))
    path = folder / "small.h5"
    model = Model(
        name="own",
        path=str(path),
        format="h5",
        sha256=fingerprint(path)[0],
        train=DataRef(inputs=(x,), labels=y),
        training=Training(epochs=2),
    )
    source = step(folder / "own-source", model, "source", "keras")
    return [source, step(folder / "own-pruned", model, "prune", "keras", source=source, final_sparsity=0.8)]


def step(
    folder: Path, model: Model, recipe: str, format_: str, source: Any = None, dataset: Any = None, data: Any = None, **parameters: Any
) -> dict[str, Any]:
    """One step, as the build process makes it."""
    folder.mkdir()
    asked = Build(build_id=recipe, model=model.name, step=Step(recipe=recipe, parameters=parameters), format=format_)
    task = BuildTask(
        model=model,
        build=asked,
        source=source and {name: source[name] for name in ("path", "format", "facts") if name in source},
        dataset=dataset and {"path": dataset["path"], "splits": dataset.get("notes", {}).get("splits", {})},
        data=data,
        folder=str(folder),
    )
    return build(task).model_dump(mode="json")


def refusal(work: Any) -> list[Any] | None:
    """The message of a HarnessError and whether it is a refusal; None if there is no error."""
    try:
        work()
    except HarnessError as error:
        return [str(error), getattr(error, "refused", False)]
    return None


if __name__ == "__main__":
    main()
