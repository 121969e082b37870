"""The public interface of an engine: `Engine.open` loads an artifact into a `Session`, whose `run` answers one query."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from harness.errors import EngineError
from harness.formats.heads import Head
from harness.schema import EngineSpec, Kernel

Array = NDArray[Any]

Call = tuple[str, str | None, str | None, float]
"""One profiled call: (operator, kernel, precision, time, number of multiply-accumulates, or 1)."""


class EngineOptions(BaseModel):
    """Base of the options that a suite may set for an engine; an unknown option is an error."""

    model_config = ConfigDict(extra="forbid")  # codespell:ignore


@dataclass(frozen=True)
class Load:
    """How to open the artifact of a case.

    Attributes:
        path: File or folder of the artifact.
        format: Format of the artifact.
        device: Device of the case, such as `cpu` or `gpu`.
        batch_size: Samples per query.
        threads: Largest number of cores to use.
        options: Instance of the spec's `parameters`; None if the engine has none.
        trusted: Whether the model may run its own code.
        prepared: Folder that `Engine.prepare` filled for this device; None: there is none.
    """

    path: Path
    format: str
    device: str
    batch_size: int
    threads: int
    options: Any = None
    trusted: bool = False
    prepared: Path | None = None


@dataclass(frozen=True)
class Tensor:
    """An input or output as the model declares it.

    Attributes:
        name: Name in the file.
        shape: Sizes, None for a dynamic dimension; the first axis is the batch.
        dtype: Data type of the array.
        scale: Scale of an affine-quantized tensor, real = scale (q - zero_point); None if not quantized.
        zero_point: Zero point of an affine-quantized tensor.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]
    scale: float | None = None
    zero_point: int = 0

    def encode(self, values: Array) -> Array:
        """Convert real values to the model's type; values of a quantized tensor's own type are left as they are."""
        if self.scale is None or values.dtype == self.dtype:
            return np.asarray(values, dtype=self.dtype, order="C")
        limits = np.iinfo(self.dtype)
        return np.asarray(np.clip(np.rint(values / self.scale) + self.zero_point, limits.min, limits.max), dtype=self.dtype)

    def decode(self, values: Array) -> Array:
        """Convert the model's values to real ones."""
        return values if self.scale is None else (values.astype(np.float32) - self.zero_point) * np.float32(self.scale)

    def batched(self, batch_size: int) -> bool:
        """Whether the first axis is the batch; if not, the tensor holds one whole sample (a state, a scalar)."""
        return bool(self.shape) and self.shape[0] in (None, batch_size)


Query = Callable[[Sequence[Tensor]], Sequence[Array]]
"""Makes the inputs of one query for tensors of a model."""


class Event(Protocol):
    """A point in the queue of a device, such as a `torch.cuda.Event`."""

    def query(self) -> bool:
        """Whether everything queued before it is complete."""

    def synchronize(self) -> None:
        """Wait until everything queued before it is complete."""


class Session(ABC):
    """A loaded model, ready for queries of one batch size."""

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]

    def stage(self, inputs: Sequence[Array]) -> Any:
        """Move the inputs of one query to the device; by default they are used as they are.

        Args:
            inputs: One encoded array per tensor of `self.inputs`, batch first.
        """
        return inputs

    @abstractmethod
    def run(self, inputs: Any) -> Any:
        """Answer one query; it may return before the answer is complete.

        Args:
            inputs: As `stage` returns them.
        """

    def synchronize(self) -> None:
        """Wait until all answers are complete; a `run` that blocks needs no override."""

    def event(self, outputs: Any) -> Event | None:
        """The completion of one answer, for an engine with several queries in flight; called directly after `run`.

        Args:
            outputs: As `run` returned them, not complete.

        Returns:
            Its event; None if only `synchronize` can wait: then queries are sent in groups, each followed by a wait for all of it.
        """
        return None

    def fetch(self, outputs: Any) -> Sequence[Array]:
        """Bring a complete answer to the host: one array per tensor of `self.outputs`, not decoded.

        Args:
            outputs: As `run` returned them; by default they are such arrays.
        """
        arrays: Sequence[Array] = outputs
        return arrays

    def answer(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """The complete answer to one query, from host arrays to host arrays."""
        outputs = self.run(self.stage(inputs))
        self.synchronize()
        return self.fetch(outputs)

    def precision(self) -> str | None:
        """Precision of the arithmetic as the engine reports it; None if it does not."""
        return None

    def facts(self) -> dict[str, Any]:
        """Further properties of the loaded model that the engine reports: provider, delegate, threads.

        Read after the first queries. `placement` (`harness.engines.placement`) is where the operators of a case on an accelerator run.
        """
        return {}

    def head(self, output: int) -> Head | None:
        """Meaning of an output's values (probability, logit), from the operators before it; None if unknown.

        Args:
            output: Index into `self.outputs`.
        """
        return None

    def profile(self, queries: Sequence[Sequence[Array]], seconds: float) -> Sequence[Kernel]:
        """Kernels that a query runs, with their shares; called once, after all measurements.

        Args:
            queries: Inputs of several queries, not staged; the first one warms up.
            seconds: Approximate time limit in seconds; the first two queries always run (`in_time`).

        Returns:
            Kernels with the largest share first (see `kernels_of`), empty if the engine has no profiler. Times are never estimated.
        """
        return ()


class Engine(ABC):
    """An engine: one file, one class, one spec. `open` imports the library, the module does not."""

    spec: ClassVar[EngineSpec]

    @classmethod
    def environment(cls, load: Load) -> dict[str, str]:
        """Environment variables to set before the library is imported, such as its number of threads."""
        return {}

    @classmethod
    def examine_card(cls, card: Mapping[str, Any]) -> EngineError | None:
        """What is known to keep the installed library from running on a card (`refused`), or to delay it; None if nothing is.

        Args:
            card: Facts that the driver reports: `name`, `driver`, `cuda_driver_version`, `compute_capability`; None if not reported.
        """
        return None

    @classmethod
    def libraries(cls) -> Mapping[str, str | None]:
        """Versions of the libraries, other than the spec's `packages`, on which what `prepare` makes depends; None: not installed.

        Called in a process of its own in the engine's environment, so that it may load them.
        """
        return {}

    def prepare(self, load: Load, folder: Path, query: Query) -> Mapping[str, Any]:
        """Make of a model what its cases need on this device, such as a compiled engine: a measured build, if the spec has `prepares`.

        Args:
            load: As that of the cases, which get the folder as `load.prepared`.
            folder: Empty folder for the result.
            query: Makes the inputs of a query of the cases' shape (noise, encoded) for tensors of the model.

        Returns:
            Values for the record.

        Raises:
            EngineError: It cannot be made; `refused` if it never can be on this machine.
        """
        raise EngineError(f"the engine {self.spec.name} prepares nothing", "report this to its authors", refused=True)

    @abstractmethod
    def open(self, load: Load) -> Session:
        """Load the artifact.

        Raises:
            EngineError: The artifact cannot be loaded; `refused` if it never can be on this machine.
        """

    def work(self, device: str) -> Callable[[], None]:
        """A function that keeps a device busy for about a millisecond and waits for it: the load of `harness doctor --probe`.

        Raises:
            EngineError: The engine has none, or does not run on the device here.
        """
        raise EngineError(f"the engine {self.spec.name} has no load for a probe", "install PyTorch with `make torch`", refused=True)


def check_batch(inputs: Sequence[Tensor], batch_size: int) -> None:
    """Check that a model's inputs take the batch of a case: all of them, or at least one if the batch size is 1.

    Raises:
        EngineError: The model has another fixed batch size.
    """
    unfit = [tensor for tensor in inputs if not tensor.batched(batch_size)]
    if unfit and (batch_size > 1 or (len(unfit) == len(inputs) and any(tensor.shape for tensor in unfit))):
        raise EngineError(
            f"input {unfit[0].name!r} has the fixed shape {unfit[0].shape}, but the case has a batch of {batch_size}",
            "export the model with a dynamic batch dimension, or remove this size from `batch_sizes`",
            refused=True,
        )


def intra_op_threads(load: Load) -> int:
    """Threads within an operator such that `options.inter_op` parallel operators use no more threads than the case has.

    Raises:
        EngineError: There are more parallel operators than threads.
    """
    inter_op = load.options.inter_op
    if inter_op > load.threads:
        raise EngineError(
            f"inter_op: {inter_op} would use more cores than the {load.threads} of the case",
            "set `threads` of the matrix to at least inter_op",
            refused=True,
        )
    return int(load.threads - inter_op + 1)


def unsupported_type(name: str, type_name: Any) -> EngineError:
    """Error for a tensor whose type NumPy does not have."""
    return EngineError(
        f"{name!r} has the type {type_name}, which NumPy does not support", "export the model with float32 inputs and outputs"
    )


def in_time(queries: Sequence[Sequence[Array]], seconds: float) -> Iterator[Sequence[Array]]:
    """Yield queries until the time is up, but at least two: one to warm up and one to profile."""
    until_s = time.monotonic() + seconds
    for number, query in enumerate(queries):
        if number > 1 and time.monotonic() > until_s:
            return
        yield query


def undisturbed(queries: Sequence[Sequence[Call]]) -> list[Call]:
    """Calls of the faster half of the queries: an interrupted query would distort the shares (observed: a share of 5 % instead of 96 %)."""
    ordered = sorted(queries, key=lambda calls: sum(amount for *_, amount in calls))
    return [call for calls in ordered[: (len(ordered) + 1) // 2] for call in calls]


def kernels_of(calls: Iterable[Call], basis: Literal["time", "macs", "operators"] = "time") -> tuple[Kernel, ...]:
    """Kernels with their share of the total, largest first; `basis` is what the last value of each call counts."""
    spent: defaultdict[tuple[str, str | None, str | None], float] = defaultdict(float)
    for op, kernel, precision, amount in calls:
        spent[op, kernel, precision] += amount
    total = sum(spent.values())
    return tuple(
        Kernel(op=op, kernel=kernel, precision=precision, share=amount / total, basis=basis)
        for (op, kernel, precision), amount in sorted(spent.items(), key=lambda item: (-item[1], str(item[0])))
        if amount
    )
