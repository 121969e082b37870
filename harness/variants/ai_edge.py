"""The AI Edge Quantizer: quantizes a float32 `.tflite`; inputs and outputs stay float32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.formats import tflite, tflite_graph
from harness.formats.libraries import import_library, library_errors
from harness.formats.shapes import dynamic_shape
from harness.schema import ArtifactFacts
from harness.variants.base import LEAVE_OUT, Array, Job, not_applicable
from harness.variants.calibration import Input, queries


def quantize_tflite(job: Job, source: Path, kind: str, samples: Sequence[Array] = (), **bits: int) -> tuple[Path, ArtifactFacts]:
    """Quantize every supported operator.

    Args:
        job: Its folder takes the result.
        source: A float32 `.tflite`.
        kind: `weight_only` (dequantized before use), `dynamic` (activations quantized at run time) or `static`.
        samples: Calibration samples for `static`.
        bits: `num_bits`, for `static` `activation_num_bits` and `weight_num_bits`.

    Raises:
        EngineError: The file is quantized already, has no weights to quantize, LiteRT cannot run the result, or `ai-edge-quantizer` is
            missing.
    """
    refuse_quantized(source)
    weights_type = f"int{bits.get('num_bits', bits.get('weight_num_bits'))}"
    install = ("the AI Edge Quantizer", "pip install 'harness[litert]'")
    quantizer, recipes = (import_library(f"ai_edge_quantizer.{name}", *install) for name in ("quantizer", "recipe_manager"))
    with library_errors(f"{weights_type} cannot be applied to this .tflite", LEAVE_OUT, refused=True):
        recipe = recipes.RecipeManager()
        _configure(recipe, kind, bits)
        ranges = _ranges(source, recipe, samples) if samples else None
        tool = quantizer.Quantizer(str(source), recipe.get_quantization_recipe())
        made = tool.quantize(ranges, enable_progress_report=False, enable_progress_bar=False).quantized_model
    target = job.folder / "model.tflite"
    target.write_bytes(made)
    if weights_type not in tflite.weight_types(target):
        raise not_applicable(f"none of the model's operators can have {weights_type} weights")
    tflite.check_runs(target)
    return target, tflite.facts(target)


def refuse_quantized(source: Path) -> None:
    """Refuse a `.tflite` whose weights are not float32.

    Raises:
        EngineError: They are of another type, or there are none.
    """
    if tflite.is_sparse(source):
        raise not_applicable("the .tflite cannot be quantized: its weights are stored sparse", "start from the dense model")
    types = tflite.weight_types(source)
    if others := ", ".join(sorted(set(types) - {"float32", "int32", "int64"})):  # int32 are biases
        raise not_applicable(f"the .tflite cannot be quantized: it is already, with {others} weights", "start from the float32 model")
    if not types:
        raise not_applicable("the .tflite cannot be quantized: it has no float32 weights")


def _configure(recipe: Any, kind: str, bits: dict[str, int]) -> None:
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName as Operation

    getattr(recipe, f"add_{kind}_config")(regex=".*", operation_name=Operation.ALL_SUPPORTED, **bits)
    if kind == "static":
        for end in (Operation.INPUT, Operation.OUTPUT):
            recipe.add_quantization_config(".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE)


def _ranges(source: Path, recipe: Any, samples: Sequence[Array]) -> Any:
    """Minimum and maximum of each tensor over all samples; the quantizer's default, a moving average, would clip the largest values."""
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    calibrator = Calibrator(str(source), num_threads=1, qsv_update_func=min_max_update)
    calibrator.calibrate(_named_queries(source, samples), recipe)
    return calibrator.get_model_qsvs()


def _named_queries(source: Path, samples: Sequence[Array]) -> dict[str, list[dict[str, Array]]]:
    """The samples as the quantizer takes them: by the names in the file's signature, one by one."""
    interpreter = tflite_graph.import_interpreter().Interpreter(model_path=str(source))
    signatures = list(interpreter.get_signature_list())
    if len(signatures) != 1:
        raise not_applicable(
            f"the .tflite has {len(signatures)} signatures, calibration takes one", "convert the model again with one signature"
        )
    details = interpreter.get_input_details()
    inputs = [Input(str(d["name"]), dynamic_shape(d["shape_signature"]), np.dtype(d["dtype"])) for d in details]
    names = {d["index"]: name for name, d in interpreter.get_signature_runner(signatures[0]).get_input_details().items()}
    order = [names[d["index"]] for d in details]
    return {signatures[0]: [dict(zip(order, query, strict=True)) for query in queries(inputs, samples)]}
