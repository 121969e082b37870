"""TensorFlow: runs a `.keras` file or a SavedModel on CPU or GPU, as a `tf.function` (optionally with XLA) or eagerly."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from harness.analysis.kernels import MULTIPLIES
from harness.engines import cuda
from harness.engines.base import Array, Engine, EngineOptions, Load, Session, Tensor, check_batch, intra_op_threads
from harness.engines.products import sized_work
from harness.errors import EngineError
from harness.formats.heads import Head, graph_head, keras_head
from harness.formats.keras import import_keras, load_keras
from harness.formats.libraries import first_line
from harness.formats.savedmodel import load_savedmodel
from harness.schema import EngineSpec


class Options(EngineOptions):
    """Options of TensorFlow."""

    xla: bool = Field(False, description="compile with XLA; in graph mode only")
    mode: Literal["graph", "eager"] = Field("graph", description="graph: one tf.function; eager: operator by operator")
    inter_op: int = Field(1, ge=1, le=1024, description="operators that may run in parallel")


class TensorFlow(Engine):
    """The framework itself, without an export."""

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
        """Limit threads and log level, and hide the GPUs from a case on the CPU."""
        variables = {
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "KERAS_BACKEND": "tensorflow",
            "OMP_NUM_THREADS": str(load.threads),
            "TF_NUM_INTRAOP_THREADS": str(max(1, load.threads - load.options.inter_op + 1)),
            "TF_NUM_INTEROP_THREADS": str(load.options.inter_op),
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # number the cards as the driver does
        }
        return {**variables, "CUDA_VISIBLE_DEVICES": "-1"} if load.device == "cpu" else variables

    def open(self, load: Load) -> Session:
        """Load the model and trace it for the batch; the first query checks the device."""
        if load.options.xla and load.options.mode == "eager":
            raise EngineError("XLA compiles graphs, but the case requests eager mode", "set mode: graph or xla: false", refused=True)
        intra_op = intra_op_threads(load)
        import_keras()
        import tensorflow as tf

        _limit_threads(tf, intra_op, load.options.inter_op)
        _choose_device(tf, load.device)
        return TensorFlowSession(tf, _program(load), load)

    def work(self, device: str) -> Callable[[], None]:
        """Products of float16 matrices, of float32 on the CPU."""
        import_keras()
        import tensorflow as tf

        _choose_device(tf, device)

        def product_of(size: int) -> Callable[[], None]:
            matrix = tf.random.normal((size, size), dtype=tf.float32)
            matrix = matrix if device == "cpu" else tf.cast(matrix, tf.float16)

            def multiply() -> None:
                product = tf.linalg.matmul(matrix, matrix)
                _checked_device(product.device, device)
                product[0, 0].numpy()

            return multiply

        return sized_work(product_of)


class Program(NamedTuple):
    """A loaded model of any format.

    Attributes:
        inputs: Input specs with name, shape and dtype; the first axis is the batch.
        outputs: Output specs.
        call: Function from one tensor per input to one tensor per output.
        precision: Type of the arithmetic; None if unknown.
        head: Function from the index of an output to the meaning of its values.
    """

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    call: Callable[..., Sequence[Any]]
    precision: str | None
    head: Callable[[int], Head | None]


def _program(load: Load) -> Program:
    """Model of a file, or the serving signature of a SavedModel."""
    if load.format == "savedmodel":
        signature = load_savedmodel(load.path, trusted=load.trusted)
        graph = signature.function.graph.as_graph_def()
        names = sorted(signature.function.structured_outputs)  # the order in which TensorFlow flattens them
        tensors = dict(zip(names, signature.function.outputs, strict=True))
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
    """A session on a traced model, or on the model itself."""

    def __init__(self, tf: Any, program: Program, load: Load) -> None:
        self._tf, self._load, self._program = tf, load, program
        self.inputs: Sequence[Tensor] = [_tensor(spec) for spec in program.inputs]
        check_batch(self.inputs, load.batch_size)
        self.outputs: Sequence[Tensor] = [_tensor(spec) for spec in program.outputs]
        self._convert = tf.constant  # 20 us faster than tf.convert_to_tensor
        # No device scope, which costs 3 % of a small model's call: only the case's device is visible, and the first result's is checked.
        self._graph = None if load.options.mode == "eager" else _traced(tf, program, load)
        self._answer = self._graph or program.call
        self._on = ""

    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Copy the inputs to the device, compute, copy the outputs back."""
        answers = self._answer(*[self._convert(array) for array in inputs])
        if not self._on:
            self._on = _checked_device(answers[0].device, self._load.device)
        return [answer.numpy() for answer in answers]

    def precision(self) -> str | None:
        """Type of most products in the traced graph; without a graph or products the type in the file."""
        return (self._graph and _multiplies_in(self._graph)) or self._program.precision

    def head(self, output: int) -> Head | None:
        """Meaning of an output from the model's layers, or from the operators of a signature."""
        return self._program.head(output)

    def facts(self) -> dict[str, Any]:
        """Options, device of the outputs and threads; on a GPU also the versions of CUDA and cuDNN, and TensorFloat-32."""
        facts = {**self._load.options.model_dump(), "device": self._on or None, "threads": self._load.threads}
        if self._load.device == "cpu":
            return facts
        return facts | cuda.facts(bool(self._tf.config.experimental.tensor_float_32_execution_enabled()))


def _traced(tf: Any, program: Program, load: Load) -> Any:
    """Program traced to one graph for the batch; a scalar input stays a scalar."""
    signature = [
        tf.TensorSpec([load.batch_size, *spec.shape[1:]] if len(spec.shape) else [], spec.dtype, name=f"input_{i}")
        for i, spec in enumerate(program.inputs)
    ]
    try:
        return tf.function(program.call, jit_compile=load.options.xla or None).get_concrete_function(*signature)
    except Exception as error:  # a layer may raise anything
        raise EngineError(f"TensorFlow cannot trace the model: {first_line(error)}", "try mode: eager") from error


def _multiplies_in(graph: Any) -> str | None:
    """Input type of most operators that multiply by weights; None if there are none, as inside a compiled call."""
    from tensorflow.dtypes import as_dtype

    definition = graph.graph.as_graph_def()
    nodes = itertools.chain(definition.node, *(function.node_def for function in definition.library.function))
    types = [node.attr["T"].type or node.attr["Ta"].type for node in nodes if MULTIPLIES.search(node.op)]
    counted = Counter(as_dtype(each).name for each in types if each)
    return counted.most_common(1)[0][0] if counted else None


def _limit_threads(tf: Any, intra_op: int, inter_op: int) -> None:
    """Set the sizes of TensorFlow's thread pools; EngineError if it has already started with other sizes."""
    pools = tf.config.threading
    try:
        for threads, get, set_ in (
            (intra_op, pools.get_intra_op_parallelism_threads, pools.set_intra_op_parallelism_threads),
            (inter_op, pools.get_inter_op_parallelism_threads, pools.set_inter_op_parallelism_threads),
        ):
            if get() != threads:
                set_(threads)
    except RuntimeError as error:
        raise EngineError(f"TensorFlow is already running in this process: {first_line(error)}", "open one session per process") from error


def _choose_device(tf: Any, device: str) -> None:
    """Make only the device of the case visible to TensorFlow; EngineError if it is a GPU and TensorFlow sees none."""
    gpus = tf.config.list_physical_devices("GPU")
    if device != "cpu" and not gpus:
        raise EngineError(
            "TensorFlow sees no GPU here",
            "check that `nvidia-smi` lists the GPU, and that TensorFlow is installed by `pip install 'harness[gpu]'`",
            refused=True,
        )
    if device == "cpu" and gpus:
        tf.config.set_visible_devices([], "GPU")
    elif gpus:
        tf.config.set_visible_devices(gpus[:1], "GPU")
        tf.config.experimental.set_memory_growth(gpus[0], True)


def _checked_device(name: str, device: str) -> str:
    """Name of the device that an output is on; EngineError if it is not the device of the case."""
    if ("CPU" if device == "cpu" else "GPU") not in name:
        raise EngineError(
            f"TensorFlow computed on {name}, but the case is for {device}", "see the log for the operator without a GPU kernel"
        )
    return name


def _tensor(spec: Any) -> Tensor:
    name = getattr(spec.dtype, "name", spec.dtype)  # Keras has strings, TensorFlow has objects
    return Tensor(name=spec.name, shape=tuple(spec.shape), dtype=np.dtype(object if name == "string" else name))
