"""OpenVINO's format: a Keras or ONNX model -> its intermediate representation, and that in float16 or in int8."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.errors import EngineError
from harness.formats import ir
from harness.formats.inputs import model_inputs
from harness.formats.keras import count_macs, import_keras, load_keras
from harness.formats.libraries import first_line
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import Array, Job, Recipe
from harness.variants.export import TENSORFLOW, converted_facts


class ToIr(Recipe):
    """Keras or ONNX -> OpenVINO, float32, the batch open."""

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
            own = {declared.name for declared in model_inputs(job.source, "onnx")}  # refuses what draws data from elsewhere
            made = _converted(openvino, str(job.source))
            for port in made.inputs:  # an Identity behind an input leaves its name there too
                port.get_tensor().set_names(own & port.get_names())
            return ir.write_ir(made, job.folder), ir.facts(made)
        model = load_keras(job.source, trusted=job.trusted)
        macs = count_macs(model)
        _mend_front_end()
        made = _converted(openvino, _functional(model))
        for port, tensor in zip(made.inputs, model.inputs, strict=True):  # in the model's order, those that nothing uses too
            port.get_tensor().set_names({tensor.name})
        return ir.write_ir(made, job.folder), converted_facts(model, macs, ir.facts(made))


Input = tuple[str, tuple[int | None, ...], np.dtype[Any]]
"""(Name, shape with None where it is open, type)."""


def float16_ir(job: Job) -> tuple[Path, ArtifactFacts]:
    """The weights kept in float16; what they are computed in is the engine's affair."""
    model = ir.read_ir(job.source)
    return ir.write_ir(model, job.folder, float16=True), ir.facts(model)


def int8_ir(job: Job, queries: Callable[[Sequence[Input]], Iterable[list[Array]]]) -> tuple[Path, ArtifactFacts]:
    """Weights and activations in int8 by NNCF, float32 at the ends.

    Args:
        job: Its source is of this format.
        queries: Gives the calibration samples in the shapes of the inputs, one by one.

    Raises:
        EngineError: NNCF is not installed, or cannot quantize this model.
    """
    model = ir.read_ir(job.source)
    samples = list(queries([_input(port) for port in model.inputs]))
    nncf = ir.import_nncf()
    try:
        made = nncf.quantize(model, nncf.Dataset(samples), subset_size=len(samples))
    except Exception as error:  # it raises whatever an operator that it does not know makes it raise
        raise EngineError(
            f"int8 cannot be applied to this OpenVINO model: {first_line(error)}", "leave this variant out for this model"
        ) from error
    return ir.write_ir(made, job.folder), ir.facts(made)


def _converted(openvino: Any, source: Any) -> Any:
    try:
        return openvino.convert_model(source)
    except Exception as error:  # the converter raises whatever an unknown layer makes it raise
        raise EngineError(
            f"the model cannot be converted to OpenVINO: {first_line(error)}", "leave this engine out for this model"
        ) from error


def _functional(model: Any) -> Any:
    """A sequential model as a functional one: OpenVINO's front end asks a model for its input, and a sequential one that was loaded has none to tell."""
    keras = import_keras()
    if not isinstance(model, keras.Sequential):
        return model
    (tensor,) = model.inputs
    again = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
    return keras.Model(again, model(again))


def _mend_front_end() -> None:
    """Let OpenVINO see which TensorFlow there is on Python 3.13, where its own `exec("del tensorflow")` finds no such name.

    The names that `exec` makes in a function are gone there (PEP 667); https://github.com/openvinotoolkit/openvino/pull/32482.
    """
    if sys.version_info >= (3, 13):
        import tensorflow as tf
        from openvino.frontend.tensorflow import utils

        utils.get_environment_setup = lambda framework: {"tensorflow": tf.__version__}


def _input(port: Any) -> Input:
    shape = tuple(size.get_length() if size.is_static else None for size in port.partial_shape)
    return port.any_name, shape, np.dtype(port.element_type.to_dtype())
