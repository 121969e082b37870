"""OpenVINO: convert a Keras or ONNX model to OpenVINO's format, and optionally to float16 or int8."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.formats import ir
from harness.formats.inputs import model_inputs
from harness.formats.keras import count_macs, import_keras, load_keras
from harness.formats.libraries import library_errors
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import LEAVE_OUT, Array, Job, Recipe, not_applicable
from harness.variants.calibration import Input, queries
from harness.variants.export import TENSORFLOW, converted_facts


class ToIr(Recipe):
    """Keras or ONNX to OpenVINO, float32, with a dynamic batch."""

    spec: ClassVar = VariantSpec(
        name="ir",
        summary="the format of OpenVINO",
        packages=(*TENSORFLOW, "openvino", "onnx"),
        extra="openvino",
        conversions=(("keras", "ir"), ("onnx", "ir")),
        exporter=True,
        version=4,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert with OpenVINO's own front ends."""
        openvino = ir.import_openvino()
        if job.source_format == "onnx":
            own = {declared.name for declared in model_inputs(job.source, "onnx")}  # also refuses data from outside the folder
            made = _converted(openvino, str(job.source))
            for port in made.inputs:  # an Identity after an input adds its own name
                port.get_tensor().set_names(own & port.get_names())
            return ir.write_ir(made, job.folder), ir.facts(made)
        model = load_keras(job.source, trusted=job.trusted)
        macs = count_macs(model)
        _fix_front_end()
        made = _converted(openvino, _functional(model))
        for port, tensor in zip(made.inputs, model.inputs, strict=True):  # in the model's order, unused ones too
            port.get_tensor().set_names({tensor.name})
        return ir.write_ir(made, job.folder), converted_facts(model, macs, ir.facts(made))


class TfliteToIr(Recipe):
    """TFLite to OpenVINO with the types that the file stores."""

    spec: ClassVar = VariantSpec(
        name="tflite_ir",
        summary="TFLite -> OpenVINO IR",
        packages=("openvino",),
        extra="openvino",
        conversions=(("tflite", "ir"),),
        exporter=True,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert the main graph with OpenVINO's front end."""
        made = _converted(ir.import_openvino(), str(job.source))
        own = {declared.name for declared in model_inputs(job.source, "tflite")}
        if any(not own & port.get_names() for port in made.inputs) or len(own) != len(made.inputs):
            raise not_applicable("OpenVINO takes the main graph of a .tflite, which is not the measured signature")
        return ir.write_ir(made, job.folder), ir.facts(made)


def float16_ir(job: Job) -> tuple[Path, ArtifactFacts]:
    """Store the weights in float16; the engine decides what they are computed in."""
    model = ir.read_ir(job.source)
    return ir.write_ir(model, job.folder, float16=True), ir.facts(model)


def int8_ir(job: Job, samples: Sequence[Array]) -> tuple[Path, ArtifactFacts]:
    """Quantize weights and activations to int8 with NNCF; inputs and outputs stay float32.

    Args:
        job: Its source is an OpenVINO model.
        samples: Calibration samples.

    Raises:
        EngineError: NNCF is not installed, or cannot quantize this model.
    """
    model = ir.read_ir(job.source)
    calibrating = queries([_input(port) for port in model.inputs], samples)
    nncf = ir.import_nncf()
    with library_errors("int8 cannot be applied to this OpenVINO model", LEAVE_OUT):
        made = nncf.quantize(model, nncf.Dataset(calibrating), subset_size=len(calibrating))
    return ir.write_ir(made, job.folder), ir.facts(made)


def _converted(openvino: Any, source: Any) -> Any:
    with library_errors("the model cannot be converted to OpenVINO", "leave this engine out for this model"):
        return openvino.convert_model(source)


def _functional(model: Any) -> Any:
    """A functional model of a sequential one, in which OpenVINO's front end finds no input after loading."""
    keras = import_keras()
    if not isinstance(model, keras.Sequential):
        return model
    (tensor,) = model.inputs
    again = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
    return keras.Model(again, model(again))


def _fix_front_end() -> None:
    """Let OpenVINO find TensorFlow's version on Python 3.13, where its own `exec("del tensorflow")` finds no such name.

    PEP 667 changed the names that `exec` makes in a function; https://github.com/openvinotoolkit/openvino/pull/32482.
    """
    if sys.version_info >= (3, 13):
        import tensorflow as tf
        from openvino.frontend.tensorflow import utils

        utils.get_environment_setup = lambda framework: {"tensorflow": tf.__version__}


def _input(port: Any) -> Input:
    shape = tuple(size.get_length() if size.is_static else None for size in port.partial_shape)
    return Input(port.any_name, shape, np.dtype(port.element_type.to_dtype()))
