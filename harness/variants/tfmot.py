"""Recipes of TensorFlow's Model Optimization Toolkit, built in its own virtual environment: pruning, clustering, quantization-aware training.

Keras 3 model -> legacy Keras -> the toolkit trains and strips it -> its weights back into the Keras 3 model, so that every later step is as usual.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harness.errors import EngineError
from harness.formats import tflite
from harness.formats.keras import count_macs, facts, leaf_layers, load_keras
from harness.formats.legacy import HINT, copy_weights, import_legacy, to_legacy
from harness.formats.libraries import first_line
from harness.schema import ArtifactFacts, Training, VariantSpec
from harness.variants.base import Array, Job, Recipe
from harness.variants.export import converted_facts
from harness.variants.prune import PRUNED, Parameters, Schedule, schedule_of, verify
from harness.variants.training import fine_tuning, fit, steps_of

VENV = "tfmot"
PACKAGES = ("tensorflow-model-optimization", "tf-keras", "tensorflow", "tensorflow-cpu", "keras")
CHECKED = 4
"""Training samples on which the translated model must answer as the original."""


class PruneLowMagnitude(Recipe):
    """`prune_low_magnitude` with `PolynomialDecay`, fine-tuned, stripped."""

    spec: ClassVar = VariantSpec(
        name="prune_low_magnitude",
        summary="magnitude pruning by the TensorFlow Model Optimization Toolkit",
        packages=PACKAGES,
        parameters=Parameters,
        conversions=(("keras", "keras"),),
        needs=("train", "labels"),
        version=2,
        venv=VENV,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Prune while training, strip, and count the zeros in what was saved."""
        training = fine_tuning(job.training, job.parameters.epochs)
        assert job.data
        schedule = _aligned(schedule_of(job.parameters, steps_of(training, job.data)))
        toolkit = import_toolkit().sparsity.keras

        def prune(model: Any) -> Any:
            decay = toolkit.PolynomialDecay(
                initial_sparsity=schedule.initial,
                final_sparsity=schedule.final,
                begin_step=schedule.begin,
                end_step=schedule.end,
                frequency=schedule.frequency,
            )
            return toolkit.prune_low_magnitude(model, pruning_schedule=decay)

        saved, target = _trained(job, training, prune, toolkit.strip_pruning, [toolkit.UpdatePruningStep()])
        job.notes["sparsity"] = verify(saved, schedule.final, wanted=_zeros_in)
        return target, facts(saved)


class ClusterParameters(BaseModel):
    """What a suite may set for `cluster_weights`."""

    model_config = ConfigDict(extra="forbid")
    number_of_clusters: int = Field(16, ge=2, le=4096, description="distinct values of each kernel", json_schema_extra={"shown": True})
    centroids: Literal["linear", "kmeans_plus_plus", "density_based"] = Field("kmeans_plus_plus", description="where the clusters begin")
    preserve_sparsity: bool = Field(False, description="zeros stay zeros, for a model that has been pruned")
    epochs: int | None = Field(None, ge=1, le=100_000, description="epochs of fine-tuning; null: those of the model's training")


class ClusterWeights(Recipe):
    """`cluster_weights`, fine-tuned, stripped: each kernel has a few distinct values."""

    spec: ClassVar = VariantSpec(
        name="cluster_weights",
        summary="weight clustering by the TensorFlow Model Optimization Toolkit",
        packages=PACKAGES,
        parameters=ClusterParameters,
        conversions=(("keras", "keras"),),
        needs=("train", "labels"),
        version=2,
        venv=VENV,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Cluster, train the centroids, strip, and count the distinct values in what was saved."""
        asked: ClusterParameters = job.parameters
        clustering = import_toolkit().clustering.keras
        centroids = getattr(clustering.CentroidInitialization, asked.centroids.upper())
        settings = {"preserve_sparsity": True} if asked.preserve_sparsity else {}
        clustering_of = _sparse_clustering() if asked.preserve_sparsity else clustering.cluster_weights

        def cluster(model: Any) -> Any:
            _check_clusters(model, asked)
            made = clustering_of(model, number_of_clusters=asked.number_of_clusters, cluster_centroids_init=centroids, **settings)
            if made is None:
                raise EngineError("the toolkit clusters nothing in this model, and does not say why", HINT)
            return made

        saved, target = _trained(job, fine_tuning(job.training, asked.epochs), cluster, clustering.strip_clustering, [])
        job.notes["distinct_values"] = _distinct(saved, asked.number_of_clusters)
        return target, facts(saved)


class QatParameters(BaseModel):
    """What a suite may set for `quantization_aware`."""

    model_config = ConfigDict(extra="forbid")
    preserve: Literal["nothing", "sparsity", "clusters", "sparsity_and_clusters"] = Field(
        "nothing", description="what earlier steps have made of the weights and training must keep"
    )
    epochs: int | None = Field(None, ge=1, le=100_000, description="epochs of fine-tuning; null: those of the model's training")


class QuantizationAware(Recipe):
    """Quantization-aware training, then full int8 as TFLite; collaborative with pruning and clustering."""

    spec: ClassVar = VariantSpec(
        name="quantization_aware",
        summary="quantization-aware training by the TensorFlow Model Optimization Toolkit, then int8",
        packages=PACKAGES,
        parameters=QatParameters,
        conversions=(("keras", "tflite"),),
        precision="int8",
        needs=("train", "labels"),
        version=2,
        venv=VENV,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Train with the rounding of int8 in the graph, then convert."""
        quantization = import_toolkit().quantization.keras
        model = load_keras(job.source, trusted=job.trusted)
        legacy = _translated(job, model)
        with _toolkit("quantization-aware training"):
            trained = _quantized(quantization, legacy, job.parameters.preserve)
        assert job.data
        training = fine_tuning(job.training, job.parameters.epochs)
        job.notes.update(fit(trained, training, job.data, job.seed, keras=import_legacy()))
        target = job.folder / "model.tflite"
        with _toolkit("the conversion of the quantized model"):
            target.write_bytes(_converted(trained))
        return target, converted_facts(model, count_macs(model), tflite.facts(target))


def import_toolkit() -> Any:
    """The toolkit on legacy Keras, which it needs for the whole process.

    Raises:
        EngineError: It is not installed here.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    try:
        import tensorflow_model_optimization as toolkit
    except ImportError as error:
        raise EngineError(f"the Model Optimization Toolkit cannot be imported: {error}", "make tfmot", refused=True) from error
    return toolkit


def _check_clusters(model: Any, asked: ClusterParameters) -> None:
    """Refuse more clusters than a kernel has weights to put into them, which the toolkit answers with an error of its own.

    Raises:
        EngineError: Which layer.
    """
    for layer in leaf_layers(model):
        if type(layer).__name__ in PRUNED:
            weights = np.asarray(layer.kernel)
            points = np.count_nonzero(weights) if asked.preserve_sparsity else weights.size
            if points <= asked.number_of_clusters:
                raise EngineError(
                    f"the layer {layer.name!r} has {points} weights that are not 0, too few for {asked.number_of_clusters} clusters",
                    "ask for fewer clusters, or prune less",
                    refused=True,
                )


def _sparse_clustering() -> Any:
    """The variant of `cluster_weights` that can preserve zeros: the toolkit calls it experimental, and exports it nowhere."""
    from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import cluster_weights

    return cluster_weights


def _aligned(schedule: Schedule) -> Schedule:
    """The same with its end on a change of the masks: the toolkit changes them only each `frequency` steps from `begin` on."""
    span = max(schedule.end - schedule.begin, 1)
    frequency = min(schedule.frequency, span)
    return schedule._replace(end=schedule.begin + span // frequency * frequency, frequency=frequency)


def _translated(job: Job, model: Any) -> Any:
    assert job.data
    return to_legacy(model, [array[:CHECKED] for array in job.data.inputs])


def _trained(
    job: Job, training: Training, wrap: Callable[[Any], Any], strip: Callable[[Any], Any], callbacks: Sequence[Any]
) -> tuple[Any, Path]:
    """The model wrapped, trained, stripped, and saved as Keras 3; read back from the file."""
    assert job.data
    model = load_keras(job.source, trusted=job.trusted)
    legacy = _translated(job, model)
    with _toolkit("the wrapping of the layers"):
        wrapped = wrap(legacy)
    job.notes.update(fit(wrapped, training, job.data, job.seed, callbacks, keras=import_legacy()))
    copy_weights(strip(wrapped), model)
    target = job.folder / "model.keras"
    model.save(target)
    return load_keras(target, trusted=job.trusted), target


def _quantized(quantization: Any, model: Any, preserve: str) -> Any:
    """The model with the rounding of int8 in its graph, keeping what the suite says."""
    if preserve == "nothing":
        return quantization.quantize_model(model)
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (
        default_8bit_cluster_preserve_quantize_scheme as clusters,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (
        default_8bit_prune_preserve_quantize_scheme as zeros,
    )

    scheme = (
        zeros.Default8BitPrunePreserveQuantizeScheme()
        if preserve == "sparsity"
        else clusters.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=preserve == "sparsity_and_clusters")
    )
    return quantization.quantize_apply(quantization.quantize_annotate_model(model), scheme)


def _converted(model: Any) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    content: bytes = converter.convert()
    return content


@contextmanager
def _toolkit(what: str) -> Iterator[None]:
    """What the toolkit raises over a layer that it does not know, as a sentence."""
    try:
        yield
    except (EngineError, MemoryError):
        raise
    except Exception as error:  # the toolkit raises whatever an unknown layer makes it raise
        raise EngineError(f"{what} fails for this model: {first_line(error)}", HINT) from error


def _zeros_in(kernels: list[Array], sparsity: float) -> int:
    """How many zeros the toolkit gives kernels: what each keeps is rounded, and one weight stays."""
    return sum(kernel.size - max(round(kernel.size * (1 - sparsity)), 1) for kernel in kernels)


def _distinct(model: Any, clusters: int) -> dict[str, int]:
    """How many distinct values each clustered kernel has, by layer.

    Raises:
        EngineError: One has more than were asked for.
    """
    found = {layer.name: len(np.unique(np.asarray(layer.kernel))) for layer in leaf_layers(model) if type(layer).__name__ in PRUNED}
    over = [f"{name} ({count})" for name, count in found.items() if count > clusters]
    if over:
        raise EngineError(
            f"clustering left more than {clusters} distinct values in {', '.join(over)}", "this is a bug of the harness: please report it"
        )
    return found
