"""TensorFlow's Model Optimization Toolkit, in its own virtual environment: pruning, clustering, quantization-aware training.

The Keras 3 model is translated to legacy Keras, trained and stripped by the toolkit, and its weights are copied back, so that later steps need
nothing special.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harness.errors import EngineError
from harness.formats import tflite
from harness.formats.keras import count_macs, facts, load_keras
from harness.formats.legacy_keras import HINT, copy_weights, import_legacy, to_legacy
from harness.formats.libraries import import_library, library_errors
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import Array, Job, Recipe, RecipeParameters, not_applicable
from harness.variants.export import converted_facts
from harness.variants.prune import Parameters, Schedule, check_sparsity, pruned_kernels, schedule_of
from harness.variants.training import fine_tuning, fit, steps_of

VENV = "tfmot"
TOOLKIT: dict[str, Any] = {
    "packages": ("tensorflow-model-optimization", "tf-keras", "tensorflow", "tensorflow-cpu", "keras"),
    "needs": ("train", "labels"),
    "version": 2,
    "venv": VENV,
}
"""What the specs of all its recipes share."""
COMPARED = 4
"""Number of training samples on which the translated model must agree with the original."""


class PruneLowMagnitude(Recipe):
    """`prune_low_magnitude` with `PolynomialDecay`, fine-tuned, stripped."""

    spec: ClassVar = VariantSpec(
        name="prune_low_magnitude",
        summary="magnitude pruning by the TensorFlow Model Optimization Toolkit",
        parameters=Parameters,
        conversions=(("keras", "keras"),),
        **TOOLKIT,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Prune while training, strip, and count the zeros in the saved file."""
        assert job.data
        schedule = _aligned(schedule_of(job.parameters, steps_of(fine_tuning(job), job.data)))
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

        saved, target = _trained(job, prune, toolkit.strip_pruning, [toolkit.UpdatePruningStep()])
        job.notes["sparsity"] = check_sparsity(saved, schedule.final, required=_zeros_in)
        return target, facts(saved)


class ClusterParameters(RecipeParameters):
    """What a suite may set for `cluster_weights`."""

    number_of_clusters: int = Field(16, ge=2, le=4096, description="distinct values of each kernel", json_schema_extra={"shown": True})
    centroids: Literal["linear", "kmeans_plus_plus", "density_based"] = Field(
        "kmeans_plus_plus", description="initialization of the cluster centroids"
    )
    preserve_sparsity: bool = Field(False, description="keep zeros, for a model that has been pruned")
    epochs: int | None = Field(None, ge=1, le=100_000, description="epochs of fine-tuning; null: those of the model's training")


class ClusterWeights(Recipe):
    """`cluster_weights`, fine-tuned, stripped: each kernel has a few distinct values."""

    spec: ClassVar = VariantSpec(
        name="cluster_weights",
        summary="weight clustering by the TensorFlow Model Optimization Toolkit",
        parameters=ClusterParameters,
        conversions=(("keras", "keras"),),
        **TOOLKIT,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Cluster, train the centroids, strip, and count the distinct values in the saved file."""
        parameters: ClusterParameters = job.parameters
        clustering = import_toolkit().clustering.keras
        centroids = getattr(clustering.CentroidInitialization, parameters.centroids.upper())
        settings = {"preserve_sparsity": True} if parameters.preserve_sparsity else {}
        clustering_of = _sparse_clustering() if parameters.preserve_sparsity else clustering.cluster_weights

        def cluster(model: Any) -> Any:
            _check_clusters(model, parameters)
            made = clustering_of(model, number_of_clusters=parameters.number_of_clusters, cluster_centroids_init=centroids, **settings)
            if made is None:
                raise EngineError("the toolkit clustered nothing in this model and gave no reason", HINT)
            return made

        saved, target = _trained(job, cluster, clustering.strip_clustering, [])
        job.notes["distinct_values"] = _distinct(saved, parameters.number_of_clusters)
        return target, facts(saved)


class QatParameters(RecipeParameters):
    """What a suite may set for `quantization_aware`."""

    preserve: Literal["nothing", "sparsity", "clusters", "sparsity_and_clusters"] = Field(
        "nothing", description="property of the weights from earlier steps that training keeps"
    )
    epochs: int | None = Field(None, ge=1, le=100_000, description="epochs of fine-tuning; null: those of the model's training")


class QuantizationAware(Recipe):
    """Quantization-aware training, then full int8 as TFLite; collaborative with pruning and clustering."""

    spec: ClassVar = VariantSpec(
        name="quantization_aware",
        summary="quantization-aware training by the TensorFlow Model Optimization Toolkit, then int8",
        parameters=QatParameters,
        conversions=(("keras", "tflite"),),
        precision="int8",
        **TOOLKIT,
    )

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Train with int8 rounding in the graph, then convert."""
        quantization = import_toolkit().quantization.keras
        model = load_keras(job.source, trusted=job.trusted)
        legacy = _translated(job, model)
        with _toolkit("quantization-aware training"):
            trained = _quantized(quantization, legacy, job.parameters.preserve)
        _fit(job, trained)
        target = job.folder / "model.tflite"
        with _toolkit("the conversion of the quantized model"):
            target.write_bytes(_converted(trained))
        return target, converted_facts(model, count_macs(model), tflite.facts(target))


def import_toolkit() -> Any:
    """The toolkit, with legacy Keras for the whole process; refused if it is not installed."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    return import_library("tensorflow_model_optimization", "the Model Optimization Toolkit", "make tfmot")


def _check_clusters(model: Any, parameters: ClusterParameters) -> None:
    """Refuse more clusters than a kernel has weights, for which the toolkit's own error names no layer."""
    for name, weights in pruned_kernels(model).items():
        points = np.count_nonzero(weights) if parameters.preserve_sparsity else weights.size
        if points <= parameters.number_of_clusters:
            raise not_applicable(
                f"the layer {name!r} has {points} weights that are not 0, too few for {parameters.number_of_clusters} clusters",
                "use fewer clusters, or a lower sparsity",
            )


def _sparse_clustering() -> Any:
    """The variant of `cluster_weights` that can preserve zeros, which the toolkit does not export."""
    from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import cluster_weights

    return cluster_weights


def _aligned(schedule: Schedule) -> Schedule:
    """The schedule with its end on a change of the masks, which the toolkit makes only every `frequency` steps."""
    span = max(schedule.end - schedule.begin, 1)
    frequency = min(schedule.frequency, span)
    return schedule._replace(end=schedule.begin + span // frequency * frequency, frequency=frequency)


def _translated(job: Job, model: Any) -> Any:
    assert job.data
    return to_legacy(model, [array[:COMPARED] for array in job.data.inputs])


def _trained(job: Job, wrap: Callable[[Any], Any], strip: Callable[[Any], Any], callbacks: Sequence[Any]) -> tuple[Any, Path]:
    """The model wrapped, trained, stripped, saved as Keras 3, and read back from the file; with the file."""
    model = load_keras(job.source, trusted=job.trusted)
    legacy = _translated(job, model)
    with _toolkit("the wrapping of the layers"):
        wrapped = wrap(legacy)
    _fit(job, wrapped, callbacks)
    copy_weights(strip(wrapped), model)
    target = job.folder / "model.keras"
    model.save(target)
    return load_keras(target, trusted=job.trusted), target


def _fit(job: Job, model: Any, callbacks: Sequence[Any] = ()) -> None:
    """Fine-tune a model of legacy Keras."""
    assert job.data
    job.notes.update(fit(model, fine_tuning(job), job.data, job.seed, callbacks, keras=import_legacy()))


def _quantized(quantization: Any, model: Any, preserve: str) -> Any:
    """The model with int8 rounding in its graph, which keeps what the suite asks for."""
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


def _toolkit(what: str) -> AbstractContextManager[None]:
    return library_errors(f"{what} fails for this model", HINT)


def _zeros_in(kernels: list[Array], sparsity: float) -> int:
    """Number of zeros that the toolkit makes: it rounds the number of kept weights, and keeps at least one."""
    return sum(kernel.size - max(round(kernel.size * (1 - sparsity)), 1) for kernel in kernels)


def _distinct(model: Any, clusters: int) -> dict[str, int]:
    """Number of distinct values in each clustered kernel, by layer.

    Raises:
        EngineError: A kernel has more than there are clusters.
    """
    counts = {name: len(np.unique(kernel)) for name, kernel in pruned_kernels(model).items()}
    if over := [f"{name} ({count})" for name, count in counts.items() if count > clusters]:
        raise EngineError(
            f"clustering left more than {clusters} distinct values in {', '.join(over)}", "this is a bug of the harness: please report it"
        )
    return counts
