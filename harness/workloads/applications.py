"""The models of `keras.applications`, with random or ImageNet weights, on seeded images without labels or on the user's images."""

from __future__ import annotations

import sys
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from harness.formats.keras import import_keras
from harness.formats.libraries import library_errors
from harness.schema import WorkloadSpec
from harness.workloads.base import Array, Split, Workload, WorkloadOptions

MEMBERS = (
    *("ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge"),
    *("DenseNet121", "DenseNet169", "DenseNet201"),
    *(f"EfficientNetB{size}" for size in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "L", "M", "S")),
    *("InceptionResNetV2", "InceptionV3"),
    *("MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small"),
    *("NASNetLarge", "NASNetMobile"),
    *("ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2"),
    *("VGG16", "VGG19", "Xception"),
)
SEEDS = {"train": 20240417, "test": 20240418}
SAMPLES = {"train": 32, "test": 64}
DEFAULT_SIZE = 224
"""Height and width for MobileNetV3, whose own are dynamic: the size it was designed for."""
PATCHES = 7
"""Number of patches along the width and the height of a seeded image."""


class Options(WorkloadOptions):
    """What a suite may set."""

    weights: Literal["random", "imagenet"] = Field("random", description="random: by the suite's seed; imagenet: fetched by Keras")
    image_size: int | None = Field(
        None, ge=32, le=4096, description="height and width of the images; null: the model's own, which ImageNet's weights need"
    )

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.weights == "imagenet" and self.image_size is not None:
            raise ValueError("have the model's own image size with weights: imagenet, so leave image_size out")
        return self


class Applications(Workload):
    """A model by name; with random weights its time and energy equal those of a trained one, and its predictions are meaningless."""

    spec: ClassVar = WorkloadSpec(
        name="keras.applications",
        summary="image classifiers of keras.applications, as keras.applications/NAME",
        packages=("keras", "numpy"),
        extra="tensorflow",
        parameters=Options,
        metric=None,
        members=MEMBERS,
        data="unlabelled",
        trained=False,
    )

    def data(self) -> dict[str, Split]:
        """Seeded, preprocessed images of random patches, without labels: 32 for calibration, 64 to compare outputs on."""
        shape = self.model().input_shape[1:]
        return {name: Split(self.preprocess(_images(seed, SAMPLES[name], shape))) for name, seed in SEEDS.items()}

    def model(self) -> Any:
        """The classifier with its 1,000 classes.

        Raises:
            EngineError: ImageNet's weights cannot be fetched, or the model takes no images of this size.
        """
        build = getattr(import_keras().applications, str(self.member))
        size = self.options.image_size or (DEFAULT_SIZE if str(self.member).startswith("MobileNetV3") else None)
        fetched = self.options.weights == "imagenet"
        hint = "weights: imagenet needs the network once; weights: random does not" if fetched else "leave image_size out"
        with library_errors(f"keras.applications cannot create {self.member}", hint):
            return build(weights="imagenet" if fetched else None, **({"input_shape": (size, size, 3)} if size else {}))

    def preprocess(self, images: Array) -> Array:
        """Apply the preprocessing of the model's module."""
        build = getattr(import_keras().applications, str(self.member))
        prepared: Array = sys.modules[build.__module__].preprocess_input(images.copy())
        return np.asarray(prepared, np.float32)


def _images(seed: int, count: int, shape: tuple[int, ...]) -> Array:
    """Images of random patches, float32 from 0 to 255."""
    height, width, channels = shape
    patches = np.random.default_rng(seed).uniform(0, 255, (count, PATCHES, PATCHES, channels)).astype(np.float32)
    rows, columns = (np.arange(size) * PATCHES // size for size in (height, width))
    return patches[:, rows][:, :, columns]
