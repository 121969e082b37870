"""Exporters: a Keras model -> the same model as `.tflite` or `.onnx`, nothing but the format changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from harness.errors import EngineError
from harness.formats import onnx, tflite
from harness.formats.keras import count_macs, load_keras
from harness.formats.reading import first_line
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import Job, Recipe

TENSORFLOW = ("tensorflow", "tensorflow-cpu", "keras")


class ToTflite(Recipe):
    """Keras -> TFLite, float32, the batch open."""

    spec: ClassVar = VariantSpec(
        name="tflite",
        summary="the format of LiteRT",
        packages=TENSORFLOW,
        extra="tensorflow",
        conversions=(("keras", "tflite"),),
        exporter=True,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert with TensorFlow's converter."""
        return to_tflite(job)


class ToOnnx(Recipe):
    """Keras -> ONNX, float32, the batch open."""

    spec: ClassVar = VariantSpec(
        name="onnx",
        summary="the format of ONNX Runtime",
        packages=(*TENSORFLOW, "tf2onnx", "onnx"),
        extra="tensorflow",
        conversions=(("keras", "onnx"),),
        exporter=True,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Convert with Keras' own export, which needs a model that has run once."""
        import numpy as np

        model = load_keras(job.source, trusted=job.trusted)
        target = job.folder / "model.onnx"
        try:
            model([np.zeros([size or 1 for size in tensor.shape], tensor.dtype) for tensor in model.inputs])
            model.export(str(target), format="onnx", verbose=False)
        except Exception as error:  # the converter raises whatever an unknown layer makes it raise
            raise EngineError(
                f"the model cannot be converted to ONNX: {first_line(error)}", "export it yourself and name the .onnx file"
            ) from error
        return target, converted_facts(model, onnx.facts(onnx.load_onnx(target)))


def to_tflite(job: Job, **settings: Any) -> tuple[Path, ArtifactFacts]:
    """Convert the Keras model of a job.

    Args:
        job: Its source is a Keras model.
        settings: Attributes of `tf.lite.TFLiteConverter` to set.

    Raises:
        EngineError: The converter cannot take this model, or LiteRT not what came of the settings.
    """
    model = load_keras(job.source, trusted=job.trusted)
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    for name, value in settings.items():
        setattr(converter, name, value)
    target = job.folder / "model.tflite"
    try:
        target.write_bytes(converter.convert())
    except Exception as error:  # the converter raises whatever an unknown layer makes it raise
        raise EngineError(
            f"the model cannot be converted to TFLite: {first_line(error)}", "convert it yourself and name the .tflite file"
        ) from error
    if settings:
        tflite.check_runs(target)
    return target, converted_facts(model, tflite.facts(target))


def converted_facts(model: Any, found: ArtifactFacts) -> ArtifactFacts:
    """What a file made from a Keras model counts: converters leave out biases of 0, so parameters are those of the model."""
    macs = count_macs(model)
    return found.model_copy(update={"parameters": model.count_params(), "macs": found.macs if macs is None else macs})
