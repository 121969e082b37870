"""Exporters: convert a Keras model or a SavedModel to `.tflite` or `.onnx`, and change nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from keyword import iskeyword
from pathlib import Path
from typing import Any, ClassVar

from harness.formats import onnx, tflite
from harness.formats.inputs import base_name
from harness.formats.keras import SCOPE, count_macs, load_keras
from harness.formats.libraries import import_library, library_errors
from harness.formats.savedmodel import Signature, load_savedmodel, with_constants
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import Job, Recipe

TENSORFLOW = ("tensorflow", "tensorflow-cpu", "keras")
PLAIN = re.compile(r"\w+", re.ASCII)
DYNAMIC_LIST = "element_shape"
"""In the converter's error for a list of tensors of dynamic size, which TFLite lacks; a recurrent layer keeps one for each batch."""
OPSET = 17
"""Opset of the ONNX models that tf2onnx writes; Keras chooses its own."""


class ToTflite(Recipe):
    """Keras or SavedModel to TFLite, float32, with a dynamic batch."""

    spec: ClassVar = VariantSpec(
        name="tflite",
        summary="the format of LiteRT",
        packages=TENSORFLOW,
        extra="tensorflow",
        conversions=(("keras", "tflite"), ("savedmodel", "tflite")),
        exporter=True,
        version=3,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert with TensorFlow's converter."""
        return to_tflite(job)


class ToOnnx(Recipe):
    """Keras or SavedModel to ONNX, float32, with a dynamic batch."""

    spec: ClassVar = VariantSpec(
        name="onnx",
        summary="the format of ONNX Runtime",
        packages=(*TENSORFLOW, "tf2onnx", "onnx"),
        extra="tensorflow",
        conversions=(("keras", "onnx"), ("savedmodel", "onnx")),
        exporter=True,
        version=4,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert with Keras' own export, which needs a model that has been called once; a SavedModel with tf2onnx."""
        target = job.folder / "model.onnx"
        if job.source_format == "savedmodel":
            signature = load_savedmodel(job.source, trusted=job.trusted)
            with _converting("ONNX", ".onnx"):
                _function_to_onnx(with_constants(signature), signature.inputs, target)
                onnx.check_operators(target)
            return target, onnx.facts(onnx.load_onnx(target))
        model = load_keras(job.source, trusted=job.trusted)
        macs = count_macs(model)
        with _converting("ONNX", ".onnx"):
            _complete_tf2onnx()
            model(model.inputs)  # symbolic: no size would fit the dynamic dimensions of every model
            model.export(str(target), format="onnx", verbose=False)
            if len(onnx.load_onnx(target, weights=False).graph.input) > len(model.inputs):  # constants of a layer among its inputs
                _function_to_onnx(lambda *inputs: model(list(inputs), training=False), _specs(model), target)
            onnx.check_operators(target)
        return target, converted_facts(model, macs, onnx.facts(onnx.load_onnx(target)))


def _converting(format_name: str, suffix: str) -> AbstractContextManager[None]:
    return library_errors(f"the model cannot be converted to {format_name}", f"convert it yourself and name the {suffix} file")


# --- ONNX --------------------------------------------------------------------------------------------------------------


def _specs(model: Any) -> list[Any]:
    import tensorflow as tf

    return [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in model.inputs]


def _function_to_onnx(function: Callable[..., Any], specs: Sequence[Any], target: Path) -> None:
    """Convert a function of these inputs; tensors that it captures become constants, of which tf2onnx makes inputs."""
    import tensorflow as tf
    from onnx import numpy_helper

    _complete_tf2onnx()
    traced = tf.function(function, input_signature=specs, autograph=False)
    captures = traced.get_concrete_function().graph.captures
    captured = {inside.name: outside for outside, inside in captures if outside.dtype != tf.resource}
    model, _ = _import_tf2onnx().convert.from_function(traced, input_signature=specs, opset=OPSET)
    for value in [value for value in model.graph.input if value.name in captured]:
        model.graph.input.remove(value)
        model.graph.initializer.append(numpy_helper.from_array(captured[value.name].numpy(), value.name))
    onnx.import_onnx().save(model, str(target))


def _import_tf2onnx() -> Any:
    return import_library("tf2onnx", "tf2onnx", "pip install 'harness[tensorflow]'")


def _complete_tf2onnx() -> None:
    """Add erfc(x) = 1 - erf(x), of an exact GELU, to tf2onnx, which otherwise copies the operator that ONNX lacks into the file."""
    _import_tf2onnx()
    import numpy as np
    from tf2onnx.handler import tf_op
    from tf2onnx.utils import make_name, map_onnx_to_numpy_type

    def erfc(graph: Any, node: Any, **_: Any) -> None:
        types, shapes = node.output_dtypes, node.output_shapes
        graph.remove_node(node.name)
        one = graph.make_const(make_name("one"), np.ones((), map_onnx_to_numpy_type(types[0])))
        erf = graph.make_node("Erf", node.input, dtypes=types, shapes=shapes)
        graph.make_node("Sub", [one.output[0], erf.output[0]], outputs=node.output, name=node.name, dtypes=types, shapes=shapes)

    tf_op("Erfc").register_compat_handler(erfc, 9)


# --- TFLite ------------------------------------------------------------------------------------------------------------


def to_tflite(job: Job, **settings: Any) -> tuple[Path, ArtifactFacts]:
    """Convert the Keras model or SavedModel of a job.

    Args:
        job: Its source is a Keras model or a SavedModel.
        settings: Attributes of `tf.lite.TFLiteConverter` to set.

    Raises:
        EngineError: The converter rejects the model, or LiteRT the file written with these settings.
    """
    load = load_savedmodel if job.source_format == "savedmodel" else load_keras
    model = load(job.source, trusted=job.trusted)
    import tensorflow as tf

    target = job.folder / "model.tflite"
    with _converting("TFLite", ".tflite"):
        if isinstance(model, Signature):
            content = _converted(tf.lite.TFLiteConverter.from_saved_model(str(job.source), signature_keys=[model.key]), settings)
        else:
            content = _from_keras(tf, model, settings)
        target.write_bytes(_with_names(content, model))
    if settings:
        tflite.check_runs(target)
    counted = tflite.facts(target)
    return target, counted if isinstance(model, Signature) else converted_facts(model, count_macs(model), counted)


def _converted(converter: Any, settings: Mapping[str, Any]) -> bytes:
    for name, value in settings.items():
        setattr(converter, name, value)
    return bytes(converter.convert())


def _from_keras(tf: Any, model: Any, settings: Mapping[str, Any]) -> bytes:
    """Convert a Keras model; with a batch of 1 if TFLite cannot express it with a dynamic batch."""
    try:
        plain_names = _has_plain_names(model)
        return _converted(tf.lite.TFLiteConverter.from_keras_model(model) if plain_names else _from_function(tf, model), settings)
    except Exception as error:  # TensorFlow has its own class, not exported
        if DYNAMIC_LIST not in str(error) or "representative_dataset" in settings:  # the converter crashes when it calibrates such a loop
            raise
        return _converted(_from_function(tf, model, batch=1), settings)


def _from_function(tf: Any, model: Any, batch: int | None = None) -> Any:
    """The converter of a Keras model as a function, with numbered inputs if it rejects their names, and optionally a fixed batch."""
    names = [tensor.name if _has_plain_names(model) else f"input_{place:03}" for place, tensor in enumerate(model.inputs)]
    shapes = [tensor.shape if batch is None else (batch, *tensor.shape[1:]) for tensor in model.inputs]
    specs = [tf.TensorSpec(shape, tensor.dtype, name=name) for name, shape, tensor in zip(names, shapes, model.inputs, strict=True)]
    single = len(specs) == 1
    function = tf.function(
        lambda *inputs: model(inputs[0] if single else list(inputs), training=False), input_signature=specs, autograph=False
    )
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], function)


def _has_plain_names(model: Any) -> bool:
    """Whether TensorFlow accepts the inputs' names as arguments, and the weights' as nodes."""
    names = [tensor.name for tensor in model.inputs]
    arguments = all(PLAIN.fullmatch(name) and not iskeyword(name) and name != "self" for name in names)
    return (
        arguments and len({name.lower() for name in names}) == len(names) and all(SCOPE.fullmatch(weight.path) for weight in model.weights)
    )


def _with_names(content: bytes, model: Any) -> bytes:
    """A converted model with the original names of its inputs, by which data are matched; unchanged if the converter kept them."""
    if isinstance(model, Signature):  # TensorFlow 1 lets the graph name the inputs differently
        kept = set(model.keywords) <= {base_name(tensor.name) for tensor in model.function.inputs}
    else:
        kept = _has_plain_names(model)
    if kept:
        return content
    from tensorflow.lite.tools import flatbuffer_utils

    converted = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    graph = converted.subgraphs[0]
    if isinstance(model, Signature):
        own = dict(zip(model.keywords, model.inputs, strict=True))
        named = [(each.tensorIndex, own[name]) for each in converted.signatureDefs[0].inputs if (name := each.name.decode()) in own]
    else:
        named = list(zip(graph.inputs, model.inputs, strict=True))
    for index, tensor in named:
        graph.tensors[index].name = tensor.name.encode()
    return bytes(flatbuffer_utils.convert_object_to_bytearray(converted))


def converted_facts(model: Any, macs: int | None, counted: ArtifactFacts) -> ArtifactFacts:
    """The counts of a file converted from Keras, with the model's parameters, since converters drop biases of zero.

    Args:
        model: The Keras model.
        macs: Its multiply-accumulates, counted before it was called again, since then its layers run more than once.
        counted: Counts of the file.
    """
    return counted.model_copy(update={"parameters": model.count_params(), "macs": counted.macs if macs is None else macs})
