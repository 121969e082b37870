"""CHILD of the tests that imports TensorFlow: builds the built-in workloads without their test data, and SavedModels."""

from __future__ import annotations

import inspect
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
from PIL import Image

from harness.engines.base import Load
from harness.formats.fingerprint import fingerprint
from harness.formats.inputs import model_inputs
from harness.formats.keras import import_keras, load_keras
from harness.formats.savedmodel import _unknown, load_savedmodel
from harness.formats.savedmodel_ops import CHECKPOINT, COMPUTATION
from harness.plugins import load as load_plugin
from harness.schema import DataSource, Model
from tests.make_models import refusal, step

ZETA = np.random.default_rng(6).random((12, 4), dtype=np.float32)
ALPHA = np.random.default_rng(7).random((12, 5, 2), dtype=np.float32)
TRAINED = ("digits-mlp", "keyword-spotting", "anomaly-detection")


def main() -> None:
    """Write all of it, and `workloads.json` last."""
    folder = Path(sys.argv[1])
    keras = import_keras()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)  # before anything runs, as the engine finds it in a process of its own
    tf.config.threading.set_inter_op_parallelism_threads(1)
    facts: dict[str, Any] = {"trained": {name: trained(folder, name) for name in TRAINED}}
    facts["members"] = sorted(name for name, found in vars(keras.applications).items() if inspect.isfunction(found))
    facts["application"] = application(folder)
    facts["constants"] = constants(keras, folder)
    facts["keras_2"] = keras_2(keras, folder)
    facts["saved"] = saved(tf, folder)
    facts["refused"] = hostile(tf, folder)
    facts["operators"] = operators(tf, keras, folder)
    (folder / "workloads.json").write_text(json.dumps(facts))


def trained(folder: Path, name: str) -> dict[str, Any]:
    """One epoch from a data set with the test file deleted."""
    plugin = load_plugin("workloads", name)
    plugin.training = plugin.training.model_copy(update={"epochs": 1})
    model = Model(name=name, workload=name, brings="labelled", trains=True, format="workload", sha256="-")
    data = step(folder / f"{name}-data", model, "dataset", "npz")
    (Path(data["path"]) / "test.npz").unlink()
    return {"splits": data["notes"]["splits"], **step(folder / name, model, "train", "keras", source=data, dataset=data)}


def application(folder: Path) -> dict[str, Any]:
    """A small MobileNetV2: its images, its weights twice, and the user's images in its size."""
    fields = {"workload": "keras.applications", "member": "MobileNetV2", "options": {"image_size": 32}, "format": "workload", "sha256": "-"}
    model = Model(name="m", brings="unlabelled", **fields)
    data = step(folder / "application-data", model, "dataset", "npz")
    made = [step(folder / f"application-{i}", model, "source", "keras", source=data) for i in range(2)]
    weights = [load_keras(Path(one["path"])).get_weights() for one in made]
    (folder / "pictures" / "cat").mkdir(parents=True)
    Image.new("RGB", (50, 40), (255, 0, 127)).save(folder / "pictures" / "cat" / "1.png")
    source = DataSource(kind="images", path=str(folder / "pictures"), sha256="-")
    images = step(folder / "images", model, "data", "npz", source=made[0], data=source.model_dump(), split="test", classes=["cat"])
    pixels = np.load(Path(images["path"]) / "test.npz")["inputs"]
    test = np.load(Path(data["path"]) / "test.npz")["inputs"]
    return {
        "splits": data["notes"]["splits"],
        "facts": made[0]["facts"],
        "same": all(np.array_equal(a, b) for a, b in zip(*weights, strict=True)),
        "range": [float(test.min()), float(test.max())],
        "images": {"shape": pixels.shape, "corner": pixels[0, 0, 0].tolist(), "splits": images["notes"]["splits"]},
        "unknown_size": refusal(lambda: step(folder / "s", model.model_copy(update={"options": {"image_size": 33}}), "source", "keras")),
    }


def constants(keras: Any, folder: Path) -> dict[str, Any]:
    """Exports to ONNX of a layer with constants and an exact GELU, and of a model of long inputs; the shape of each MobileNetV3."""
    image = keras.Input((4, 4, 3), name="image")
    layers = [keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0]), keras.layers.Flatten()]
    model = keras.Sequential([image, *layers, keras.layers.Dense(2, activation="gelu")])
    model.save(folder / "constants.keras")
    long = [keras.Input((None, 2)), keras.layers.Conv1D(2, 5), keras.layers.Cropping1D(3)]
    keras.Sequential(long).save(folder / "open.keras")
    samples = np.random.default_rng(9).random((6, 4, 4, 3), dtype=np.float32)
    np.savez(folder / "constants.npz", x=samples, y=model(samples).numpy())
    asked = Model(name="c", path="-", format="keras", sha256="-")
    source = {"path": str(folder / "constants.keras"), "format": "keras"}
    plugin = load_plugin("workloads", "keras.applications")
    open_ = {name: plugin(name, plugin.spec.parameters()).model().input_shape for name in ("MobileNetV3Small",)}
    made, ir = (step(folder / f"constants-{format_}", asked, format_, format_, source=source) for format_ in ("onnx", "ir"))
    source |= {"path": str(folder / "open.keras")}
    open_made = {
        format_: step(folder / f"open-{format_}", asked, format_, format_, source=source)["path"] for format_ in ("onnx", "tflite")
    }
    return {"path": made["path"], "shapes": open_, "open": open_made, "ir": ir}


def keras_2(keras: Any, folder: Path) -> dict[str, Any]:
    """An `.h5` with what only Keras 2 writes: old settings, an axis in a list, calls of a nested model counted from 1, a list of one output."""
    layers, image = keras.layers, keras.Input((8, 8, 2), name="image")
    inner = keras.Sequential([keras.Input((8, 8, 2)), layers.DepthwiseConv2D(3), layers.BatchNormalization()], name="inner")
    map_ = keras.Input((6, 6, 2))
    flat = keras.Model(map_, layers.Reshape((36, 2))(map_), name="flat")
    model = keras.Model(image, layers.Dense(3)(layers.LSTM(4)(flat(inner(image)))))
    model.save(folder / "keras-2.h5")
    samples = np.random.default_rng(10).random((5, 8, 8, 2), dtype=np.float32)
    with h5py.File(folder / "keras-2.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        by_class = {layer["class_name"]: layer for layer in config["config"]["layers"]}
        inside = {layer["class_name"]: layer for layer in by_class["Sequential"]["config"]["layers"]}
        by_class["LSTM"]["config"]["time_major"] = False
        inside["DepthwiseConv2D"]["config"]["groups"] = 1
        inside["BatchNormalization"]["config"]["axis"] = [3]
        by_class["Functional"]["inbound_nodes"], by_class["LSTM"]["inbound_nodes"] = [[["inner", 1, 0, {}]]], [[["flat", 1, 0, {}]]]
        config["config"]["output_layers"] = [config["config"]["output_layers"]]
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), np.bytes_("2.15.0")
    shutil.copy(folder / "keras-2.h5", folder / "keras-2-time-major.h5")
    with h5py.File(folder / "keras-2-time-major.h5", "r+") as file:
        by_class["LSTM"]["config"]["time_major"] = True
        file.attrs["model_config"] = json.dumps(config)
    answers = model(samples).numpy()
    np.savez(folder / "keras-2.npz", x=samples, y=answers)
    asked, source = Model(name="k", path="-", format="keras", sha256="-"), {"path": str(folder / "keras-2.h5"), "format": "keras"}
    return {
        "difference": float(np.abs(load_keras(folder / "keras-2.h5")(samples).numpy() - answers).max()),
        "refused": refusal(lambda: load_keras(folder / "keras-2-time-major.h5")),
        "tflite": step(folder / "keras-2-tflite", asked, "tflite", "tflite", source=source)["path"],
    }


def saved(tf: Any, folder: Path) -> dict[str, Any]:
    """Two inputs with odd names, a dynamic dimension, outputs by name: built, exported, and run against the plain function."""
    rng = np.random.default_rng(8)

    class Pair(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = tf.Variable(rng.normal(size=(4, 3)).astype(np.float32))
            self.v = tf.Variable(rng.normal(size=(2, 3)).astype(np.float32))
            self.unused = tf.Variable(np.zeros(1000, np.float32))
            self.moment = tf.Variable(np.zeros((4, 3), np.float32))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], name="zeta_In.0"), tf.TensorSpec([None, None, 2], name="Alpha")])
        def serve(self, zeta, alpha):
            return {"scores": zeta @ self.w + tf.reduce_mean(alpha, 1) @ self.v, "aux": tf.reduce_sum(alpha, [1, 2])[:, None]}

    pair = Pair()
    tf.saved_model.save(pair, str(folder / "pair"), signatures=pair.serve)
    answers = pair.serve(ZETA, ALPHA)
    np.savez(folder / "pair.npz", zeta=ZETA, alpha=ALPHA, **{name: answer.numpy() for name, answer in answers.items()})
    model = Model(name="pair", path=str(folder / "pair"), format="savedmodel", sha256=fingerprint(folder / "pair")[0])
    source = step(folder / "pair-source", model, "source", "savedmodel")
    exported = {f: step(folder / f"pair-{f}", model, f, f, source=source) for f in ("tflite", "onnx")}
    named = {n: model_inputs(Path(one["path"]), one["format"]) for n, one in {"savedmodel": source, **exported}.items()}
    compiled(folder / "pair", folder / "compiled")
    old = first_pair(tf, folder)
    first = Model(name="first", path=str(old), format="savedmodel", sha256=fingerprint(old)[0])
    taken = step(folder / "first-source", first, "source", "savedmodel")
    return {
        "first": {f: step(folder / f"first-{f}", first, f, f, source=taken)["path"] for f in ("tflite", "onnx")},
        "compiled": [spec.name for spec in load_savedmodel(folder / "compiled").inputs],
        "facts": source["facts"],
        "paths": {name: one["path"] for name, one in exported.items()},
        "exported": {name: one["facts"]["parameters"] for name, one in exported.items()},
        "inputs": {name: sorted((one.name, list(one.shape)) for one in inputs) for name, inputs in named.items()},
        "engine": {mode: engine(Path(source["path"]), answers, **options) for mode, options in MODES.items()},
    }


def compiled(source: Path, target: Path) -> None:
    """The same model with an optimizer, as Keras 2 saves it: its object graph names one, with a moment of one of the weights."""
    from tensorflow.core.protobuf import saved_model_pb2

    shutil.copytree(source, target)
    saved = saved_model_pb2.SavedModel.FromString((target / "saved_model.pb").read_bytes())
    nodes = saved.meta_graphs[0].object_graph_def.nodes
    numbers = {child.local_name: child.node_id for child in nodes[0].children}
    nodes[0].children.add(node_id=len(nodes), local_name="optimizer")
    optimizer = nodes.add()
    optimizer.user_object.identifier = "optimizer"
    optimizer.user_object.version.producer = optimizer.user_object.version.min_consumer = 1
    optimizer.slot_variables.add(original_variable_node_id=numbers["w"], slot_name="m", slot_variable_node_id=numbers["moment"])
    (target / "saved_model.pb").write_bytes(saved.SerializeToString())


MODES: dict[str, dict[str, Any]] = {"graph": {}, "eager": {"mode": "eager"}, "xla": {"xla": True}}


def engine(path: Path, answers: Any, **options: Any) -> dict[str, Any]:
    """The TensorFlow engine against the plain function, with queries of 4."""
    plugin = load_plugin("engines", "tensorflow")
    session = plugin().open(Load(path, "savedmodel", "cpu", 4, 1, plugin.spec.parameters(**options)))
    given = {"zeta_In.0": ZETA[:4], "Alpha": ALPHA[:4]}
    out = session.run([given[tensor.name] for tensor in session.inputs])
    differences = [float(np.abs(a - answers[t.name].numpy()[:4]).max()) for t, a in zip(session.outputs, out, strict=True)]
    return {"difference": max(differences), "precision": session.precision(), "shapes": {t.name: t.shape for t in session.inputs}}


INITIAL: dict[str, Any] = {
    "first_saves": lambda tf, folder: tf.raw_ops.SaveV2(
        prefix=str(folder / "saved_first"), tensor_names=["x"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
    ),
    "first_reads": lambda tf, folder: tf.raw_ops.InitializeTableFromTextFileV2(
        table_handle=tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64),
        filename=str(folder / "secret.txt"),
        key_index=-2,
        value_index=-1,
    ),
    "first_fills": lambda tf, folder: (
        tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(str(folder / "secret.txt"), tf.string, -2, tf.int64, -1), -1)._init_op
    ),
}
"""What the initial operator of a SavedModel of TensorFlow 1 does."""


def initialised(tf: Any, path: Path, make: Any) -> Path:
    """A SavedModel of TensorFlow 1 with that operator."""
    old = tf.compat.v1
    with tf.Graph().as_default(), old.Session() as session:
        x = old.placeholder(tf.float32, [None, 2], name="x")
        weights = old.get_variable("w", initializer=tf.ones([2, 2]))
        session.run(old.global_variables_initializer())
        served = {"zeta": x @ weights, "alpha": x + 1.0}
        old.saved_model.simple_save(session, str(path), {"x": x}, served, legacy_init_op=tf.group(make(tf, path.parent)))
    return path


def first_pair(tf: Any, folder: Path) -> Path:
    """A SavedModel of TensorFlow 1 with reference variables, and input names in the signature that differ from its graph."""
    old, path = tf.compat.v1, folder / "first-pair"
    with tf.Graph().as_default(), old.Session() as session:
        zeta, alpha = old.placeholder(tf.float32, [None, 4]), old.placeholder(tf.float32, [None, None, 2])
        weights = old.get_variable("w", initializer=np.arange(12, dtype=np.float32).reshape(4, 3), use_resource=False)
        session.run(old.global_variables_initializer())
        served = {"scores": zeta @ weights + tf.reduce_sum(alpha, [1, 2])[:, None]}
        old.saved_model.simple_save(session, str(path), {"alpha": alpha, "zeta": zeta}, served)
    return path


def hostile(tf: Any, folder: Path) -> dict[str, Any]:
    """The errors of SavedModels that must not be loaded."""

    def write(name: str, function: Any, **signatures: Any) -> Path:
        module = tf.Module()
        module.serve = tf.function(function, input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        tf.saved_model.save(module, str(folder / name), signatures=signatures.get("signatures", module.serve))
        return folder / name

    secret = folder / "secret.txt"
    secret.write_text("secret")
    reads = write("reads", lambda x: {"y": x + float(1) * tf.cast(tf.strings.length(tf.io.read_file(str(secret))), tf.float32)})
    runs = write("runs", lambda x: {"y": tf.ensure_shape(tf.numpy_function(lambda v: v, [x], tf.float32), [None, 2])})
    listens = write("listens", lambda x: {"y": x + tf.cast(tf.data.TextLineDataset(str(secret)).reduce(0, lambda n, _: n + 1), tf.float32)})
    prints = write("prints", lambda x: (tf.print(x, output_stream=f"file://{folder / 'printed.txt'}"), {"y": x})[1])
    saves = write(
        "saves",
        lambda x: (tf.raw_ops.SaveV2(prefix=str(folder / "saved"), tensor_names=["x"], shape_and_slices=[""], tensors=[x]), {"y": x})[1],
    )
    outside = str(secret)

    def fill(name: Any) -> Any:
        table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        tf.raw_ops.InitializeTableFromTextFileV2(table_handle=table, filename=name, key_index=-2, value_index=-1)
        return table

    passed = tf.function(lambda name, x: (fill(name), x)[1])
    lines = tf.raw_ops.DatasetToGraphV2
    reaching = {
        "maps": lambda x: {"y": x + tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=[], memory_region_name=outside)},
        "hides": lambda x: (tf.raw_ops.DatasetFromGraph(graph_def=lines(input_dataset=tf.data.Dataset.range(3)._variant_tensor)), {"y": x})[
            1
        ],
        "samples": lambda x: (tf.random.fixed_unigram_candidate_sampler([[0]], 1, 1, True, 3, vocab_file=outside), {"y": x})[1],
        "fills": lambda x: (fill(tf.constant(outside)), {"y": x})[1],
        "fills_passed": lambda x: {"y": passed(tf.constant(outside), x)},
        "fills_joined": lambda x: (fill(tf.strings.join([outside, ""])), {"y": x})[1],
    }
    reached = [write(name, function) for name, function in reaching.items()]
    later = shutil.copytree(reached[0], folder / "later")
    (later / "saved_model.pb").write_bytes((later / "saved_model.pb").read_bytes().replace(b"ImmutableConst", b"OperatorOf2030"))
    none = write("none", lambda x: {"y": x}, signatures={})
    initial = {name: initialised(tf, folder / name, make) for name, make in INITIAL.items()}
    (folder / "cut").mkdir()
    (folder / "cut" / "saved_model.pb").write_bytes((reads / "saved_model.pb").read_bytes()[:300])
    facts = {
        path.name: refusal(lambda path=path: load_savedmodel(path))
        for path in (reads, runs, listens, prints, saves, none, *reached, later, *initial.values(), folder / "cut", folder / "pictures")
    }
    assert not list(folder.glob("printed*")) + list(folder.glob("saved*"))
    return {**facts, "trusted": load_savedmodel(reads, trusted=True).key}


def operators(tf: Any, keras: Any, folder: Path) -> dict[str, Any]:
    """Refused operators of Keras models, allowed operators that TensorFlow lacks, and the answer of a table from an asset."""
    from tensorflow.python.framework import op_def_registry

    layers, models = keras.layers, {"MobileNetV2": load_keras(Path(step_path(folder)))}
    image, series, tokens, text = (
        keras.Input((16, 16, 3)),
        keras.Input((8, 4)),
        keras.Input((5,), dtype="int32"),
        keras.Input((1,), dtype="string"),
    )
    x = layers.RandomFlip()(layers.Resizing(16, 16)(image))
    for layer in (
        layers.Conv2D(4, 3),
        layers.BatchNormalization(),
        layers.SeparableConv2D(4, 3),
        layers.Conv2DTranspose(3, 3),
        layers.PReLU(),
        layers.GroupNormalization(3),
        layers.UpSampling2D(interpolation="bilinear"),
        layers.MaxPooling2D(),
        layers.ZeroPadding2D(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4, activation="gelu"),
    ):
        x = layer(x)
    models["image"] = keras.Model(image, x)
    recurrent = [
        layers.LSTM(4, return_sequences=True),
        layers.Bidirectional(layers.GRU(4)),
        layers.Dropout(0.5),
        layers.LayerNormalization(),
    ]
    models["series"] = keras.Sequential([series, layers.Conv1D(4, 3, padding="causal"), *recurrent])
    embedded = layers.Embedding(10, 4)(tokens)
    models["tokens"] = keras.Model(tokens, layers.MultiHeadAttention(2, 2)(embedded, embedded))
    words = layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=4)
    models["text"] = keras.Model(text, layers.Embedding(10, 4)(words(text)))
    (folder / "vocabulary.txt").write_text("a\nb\n")
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(str(folder / "vocabulary.txt"), tf.string, -2, tf.int64, -1), -1)
    module.serve = tf.function(lambda x: {"y": module.table.lookup(x)}, input_signature=[tf.TensorSpec([None], tf.string, name="x")])
    tf.saved_model.save(module, str(folder / "vocabulary"), signatures=module.serve)
    return {
        "refused": {name: refused_operators(tf, model) for name, model in models.items()},
        "missing": sorted(name for name in COMPUTATION | CHECKPOINT if op_def_registry.get(name) is None),
        "asset": load_savedmodel(folder / "vocabulary")(tf.constant(["b", "c"]))[0].numpy().tolist(),
    }


def step_path(folder: Path) -> str:
    """The `.keras` file of the application."""
    return str(next((folder / "application-0").glob("*.keras")))


def refused_operators(tf: Any, model: Any) -> list[str]:
    """Refused operators of a model's graph and functions, in training too."""
    specs = [tf.TensorSpec([2, *tensor.shape[1:]], tensor.dtype) for tensor in model.inputs]
    graphs = [tf.function(model).get_concrete_function(*specs, training=training).graph.as_graph_def() for training in (False, True)]
    return sorted({op for graph in graphs for op in _unknown(SimpleNamespace(graph_def=graph))})


if __name__ == "__main__":
    main()
