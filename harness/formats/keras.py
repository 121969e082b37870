"""Keras models: load a `.keras` or `.h5` file without running code in it, and count its parameters and operations."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.errors import EngineError
from harness.formats.base import FIRST_PACKAGES, Format, Imported, ImportRequest, Input
from harness.formats.counting import Weight, count
from harness.formats.keras2 import dictionaries, readable, uses_changed_function
from harness.formats.libraries import import_library, reading
from harness.schema import ArtifactFacts, FormatSpec

CONFIG_BYTES = 256 * 2**20
DEFLATED = 200
"""Largest compression ratio of an entry: weights stay below it, pruned ones too; a zip bomb reaches about 1,000."""
KIND = ("a Keras model", "save it again with model.save()")
DAMAGED = "obtain a complete copy from its author"
KERAS_2 = "it is of Keras 2: save it there as a SavedModel, or a .keras file as .h5, and name that"
TRUST = "review the code, then use --trust"

SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_./>-]*", re.ASCII)
"""Names that TensorFlow accepts for a scope of a graph."""

# Layers without multiply-accumulates: a normalisation is folded into its neighbour, an embedding is a table lookup.
FREE_LAYERS = ("BatchNormalization", "Embedding", "Normalization")
SEPARABLE = ("depthwise_kernel", "pointwise_kernel")
KERNELS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Dense", "Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D"), ("kernel",)),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), ("kernel",)),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), SEPARABLE),
}
"""The attributes that hold a layer's kernels, by its class."""


class Keras(Format):
    """A `.keras` file."""

    spec: ClassVar = FormatSpec(name="keras", summary="Keras 3", packages=FIRST_PACKAGES, suffixes=(".keras",))

    def import_model(self, request: ImportRequest) -> Imported:
        """Copy the file after the model was loaded."""
        model = load_keras(request.source, trusted=request.trusted)
        path = request.folder / "model.keras"
        shutil.copyfile(request.source, path)
        return Imported(path, facts(model))

    def inputs(self, path: Path, *, trusted: bool = False) -> list[Input]:
        """Inputs of the loaded model."""
        return [Input(tensor.name, tuple(tensor.shape)) for tensor in load_keras(path, trusted=trusted).inputs]

    def stored_inputs(self, path: Path, signature: str | None = None) -> list[Input] | None:
        """Inputs that the configuration declares."""
        return [Input(name, shape) for name, shape in stored_shapes(path)] or None


class KerasH5(Keras):
    """A whole model in HDF5, of Keras 2 or 3."""

    spec: ClassVar = FormatSpec(name="h5", summary="Keras in HDF5", packages=FIRST_PACKAGES, suffixes=(".h5", ".hdf5"), stored_as="keras")

    def import_model(self, request: ImportRequest) -> Imported:
        """Save the loaded model as a `.keras` file."""
        return save_keras(load_keras(request.source, trusted=request.trusted), request.folder)


def save_keras(model: Any, folder: Path) -> Imported:
    """Store a model as a `.keras` file in a folder."""
    path = folder / "model.keras"
    model.save(path)
    return Imported(path, facts(model))


def import_keras() -> Any:
    """Keras on TensorFlow; refused if it is not installed."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # overrides the user's configuration: everything here goes through TensorFlow
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    return import_library("keras", "Keras", "pip install 'harness[tensorflow]'")


def load_keras(path: Path, *, trusted: bool = False) -> Any:
    """The model in a file, not compiled.

    Args:
        path: `.keras`, or `.h5` of the whole model.
        trusted: Whether it may contain code, such as Lambda layers.

    Raises:
        EngineError: The file is not a model, is damaged, or contains code and is not trusted.
    """
    h5 = _is_h5(path)
    with reading(path, *KIND):
        config, version = _h5_config(path) if h5 else _zip_config(path)
        if not trusted:
            _refuse_code(path, config)
    old = version[:2] in ("1.", "2.")
    if old and uses_changed_function(config):
        raise EngineError(f"{path.name} uses hard_sigmoid, which is another function in Keras 3: its outputs would differ", KERAS_2)
    keras = import_keras()
    with reading(path, KIND[0], KERAS_2 if old else KIND[1]), readable(path, config, keras) if old and h5 else nullcontext(path) as source:
        model = keras.models.load_model(str(source), compile=False, safe_mode=not trusted)
        _rename_layers(model)
        return model


def _rename_layers(model: Any) -> None:
    """Rename layers whose name TensorFlow's graphs do not accept; inputs keep theirs, since data are matched by it."""
    layers = [layer for layer in getattr(model, "layers", ()) if type(layer).__name__ != "InputLayer"]
    taken = {layer.name for layer in layers}
    for layer in layers:
        _rename_layers(layer)
        if not SCOPE.fullmatch(layer.name):
            plain = re.sub(r"[^A-Za-z0-9_.]", "_", layer.name)
            layer.name = next(name for name in (f"layer_{plain}_{n}" for n in itertools.count()) if name not in taken)
            taken.add(layer.name)


# --- checks before loading ---------------------------------------------------------------------------------------------


def _is_h5(path: Path) -> bool:
    return path.suffix in (".h5", ".hdf5")


def _zip_config(path: Path) -> tuple[Any, str]:
    """The configuration in a `.keras` file, and the version of Keras that saved it."""
    if not zipfile.is_zipfile(path):
        raise EngineError(f"{path.name} is not a .keras file: it is not a zip archive", "save the model with model.save('model.keras')")
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            _check_entry(path, entry)
        if archive.getinfo("config.json").file_size > CONFIG_BYTES:
            raise EngineError(f"{path.name} has a configuration of more than 256 MiB", DAMAGED)
        metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in archive.namelist() else {}
        return json.loads(archive.read("config.json")), str(metadata.get("keras_version", ""))


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    """Refuse an entry that leaves the archive or is a zip bomb."""
    if entry.filename.startswith("/") or ".." in Path(entry.filename).parts:
        raise EngineError(f"{path.name} contains the path {entry.filename!r}, which leaves the archive", DAMAGED)
    if entry.file_size > max(CONFIG_BYTES, DEFLATED * entry.compress_size):
        raise EngineError(
            f"{path.name} contains {entry.filename!r}, which unpacks to {entry.file_size / 2**20:,.0f} MiB from very few bytes", KIND[1]
        )


def _h5_config(path: Path) -> tuple[Any, str]:
    """The configuration in an `.h5` file that refers to no other file, and the version of Keras that saved it."""
    import h5py

    with h5py.File(path, "r") as file:
        _refuse_external(path, file)
        if "model_config" not in file.attrs:
            raise EngineError(f"{path.name} contains weights without a model", "save the whole model with model.save()")
        version = file.attrs.get("keras_version", "")
        return json.loads(file.attrs["model_config"]), version.decode() if isinstance(version, bytes) else str(version)


def _refuse_external(path: Path, group: Any) -> None:
    import h5py

    for name in group:
        outside = isinstance(group.get(name, getlink=True), h5py.ExternalLink)
        item = None if outside else group.get(name)
        if outside or (isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)):
            raise EngineError(f"{path.name} reads {name!r} from another file", "save the model into one file")
        if isinstance(item, h5py.Group):
            _refuse_external(path, item)


def _refuse_code(path: Path, config: Any) -> None:
    """Refuse a configuration with a Lambda, or with a class that is not part of Keras."""
    for node in dictionaries(config):
        if "class_name" not in node:
            continue
        if node["class_name"] in ("Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer"):
            raise EngineError(f"{path.name} contains code ({node['class_name']})", TRUST)
        module = str(node.get("module") or "builtins")
        if module.split(".", 1)[0] not in ("keras", "builtins"):
            raise EngineError(
                f"{path.name} needs the class {node['class_name']!r} of {module!r}, which is not part of Keras",
                KERAS_2 if module.startswith("tf_keras.") else "build it from Keras layers, or export it to .tflite or .onnx",
            )


def stored_shapes(path: Path) -> list[tuple[str, tuple[int | None, ...]]]:
    """(Name, shape with the batch) of each input that a functional or sequential model declares; empty for other models.

    Args:
        path: `.keras`, or `.h5` of the whole model.

    Raises:
        EngineError: The file is not a model.
    """
    config, _ = _h5_config(path) if _is_h5(path) else _zip_config(path)
    if config.get("class_name") not in ("Functional", "Sequential", "Model"):
        return []
    layers = config["config"]["layers"] if isinstance(config["config"], dict) else config["config"]
    inputs = [layer["config"] for layer in layers if layer["class_name"] == "InputLayer"]
    shapes = [(str(each.get("name")), each.get("batch_shape") or each.get("batch_input_shape")) for each in inputs]
    return [(name, tuple(shape)) for name, shape in shapes if isinstance(shape, list)] if all(shape for _, shape in shapes) else []


# --- counts ------------------------------------------------------------------------------------------------------------


def facts(model: Any) -> ArtifactFacts:
    """Parameters, nonzero ones in total and by tensor, and multiply-accumulates of one inference."""
    weights = [weight for weight in model.weights if weight.dtype != "string" and "seed_generator" not in weight.path]
    return count((Weight(weight.path, np.asarray(weight), len(weight.shape) > 1) for weight in weights), count_macs(model))


def count_macs(model: Any) -> int | None:
    """Multiply-accumulates of one inference; None if a layer with weights is of an unknown kind or has dynamic dimensions.

    Biases and activations are not counted. A convolution costs the size of its kernel for each position of the output (transposed: of the
    input), with or without groups, because the kernel's shape holds the input channels per group.
    """
    counts = [_layer_macs(layer) for layer in leaf_layers(model)]
    return None if None in counts else sum(count or 0 for count in counts)


def leaf_layers(model: Any) -> Iterator[Any]:
    """The layers of a model and of its nested models."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaf_layers(layer)
        else:
            yield layer


def _layer_macs(layer: Any) -> int | None:
    kind = type(layer).__name__
    if not layer.weights or kind in FREE_LAYERS:
        return 0
    if kind not in KERNELS or len(layer._inbound_nodes) > 1:  # a shared layer runs more than once
        return None
    try:
        shape = (layer.input if kind.endswith("Transpose") else layer.output).shape
    except (AttributeError, ValueError):  # it is never called
        return None
    channels_first = getattr(layer, "data_format", "channels_last") == "channels_first"
    positions = shape[2:] if channels_first else shape[1:-1]
    if None in positions:
        return None
    return int(prod(positions) * sum(prod(getattr(layer, kernel).shape) for kernel in KERNELS[kind]))
