"""ONNX models around a quantizer: preparation before it, float16, and checks of the result."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.formats import onnx
from harness.formats.libraries import first_line, library_errors
from harness.formats.onnx_rewrite import beyond_half, has_subgraphs, to_half, with_initializers
from harness.schema import ArtifactFacts
from harness.variants.base import LEAVE_OUT, Job, not_applicable


@contextmanager
def quantizing(recipe: str) -> Iterator[None]:
    """Turn any error of ONNX Runtime's tools into an `EngineError` that names the recipe."""
    with library_errors(f"{recipe} cannot be applied to this ONNX model", LEAVE_OUT):
        try:
            yield
        except ImportError as error:
            raise EngineError(f"{recipe} of an ONNX model needs another library: {error}", onnx.INSTALL, refused=True) from error


@contextmanager
def prepared(job: Job) -> Iterator[Path]:
    """A temporary file with the model as quantizers need it: constants as initializers, shapes inferred, constants folded.

    Symbolic shape inference fails on many models and is then left out; if the rest fails too, the model stays as it is.

    Args:
        job: Its source is an ONNX model in float32.
    """
    from onnxruntime.quantization import shape_inference

    onnx.check_float32(onnx.load_onnx(job.source, weights=False))
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        source, model = Path(folder) / "initializers.onnx", Path(folder) / "prepared.onnx"
        onnx.import_onnx().save(with_initializers(onnx.load_onnx(job.source)), str(source))
        for settings in ({}, {"skip_symbolic_shape": True}):
            try:
                shape_inference.quant_pre_process(str(source), str(model), **settings)
            except Exception as error:  # it does not support every model
                job.notes["preparation"] = f"skipped: {first_line(error)}"
            else:
                if settings:
                    job.notes["preparation"] = "without symbolic shapes"
                source = model
                break
        yield source


def quantize_dynamically(job: Job, source: Path, target: Path) -> None:
    """Quantize weights to uint8, in subgraphs too if the library can.

    Args:
        job: Takes a note if it cannot.
        source: Result of `prepared`.
        target: File to write.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def quantize(**options: Any) -> None:
        # ONNX Runtime's integer convolution on a CPU takes unsigned weights only.
        quantize_dynamic(source, target, weight_type=QuantType.QUInt8, extra_options=options)

    if not has_subgraphs(onnx.load_onnx(source, weights=False)):
        return quantize()
    try:
        quantize(EnableSubgraph=True)
        onnx.check_loads(target)
    except Exception as error:  # the library is less reliable in branches and loops
        job.notes["subgraphs"] = f"left in float32: {first_line(error)}"
        quantize()


def float16_onnx(job: Job) -> tuple[Path, ArtifactFacts]:
    """Convert the model to float16 between float32 inputs and outputs, with ONNX Runtime's converter.

    If ONNX Runtime rejects the result (an operator in a branch has no float16), only weights are stored in float16, each cast back before
    use. Operators with constants beyond the range of float16 stay in float32.
    """
    target = job.folder / "model.onnx"
    with quantizing("float16"):
        from onnxruntime.transformers.float16 import convert_float_to_float16

        model = with_initializers(onnx.load_onnx(job.source))
        onnx.check_float32(model)
        if large := beyond_half(model):  # the converter would clip them to 65,504
            job.notes["float32"] = large
        try:
            made = convert_float_to_float16(with_initializers(model), keep_io_types=True, node_block_list=large)
            onnx.import_onnx().save(made, str(target))
            onnx.check_loads(target)
        except ImportError:
            raise
        except Exception as error:  # an operator that it does not know makes it raise anything
            job.notes["float16"] = f"weights alone, computed in float32: {first_line(error)}"
            if not to_half(model):
                raise nothing_to_quantize("the ONNX model: it has no float32 weights") from error
            onnx.import_onnx().save(model, str(target))
            onnx.check_loads(target)
    return target, onnx.facts(onnx.load_onnx(target))


def quantized_onnx(target: Path) -> tuple[Path, ArtifactFacts]:
    """The file that ONNX Runtime's tools wrote, and its counts.

    Raises:
        EngineError: Nothing in it is quantized, or ONNX Runtime cannot load it.
    """
    model = onnx.load_onnx(target)
    if not onnx.is_quantized(model):
        raise nothing_to_quantize("the ONNX model: it has no operator that ONNX Runtime's quantizer takes")
    onnx.check_loads(target)
    return target, onnx.facts(model)


def nothing_to_quantize(where: str) -> EngineError:
    """The refusal of a variant that would change nothing; `where` names the model and the reason."""
    return not_applicable(f"nothing can be quantized in {where}")
