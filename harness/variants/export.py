"""Exporters: a Keras model or a SavedModel -> the same model as `.tflite` or `.onnx`, nothing but the format changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from keyword import iskeyword
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import EngineError
from harness.formats import onnx, tflite
from harness.formats.inputs import base_name
from harness.formats.keras import SCOPE, count_macs, load_keras
from harness.formats.libraries import first_line
from harness.formats.savedmodel import Signature, load_savedmodel, with_constants
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import Job, Recipe

TENSORFLOW = ("tensorflow", "tensorflow-cpu", "keras")
PLAIN = re.compile(r"\w+", re.ASCII)
OPEN_LIST = "element_shape"
"""In what the converter says where a list of tensors is open in its size: TFLite has none, and a recurrent layer keeps one for each batch."""
OPSET = 17
"""Of ONNX, for what tf2onnx converts; Keras chooses its own."""


class ToTflite(Recipe):
    """Keras or SavedModel -> TFLite, float32, the batch open."""

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
    """Keras or SavedModel -> ONNX, float32, the batch open."""

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
        """Convert with Keras' own export, which needs a model that has run once; a SavedModel with tf2onnx."""
        if job.source_format == "savedmodel":
            return _savedmodel_to_onnx(job)
        model = load_keras(job.source, trusted=job.trusted)
        target, macs = job.folder / "model.onnx", count_macs(model)
        try:
            _complete_tf2onnx()
            model(model.inputs)  # of open sizes none would fit every model
            model.export(str(target), format="onnx", verbose=False)
            if len(onnx.load_onnx(target, weights=False).graph.input) > len(model.inputs):  # constants of a layer among its inputs
                _function_to_onnx(lambda *inputs: model(list(inputs), training=False), _specs(model), target)
            onnx.check_operators(target)
        except Exception as error:  # the converter raises whatever an unknown layer makes it raise
            raise EngineError(
                f"the model cannot be converted to ONNX: {first_line(error)}", "export it yourself and name the .onnx file"
            ) from error
        return target, converted_facts(model, macs, onnx.facts(onnx.load_onnx(target)))


def _savedmodel_to_onnx(job: Job) -> tuple[Path, ArtifactFacts]:
    signature = load_savedmodel(job.source, trusted=job.trusted)
    target = job.folder / "model.onnx"
    try:
        _function_to_onnx(with_constants(signature), signature.inputs, target)
        onnx.check_operators(target)
    except ImportError as error:
        raise EngineError(f"a SavedModel is converted by tf2onnx: {error}", "pip install 'harness[tensorflow]'", refused=True) from error
    except Exception as error:  # the converter raises whatever an unknown operator makes it raise
        raise EngineError(
            f"the SavedModel cannot be converted to ONNX: {first_line(error)}", "export it yourself and name the .onnx file"
        ) from error
    return target, onnx.facts(onnx.load_onnx(target))


def _specs(model: Any) -> list[Any]:
    import tensorflow as tf

    return [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in model.inputs]


def _function_to_onnx(function: Callable[..., Any], specs: Sequence[Any], target: Path) -> None:
    """Convert what a function of these inputs computes; constants that it captures become constants of the model, not inputs as tf2onnx makes them."""
    import tensorflow as tf
    import tf2onnx
    from onnx import numpy_helper

    _complete_tf2onnx()
    traced = tf.function(function, input_signature=specs, autograph=False)
    captures = traced.get_concrete_function().graph.captures
    captured = {inside.name: outside for outside, inside in captures if outside.dtype != tf.resource}
    model, _ = tf2onnx.convert.from_function(traced, input_signature=specs, opset=OPSET)
    for value in [value for value in model.graph.input if value.name in captured]:
        model.graph.input.remove(value)
        model.graph.initializer.append(numpy_helper.from_array(captured[value.name].numpy(), value.name))
    onnx.import_onnx().save(model, str(target))


def _complete_tf2onnx() -> None:
    """Give tf2onnx the operator that TensorFlow computes an exact GELU with, erfc(x) = 1 - erf(x): it would leave it in the file, and ONNX has none."""
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


def to_tflite(job: Job, **settings: Any) -> tuple[Path, ArtifactFacts]:
    """Convert the Keras model or SavedModel of a job.

    Args:
        job: Its source is one of these.
        settings: Attributes of `tf.lite.TFLiteConverter` to set.

    Raises:
        EngineError: The converter cannot take this model, or LiteRT not what came of the settings.
    """
    model = (
        load_savedmodel(job.source, trusted=job.trusted)
        if job.source_format == "savedmodel"
        else load_keras(job.source, trusted=job.trusted)
    )
    import tensorflow as tf

    target = job.folder / "model.tflite"
    try:
        if isinstance(model, Signature):
            content = _converted(tf.lite.TFLiteConverter.from_saved_model(str(job.source), signature_keys=[model.key]), settings)
        else:
            content = _from_keras(tf, model, settings)
        target.write_bytes(_with_names(content, model))
    except Exception as error:  # the converter raises whatever an unknown layer makes it raise
        raise EngineError(
            f"the model cannot be converted to TFLite: {first_line(error)}", "convert it yourself and name the .tflite file"
        ) from error
    if settings:
        tflite.check_runs(target)
    found = tflite.facts(target)
    return target, found if isinstance(model, Signature) else converted_facts(model, count_macs(model), found)


def _converted(converter: Any, settings: Mapping[str, Any]) -> bytes:
    for name, value in settings.items():
        setattr(converter, name, value)
    return bytes(converter.convert())


def _from_keras(tf: Any, model: Any, settings: Mapping[str, Any]) -> bytes:
    """What TensorFlow's converter makes of a Keras model; of a batch of 1 where it can make nothing of an open one."""
    try:
        plain_names = _has_plain_names(model)
        return _converted(tf.lite.TFLiteConverter.from_keras_model(model) if plain_names else _from_function(tf, model), settings)
    except Exception as error:  # of a class of its own
        if OPEN_LIST not in str(error) or "representative_dataset" in settings:  # the converter's calibration of such a loop dies
            raise
        return _converted(_from_function(tf, model, batch=1), settings)


def _from_function(tf: Any, model: Any, batch: int | None = None) -> Any:
    """The converter of a Keras model as a function, with inputs numbered where their names are none for it, and of a batch that may be fixed."""
    names = [tensor.name if _has_plain_names(model) else f"input_{place:03}" for place, tensor in enumerate(model.inputs)]
    shapes = [tensor.shape if batch is None else (batch, *tensor.shape[1:]) for tensor in model.inputs]
    specs = [tf.TensorSpec(shape, tensor.dtype, name=name) for name, shape, tensor in zip(names, shapes, model.inputs, strict=True)]
    single = len(specs) == 1
    function = tf.function(
        lambda *inputs: model(inputs[0] if single else list(inputs), training=False), input_signature=specs, autograph=False
    )
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], function)


def _has_plain_names(model: Any) -> bool:
    """Whether TensorFlow can make arguments of the inputs' names, and nodes of the weights'."""
    names = [tensor.name for tensor in model.inputs]
    arguments = all(PLAIN.fullmatch(name) and not iskeyword(name) and name != "self" for name in names)
    return (
        arguments and len({name.lower() for name in names}) == len(names) and all(SCOPE.fullmatch(weight.path) for weight in model.weights)
    )


def _placeholders_are_named(signature: Signature) -> bool:
    """Whether the graph calls the inputs as the signature does, which TensorFlow 1 leaves to the author."""
    return set(signature.keywords) <= {base_name(tensor.name) for tensor in signature.function.inputs}


def _with_names(content: bytes, model: Any) -> bytes:
    """A converted model with the inputs' own names, by which data are found; as it is where the converter kept them."""
    if _placeholders_are_named(model) if isinstance(model, Signature) else _has_plain_names(model):
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


def converted_facts(model: Any, macs: int | None, found: ArtifactFacts) -> ArtifactFacts:
    """What a file made from a Keras model counts: converters leave out biases of 0, so parameters are those of the model.

    Args:
        model: The Keras model.
        macs: Counted in it before it was called again, for then its layers run more than once.
        found: Counted in the file.
    """
    return found.model_copy(update={"parameters": model.count_params(), "macs": found.macs if macs is None else macs})
