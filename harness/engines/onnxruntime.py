"""ONNX Runtime: an `.onnx` file -> a session on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harness.engines.base import Array, Engine, Load, Session, Tensor, check_batch
from harness.errors import EngineError
from harness.formats.onnx import load_onnx, precision
from harness.formats.reading import reading
from harness.schema import EngineSpec

KIND = ("a model for ONNX Runtime", "it may be damaged, or hold operators newer than this version has")
PROVIDER = "CPUExecutionProvider"
# What ONNX Runtime calls the types of its values -> NumPy's.
TYPES = {"float": "float32", "double": "float64", "string": "object"}


class Options(BaseModel):
    """What a suite may set."""

    model_config = ConfigDict(extra="forbid")
    graph_optimization: Literal["disable", "basic", "extended", "all"] = Field(
        "all", description="how far the graph is rewritten before it runs"
    )
    arena: bool = Field(True, description="keep freed memory for the next query")


class OnnxRuntime(Engine):
    """Microsoft's runtime for ONNX models."""

    spec: ClassVar = EngineSpec(
        name="onnxruntime",
        summary="ONNX Runtime, CPU provider",
        packages=("onnxruntime", "onnx"),
        extra="onnxruntime",
        formats=("onnx",),
        parameters=Options,
    )

    @classmethod
    def environment(cls, load: Load) -> dict[str, str]:
        """Threads of builds that use OpenMP."""
        return {"OMP_NUM_THREADS": str(load.threads)}

    def open(self, load: Load) -> Session:
        """Load the model and make sure that it runs where it should."""
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(f"ONNX Runtime cannot be imported: {error}", "pip install 'harness[onnxruntime]'", refused=True) from error
        with reading(load.path, *KIND):
            computes_in = precision(load_onnx(load.path, weights=False), fused=load.options.graph_optimization in ("extended", "all"))
            session = onnxruntime.InferenceSession(str(load.path), _settings(onnxruntime, load), providers=[PROVIDER])
            if session.get_providers() != [PROVIDER]:
                raise EngineError(
                    f"ONNX Runtime uses {session.get_providers()} instead of {PROVIDER}", "use a build of ONNX Runtime with that provider"
                )
            check_batch([_tensor(value) for value in session.get_inputs()], load.batch_size)
            return OnnxRuntimeSession(session, load, computes_in)


class OnnxRuntimeSession(Session):
    """An inference session."""

    concurrent = True

    def __init__(self, session: Any, load: Load, computes_in: str | None) -> None:
        self._run, self._load, self._precision = session.run, load, computes_in
        self.inputs: Sequence[Tensor] = [_tensor(value) for value in session.get_inputs()]
        self.outputs: Sequence[Tensor] = [_tensor(value) for value in session.get_outputs()]
        self._in, self._out = [tensor.name for tensor in self.inputs], [tensor.name for tensor in self.outputs]

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Answer one query."""
        answer: Sequence[Array] = self._run(self._out, dict(zip(self._in, inputs)))  # noqa: B905  a check of the lengths costs
        return answer

    def precision(self) -> str | None:
        """From the types in the file and the optimizations asked for."""
        return self._precision

    def facts(self) -> dict[str, Any]:
        """Provider, optimization, threads."""
        return {"provider": PROVIDER, **self._load.options.model_dump(), "threads": self._load.threads}


def _settings(onnxruntime: Any, load: Load) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = load.threads
    settings.inter_op_num_threads = 1
    settings.enable_cpu_mem_arena = load.options.arena
    settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _LEVELS[load.options.graph_optimization])
    settings.log_severity_level = 3  # warnings of other people's models would flood stderr
    return settings


_LEVELS = {"disable": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED", "all": "ORT_ENABLE_ALL"}


def _tensor(value: Any) -> Tensor:
    """`tensor(int64)` and the like; what is no tensor (a sequence of maps) has an open shape and the type object."""
    kind = value.type.removeprefix("tensor(").removesuffix(")") if value.type.startswith("tensor(") else "string"
    try:
        dtype = np.dtype(TYPES.get(kind, kind))
    except TypeError as error:
        raise EngineError(
            f"{value.name!r} is of the type {value.type}, which NumPy has not", "export the model with float32 inputs and outputs"
        ) from error
    return Tensor(
        name=value.name,
        shape=tuple(size if isinstance(size, int) and size > 0 else None for size in value.shape or ()),
        dtype=dtype,
    )
