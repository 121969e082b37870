"""The AI Edge Quantizer: a float32 `.tflite` -> one with smaller numbers, its inputs and outputs still float32."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import EngineError
from harness.formats import tflite, tflite_graph
from harness.formats.libraries import first_line
from harness.schema import ArtifactFacts
from harness.variants.base import Array, Job

Input = tuple[str, tuple[int | None, ...], np.dtype[Any]]
"""(Name, shape with None where it is open, type)."""
Queries = Callable[[Sequence[Input]], Iterable[list[Array]]]


def quantize_tflite(job: Job, source: Path, kind: str, queries: Queries | None = None, **bits: int) -> tuple[Path, ArtifactFacts]:
    """Quantize every operator that can be.

    Args:
        job: Names the folder for the result.
        source: A float32 `.tflite`.
        kind: `weight_only` (dequantized before they are used), `dynamic` (activations quantized while it runs) or `static`.
        queries: Of `static`: gives the calibration samples in the shapes of the inputs, one by one.
        bits: `num_bits`, or of `static` `activation_num_bits` and `weight_num_bits`.

    Raises:
        EngineError: The file is quantized already, has no weights to quantize, LiteRT cannot run what came out, or no `ai-edge-quantizer`.
    """
    refuse_quantized(source)
    wanted = f"int{bits.get('num_bits', bits.get('weight_num_bits'))}"
    try:
        from ai_edge_quantizer.quantizer import Quantizer
        from ai_edge_quantizer.recipe_manager import RecipeManager
    except ImportError as error:
        raise EngineError(f"the AI Edge Quantizer cannot be imported: {error}", "pip install 'harness[litert]'", refused=True) from error
    try:
        recipe = RecipeManager()
        _configure(recipe, kind, bits)
        ranges = _ranges(source, recipe, queries) if queries else None
        made = (
            Quantizer(str(source), recipe.get_quantization_recipe())
            .quantize(ranges, enable_progress_report=False, enable_progress_bar=False)
            .quantized_model
        )
    except (EngineError, MemoryError):
        raise
    except Exception as error:  # it raises whatever an operator that it does not know makes it raise
        raise EngineError(
            f"{wanted} cannot be applied to this .tflite: {first_line(error)}", "leave this variant out for this model", refused=True
        ) from error
    target = job.folder / "model.tflite"
    target.write_bytes(made)
    if wanted not in tflite.weight_types(target):
        raise EngineError(f"none of the model's operators can have {wanted} weights", "leave this variant out for this model", refused=True)
    tflite.check_runs(target)
    return target, tflite.facts(target)


def refuse_quantized(source: Path) -> None:
    """Take only a model whose weights are float32.

    Raises:
        EngineError: It has others, or none.
    """
    if tflite.is_sparse(source):
        raise EngineError("the .tflite cannot be quantized: its weights are stored sparse", "start from the dense model", refused=True)
    types = tflite.weight_types(source)
    if others := ", ".join(sorted(set(types) - {"float32", "int32", "int64"})):  # int32 are biases
        raise EngineError(
            f"the .tflite cannot be quantized: it is already, with {others} weights", "start from the float32 model", refused=True
        )
    if not types:
        raise EngineError(
            "the .tflite cannot be quantized: it has no float32 weights", "leave this variant out for this model", refused=True
        )


def _configure(recipe: Any, kind: str, bits: dict[str, int]) -> None:
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName as Operation

    getattr(recipe, f"add_{kind}_config")(regex=".*", operation_name=Operation.ALL_SUPPORTED, **bits)
    if kind == "static":
        for end in (Operation.INPUT, Operation.OUTPUT):
            recipe.add_quantization_config(".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE)


def _ranges(source: Path, recipe: Any, queries: Queries) -> Any:
    """What each tensor reached over all samples; by itself the quantizer takes a moving average, which would cut off the largest values."""
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    calibrator = Calibrator(str(source), num_threads=1, qsv_update_func=min_max_update)
    calibrator.calibrate(_named(source, queries), recipe)
    return calibrator.get_model_qsvs()


def _named(source: Path, queries: Queries) -> dict[str, Iterable[dict[str, Array]]]:
    """The samples as the quantizer asks for them: by the names of the file's signature, one by one."""
    interpreter = tflite_graph.import_interpreter().Interpreter(model_path=str(source))
    signatures = list(interpreter.get_signature_list())
    if len(signatures) != 1:
        raise EngineError(
            f"the .tflite has {len(signatures)} signatures, calibration takes one",
            "convert the model again with one signature",
            refused=True,
        )
    details = interpreter.get_input_details()
    inputs = [
        (str(d["name"]), tuple(None if size == -1 else int(size) for size in d["shape_signature"]), np.dtype(d["dtype"])) for d in details
    ]
    names = {d["index"]: name for name, d in interpreter.get_signature_runner(signatures[0]).get_input_details().items()}
    order = [names[d["index"]] for d in details]
    return {signatures[0]: [dict(zip(order, query, strict=True)) for query in queries(inputs)]}  # a list: it is walked through twice
