"""TensorFlow: runs a `.keras` file or a SavedModel on CPU or GPU, as a `tf.function` (optionally with XLA) or eagerly."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from harness.analysis.kernels import MULTIPLIES
from harness.engines import cuda
from harness.engines.base import Array, Engine, EngineOptions, Load, Session, Tensor, check_batch, intra_op_threads
from harness.engines.placement import placement
from harness.engines.products import sized_work
from harness.errors import EngineError
from harness.formats.heads import Head, graph_head, keras_head
from harness.formats.keras import import_keras, load_keras
from harness.formats.libraries import first_line
from harness.formats.savedmodel import load_savedmodel
from harness.schema import EngineSpec

NEWEST_CARD = (9, 0)
"""Largest compute capability that TensorFlow's wheels hold code for."""
PASSES = frozenset((
    "_Arg", "_Retval", "_DeviceArg", "_DeviceRetval", "_Send", "_Recv", "_HostSend", "_HostRecv", "Const", "HostConst", "_EagerConst",
    "_HostConst", "Placeholder", "VarHandleOp", "ReadVariableOp", "Identity", "IdentityN", "NoOp", "Enter", "Exit", "Merge", "Switch",
    "NextIteration", "LoopCond", "SyncDevice",
))  # fmt: skip
"""Nodes of an executed graph that only pass values on."""


class Options(EngineOptions):
    """Options of TensorFlow."""

    xla: bool = Field(False, description="compile with XLA; in graph mode only")
    mode: Literal["graph", "eager"] = Field("graph", description="graph: one tf.function; eager: operator by operator")
    inter_op: int = Field(1, ge=1, le=1024, description="operators that may run in parallel")
    tf32: Literal["on", "off"] = Field("off", description="on: float32 products on tensor cores in TensorFloat-32 (GPU)")


class TensorFlow(Engine):
    """The framework itself, without an export."""

    spec: ClassVar = EngineSpec(
        name="tensorflow",
        summary="TensorFlow, tf.function or eager",
        packages=("tensorflow", "tensorflow-cpu", "keras"),
        extra="tensorflow",
        formats=("keras", "savedmodel"),
        devices=("cpu", "gpu"),
        stages=("gpu",),
        asynchronous=("gpu",),
        parameters=Options,
        by_options={"tf32": {"tf32": "on"}},
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

    @classmethod
    def examine_card(cls, card: Mapping[str, Any]) -> EngineError | None:
        """Whether the wheels hold code for the card."""
        capability = cuda.capability(card)
        if capability is None or capability <= NEWEST_CARD:
            return None
        return EngineError(
            f"TensorFlow's wheels hold no code for compute capability {card['compute_capability']} of {card.get('name')}: its kernels are compiled "
            "at the first query, which can take minutes",
            "raise `limits: {load_timeout_s: 600}` of the suite if a launch ends in a time-out, or use the engine torch or onnxruntime",
        )

    def open(self, load: Load) -> Session:
        """Load the model and trace it for the batch; the first query checks where each operator runs."""
        if load.options.xla and load.options.mode == "eager":
            raise EngineError("XLA compiles graphs, but the case requests eager mode", "set mode: graph or xla: false", refused=True)
        if load.options.tf32 == "on" and load.device == "cpu":
            raise EngineError("option tf32 has no effect on the CPU", "name `devices: [gpu]`, or leave it out", refused=True)
        intra_op = intra_op_threads(load)
        import_keras()
        import tensorflow as tf

        _limit_threads(tf, intra_op, load.options.inter_op)
        _choose_device(tf, load.device)
        tf.config.experimental.enable_tensor_float_32_execution(load.options.tf32 == "on")
        return (TensorFlowSession if load.device == "cpu" else StagedSession)(tf, _program(load), load)

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
                placement(device.upper(), [(tf.DeviceSpec.from_string(product.device).device_type, "MatMul")])
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
        # No device scope, which costs 3 % of a small model's call: only the case's device is visible, and the first query is checked.
        self._graph = None if load.options.mode == "eager" else _traced(tf, program, load)
        self._answer = self._graph or program.call
        self._on = ""
        self._placed: dict[str, Any] = {}

    def run(self, inputs: Any) -> Any:
        """Answer one query: convert the host arrays, compute, convert the outputs."""
        return [answer.numpy() for answer in self._compute([self._convert(array) for array in inputs])]

    def _compute(self, tensors: Sequence[Any]) -> Sequence[Any]:
        answers: Sequence[Any] = self._answer(*tensors) if self._on else self._first(tensors)
        return answers

    def _first(self, tensors: Sequence[Any]) -> Sequence[Any]:
        """The first answer; on a GPU also the device of every operator that ran.

        Raises:
            EngineError: None ran on the GPU.
        """
        if self._load.device == "cpu":
            answers: Sequence[Any] = self._answer(*tensors)
        else:
            answers, ran = _recorded(lambda: self._answer(*tensors))
            if self._load.options.xla and self._graph:  # compiled as a whole for one device, and not recorded
                ran = [(answers[0].device, operation.type) for operation in self._graph.graph.get_operations()]
            ran = ran if self._graph else list(dict.fromkeys(ran))  # without a graph each kind of operator counts once for a device
            self._placed = {"placement": placement("GPU", [(_place(device), op) for device, op in ran if op not in PASSES])}
        self._on = str(answers[0].device)
        return answers

    def precision(self) -> str | None:
        """Type of most products in the traced graph; without a graph or products the type in the file."""
        computes_in = (self._graph and _multiplies_in(self._graph)) or self._program.precision
        return "tf32" if computes_in == "float32" and self._load.options.tf32 == "on" else computes_in

    def head(self, output: int) -> Head | None:
        """Meaning of an output from the model's layers, or from the operators of a signature."""
        return self._program.head(output)

    def facts(self) -> dict[str, Any]:
        """Options, device of the outputs and threads; on a GPU also the place of the operators, the versions of CUDA and cuDNN, and TensorFloat-32."""
        facts = {**self._load.options.model_dump(exclude={"tf32"}), "device": self._on or None, "threads": self._load.threads}
        if self._load.device == "cpu":
            return facts
        return facts | self._placed | cuda.facts(bool(self._tf.config.experimental.tensor_float_32_execution_enabled()))


class StagedSession(TensorFlowSession):
    """A session on a GPU, whose staged inputs and outputs stay there."""

    def stage(self, inputs: Sequence[Array]) -> Sequence[Any]:
        """Inputs as tensors on the GPU, copied there before anything that is queued later."""
        return [self._convert(array) for array in inputs]

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Answer one query; the GPU may still compute."""
        return self._compute(inputs)

    def synchronize(self) -> None:
        """Wait until the GPU has answered."""
        self._tf.test.experimental.sync_devices()

    def fetch(self, outputs: Sequence[Any]) -> Sequence[Array]:
        """Copy the answer to the host."""
        return [output.numpy() for output in outputs]

    def answer(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Answer one query from host arrays to host arrays; copying the outputs waits for them."""
        return self.fetch(self.run([self._convert(array) for array in inputs]))


def _recorded(call: Callable[[], Sequence[Any]]) -> tuple[Sequence[Any], list[tuple[str, str]]]:
    """Result of a call, and (device, operator) of each node of the graphs that it executes for the first time.

    Without a graph these are the kernels of its operators, each as a graph of its own. A graph that XLA compiles is not among them.
    """
    from tensorflow.python.eager import context

    here = context.context()
    here.clear_kernel_cache()  # operators that ran while the model was loaded are recorded too
    here.enable_run_metadata()
    here.export_run_metadata()  # drops what was collected before
    try:
        result = call()
        graphs = [part for function in here.export_run_metadata().function_graphs for part in function.partition_graphs]
    finally:
        here.disable_run_metadata()
    return result, [(node.device, node.op) for graph in graphs for node in graph.node]


def _place(device: str) -> str:
    """Kind of a device: `GPU` of `/job:localhost/replica:0/task:0/device:GPU:0`."""
    match = re.search(r"device:(\w+):", device)
    return match[1] if match else "unknown"


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


def _tensor(spec: Any) -> Tensor:
    name = getattr(spec.dtype, "name", spec.dtype)  # Keras has strings, TensorFlow has objects
    return Tensor(name=spec.name, shape=tuple(spec.shape), dtype=np.dtype(object if name == "string" else name))
