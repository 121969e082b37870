"""What every quantization of an ONNX model does around the library's own step: preparation, float16, and the check of what came out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import EngineError
from harness.formats import onnx
from harness.formats.libraries import first_line
from harness.formats.onnx_rewrite import beyond_half, has_subgraphs, to_half, with_initializers
from harness.schema import ArtifactFacts
from harness.variants.base import Job


@contextmanager
def quantizing(recipe: str) -> Iterator[None]:
    """Turn what ONNX Runtime's tools raise over a model into an `EngineError`.

    Args:
        recipe: Name of the variant, for the sentence.
    """
    try:
        yield
    except (EngineError, MemoryError):
        raise
    except ImportError as error:
        raise EngineError(f"{recipe} of an ONNX model needs more: {error}", "pip install 'harness[onnxruntime]'", refused=True) from error
    except Exception as error:  # the tools raise whatever an unknown operator makes them raise
        raise EngineError(
            f"{recipe} cannot be applied to this ONNX model: {first_line(error)}", "leave this variant out for this model"
        ) from error


@contextmanager
def prepared(job: Job) -> Iterator[Path]:
    """The model as the quantizer wants it: constants as initializers, shapes inferred, simple arithmetic folded.

    Symbolic inference of shapes fails on many models of other people's and is then left out; what still fails leaves the model as it was.

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
            except Exception as error:  # symbolic shapes of other people's models are more than it can do
                job.notes["preparation"] = f"skipped: {first_line(error)}"
            else:
                if settings:
                    job.notes["preparation"] = "without symbolic shapes"
                source = model
                break
        yield source


def quantize_dynamically(job: Job, source: Path, target: Path) -> None:
    """Quantize weights to uint8, those of subgraphs too where the library can.

    Args:
        job: Takes a note where the library cannot.
        source: As `prepared` gives it.
        target: File to write.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def quantize(**options: Any) -> None:
        # ONNX Runtime's integer convolution on a CPU takes unsigned weights alone.
        quantize_dynamic(source, target, weight_type=QuantType.QUInt8, extra_options=options)

    if not has_subgraphs(onnx.load_onnx(source, weights=False)):
        return quantize()
    try:
        quantize(EnableSubgraph=True)
        onnx.check_loads(target)
    except Exception as error:  # the library is less sure in branches and loops
        job.notes["subgraphs"] = f"left in float32: {first_line(error)}"
        quantize()


def float16_onnx(job: Job) -> tuple[Path, ArtifactFacts]:
    """The model in float16 between float32 inputs and outputs, by ONNX Runtime's converter.

    Where what it writes does not load (an operator in a branch that has no float16), weights alone are stored in float16 and each is cast
    back before it is used. Operators with constants that float16 cannot hold stay in float32.
    """
    target = job.folder / "model.onnx"
    with quantizing("float16"):
        from onnxruntime.transformers.float16 import convert_float_to_float16

        model = with_initializers(onnx.load_onnx(job.source))
        onnx.check_float32(model)
        if large := beyond_half(model):  # clipped to 65,504 they would give other answers
            job.notes["float32"] = large
        try:
            made = convert_float_to_float16(with_initializers(model), keep_io_types=True, node_block_list=large)
            onnx.import_onnx().save(made, str(target))
            onnx.check_loads(target)
        except ImportError:
            raise
        except Exception as error:  # it raises whatever an unknown operator makes it raise
            job.notes["float16"] = f"weights alone, computed in float32: {first_line(error)}"
            if not to_half(model):
                raise nothing("the ONNX model: it has no float32 weights") from error
            onnx.import_onnx().save(model, str(target))
            onnx.check_loads(target)
    return target, onnx.facts(onnx.load_onnx(target))


def quantized_onnx(target: Path) -> tuple[Path, ArtifactFacts]:
    """What ONNX Runtime's tools wrote, if something in it is quantized and it loads.

    Raises:
        EngineError: Nothing is, or it does not.
    """
    model = onnx.load_onnx(target)
    if not onnx.is_quantized(model):
        raise nothing("the ONNX model: it has no operator that ONNX Runtime's quantizer takes")
    onnx.check_loads(target)
    return target, onnx.facts(model)


def nothing(where: str) -> EngineError:
    """The refusal of a variant that would change nothing.

    Args:
        where: What has nothing to quantize, and why.
    """
    return EngineError(f"nothing can be quantized in {where}", "leave this variant out for this model", refused=True)
