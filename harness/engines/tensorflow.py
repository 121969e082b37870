"""TensorFlow: a `.keras` file or a SavedModel -> a session on CPU or GPU, as a `tf.function` (XLA as an option) or eagerly."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harness.analysis.kernels import MULTIPLIES
from harness.engines import nvidia
from harness.engines.base import Array, Engine, Load, Session, Tensor, check_batch, share_threads
from harness.errors import EngineError
from harness.formats.heads import Head, graph_head, keras_head
from harness.formats.keras import import_keras, load_keras
from harness.formats.libraries import first_line
from harness.formats.savedmodel import load_savedmodel
from harness.schema import EngineSpec


class Options(BaseModel):
    """What a suite may set."""

    model_config = ConfigDict(extra="forbid")
    xla: bool = Field(False, description="compile with XLA; in graph mode only")
    mode: Literal["graph", "eager"] = Field("graph", description="graph: one tf.function; eager: operator by operator")
    inter_op: int = Field(1, ge=1, le=1024, description="operators that may run at once")


class TensorFlow(Engine):
    """The framework itself, as people run it without exporting."""

    spec: ClassVar = EngineSpec(
        name="tensorflow",
        summary="TensorFlow, tf.function or eager",
        packages=("tensorflow", "tensorflow-cpu", "keras"),
        extra="tensorflow",
        formats=("keras", "savedmodel"),
        devices=("cpu", "gpu"),
        parameters=Options,
    )

    @classmethod
    def environment(cls, load: Load) -> dict[str, str]:
        """Threads and log level; without a GPU in sight where the case is for the CPU."""
        variables = {
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "KERAS_BACKEND": "tensorflow",
            "OMP_NUM_THREADS": str(load.threads),
            "TF_NUM_INTRAOP_THREADS": str(max(1, load.threads - load.options.inter_op + 1)),
            "TF_NUM_INTEROP_THREADS": str(load.options.inter_op),
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # the order in which the driver counts its cards
        }
        return {**variables, "CUDA_VISIBLE_DEVICES": "-1"} if load.device == "cpu" else variables

    def open(self, load: Load) -> Session:
        """Load the model, trace it for the batch, and make sure that it runs where it should."""
        if load.options.xla and load.options.mode == "eager":
            raise EngineError("XLA compiles graphs; the case asks for eager mode", "set mode: graph, or xla: false", refused=True)
        intra_op = share_threads(load)
        import_keras()
        import tensorflow as tf

        _limit_threads(tf, intra_op, load.options.inter_op)
        _choose_device(tf, load.device)
        return TensorFlowSession(tf, _program(load), load)


class Program(NamedTuple):
    """What is run, whatever file it came from.

    Attributes:
        inputs: With name, shape and dtype each; the first axis is the batch.
        outputs: Likewise.
        call: Takes a tensor for each input, gives one for each output.
        precision: The type that it computes in; null where it does not tell.
        head: Gives what an output's numbers are, by its place.
    """

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    call: Callable[..., Sequence[Any]]
    precision: str | None
    head: Callable[[int], Head | None]


def _program(load: Load) -> Program:
    """The model in a file, or the signature that a SavedModel serves."""
    if load.format == "savedmodel":
        signature = load_savedmodel(load.path, trusted=load.trusted)
        graph = signature.function.graph.as_graph_def()
        tensors = dict(
            zip(sorted(signature.function.structured_outputs), signature.function.outputs, strict=True)
        )  # as TensorFlow flattens
        return Program(
            signature.inputs,
            signature.outputs,
            signature,
            signature.weights_type,
            lambda output: graph_head(graph, tensors[signature.results[output]].name),
        )
    model = load_keras(load.path, trusted=load.trusted)
    single = len(model.inputs) == 1

    def call(*inputs: Any) -> Sequence[Any]:
        import tensorflow as tf

        return list(tf.nest.flatten(model(inputs[0] if single else list(inputs), training=False)))

    computes_in = str(model.dtype_policy.compute_dtype) if model.weights else None
    return Program(model.inputs, model.outputs, call, computes_in, lambda output: keras_head(model.outputs[output]))


class TensorFlowSession(Session):
    """A traced model, or the model itself."""

    def __init__(self, tf: Any, program: Program, load: Load) -> None:
        self._tf, self._load, self._program = tf, load, program
        self.inputs: Sequence[Tensor] = [_tensor(spec) for spec in program.inputs]
        check_batch(self.inputs, load.batch_size)
        self.outputs: Sequence[Tensor] = [_tensor(spec) for spec in program.outputs]
        self._convert = tf.constant  # 20 us less a call than tf.convert_to_tensor
        # A device scope would cost 3 % of a small model's call; only the case's device is visible, and the first answer's device is checked.
        self._graph = None if load.options.mode == "eager" else _traced(tf, program, load)
        self._answer = self._graph or program.call
        self._on = ""

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Copy the inputs to the device, compute, copy the outputs back."""
        answers = self._answer(*[self._convert(array) for array in inputs])
        if not self._on:
            self._on = _verified(answers[0].device, self._load.device)
        return [answer.numpy() for answer in answers]

    def precision(self) -> str | None:
        """The type that most products in the traced graph are computed in; without a graph, or without products, what the file says."""
        return (self._graph and _multiplies_in(self._graph)) or self._program.precision

    def head(self, output: int) -> Head | None:
        """From the layers of the model, or the operators that a signature runs."""
        return self._program.head(output)

    def facts(self) -> dict[str, Any]:
        """Mode, XLA, the device that the outputs were on, threads; on a GPU the versions of CUDA and cuDNN, and TensorFloat-32."""
        found = {**self._load.options.model_dump(), "device": self._on or None, "threads": self._load.threads}
        return found if self._load.device == "cpu" else {**found, **nvidia.facts(self._tf32())}

    def _tf32(self) -> bool:
        """Whether TensorFlow lets float32 products be computed in TensorFloat-32."""
        return bool(self._tf.config.experimental.tensor_float_32_execution_enabled())


def _traced(tf: Any, program: Program, load: Load) -> Any:
    """The program as one graph for this batch; an input without a batch keeps its shape."""
    signature = [
        tf.TensorSpec([load.batch_size, *spec.shape[1:]] if len(spec.shape) else [], spec.dtype, name=f"input_{i}")
        for i, spec in enumerate(program.inputs)
    ]
    try:
        return tf.function(program.call, jit_compile=load.options.xla or None).get_concrete_function(*signature)
    except Exception as error:  # a layer that cannot be traced raises what it likes
        raise EngineError(f"TensorFlow cannot trace the model: {first_line(error)}", "try mode: eager") from error


def _multiplies_in(graph: Any) -> str | None:
    """What most operators that multiply by weights take, each counted once; null where there are none, as inside a compiled call."""
    from tensorflow.dtypes import as_dtype

    definition = graph.graph.as_graph_def()
    nodes = itertools.chain(definition.node, *(function.node_def for function in definition.library.function))
    types = [node.attr["T"].type or node.attr["Ta"].type for node in nodes if MULTIPLIES.search(node.op)]
    counted = Counter(as_dtype(each).name for each in types if each)
    return counted.most_common(1)[0][0] if counted else None


def _limit_threads(tf: Any, intra_op: int, inter_op: int) -> None:
    """Bound TensorFlow's pools; once it has begun to work they stay as they are.

    Raises:
        EngineError: It has, with other bounds.
    """
    pools = tf.config.threading
    try:
        for wanted, get, set_ in (
            (intra_op, pools.get_intra_op_parallelism_threads, pools.set_intra_op_parallelism_threads),
            (inter_op, pools.get_inter_op_parallelism_threads, pools.set_inter_op_parallelism_threads),
        ):
            if get() != wanted:
                set_(wanted)
    except RuntimeError as error:
        raise EngineError(f"TensorFlow is already running in this process: {first_line(error)}", "open one session a process") from error


def _choose_device(tf: Any, device: str) -> None:
    """Show TensorFlow the device of the case alone.

    Raises:
        EngineError: A GPU is asked for, and TensorFlow sees none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if device != "cpu" and not gpus:
        raise EngineError(
            "TensorFlow sees no GPU here", "is the driver installed, and TensorFlow by `harness[gpu]`? see `nvidia-smi`", refused=True
        )
    if device == "cpu" and gpus:
        tf.config.set_visible_devices([], "GPU")
    elif gpus:
        tf.config.set_visible_devices(gpus[:1], "GPU")
        tf.config.experimental.set_memory_growth(gpus[0], True)


def _device(device: str) -> str:
    return "/CPU:0" if device == "cpu" else "/GPU:0"


def _verified(name: str, device: str) -> str:
    """The device an output was on.

    Raises:
        EngineError: It is not the one asked for.
    """
    if _device(device)[1:4] not in name:
        raise EngineError(
            f"TensorFlow computed on {name} though the case is for {device}", "see the log for the operator that has no GPU kernel"
        )
    return name


def _tensor(spec: Any) -> Tensor:
    name = getattr(spec.dtype, "name", spec.dtype)  # Keras says it in a word, TensorFlow by a type of its own
    return Tensor(name=spec.name, shape=tuple(spec.shape), dtype=np.dtype(object if name == "string" else name))
