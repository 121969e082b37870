"""The public interface of an engine: `open(artifact, ...)` gives a `Session`, whose `run` blocks until the answer is there."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import EngineError
from harness.formats.heads import Head
from harness.schema import EngineSpec, Kernel

Array = NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """An input or output as the model declares it.

    Attributes:
        name: As in the file.
        shape: None where the size is open; the first axis is the batch.
        dtype: Of the array that goes in or comes out.
        scale: Of an affine-quantized tensor, real = scale (q - zero_point); null for a float one.
        zero_point: Likewise.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]
    scale: float | None = None
    zero_point: int = 0

    def encode(self, values: Array) -> Array:
        """Real values -> what the model takes; values that are of a quantized tensor's own type are quantized already."""
        if self.scale is None or values.dtype == self.dtype:
            return np.asarray(values, dtype=self.dtype, order="C")
        limits = np.iinfo(self.dtype)
        return np.asarray(np.clip(np.rint(values / self.scale) + self.zero_point, limits.min, limits.max), dtype=self.dtype)

    def batched(self, batch_size: int) -> bool:
        """Whether its first axis is the batch. Else it takes a whole sample: a state, a scalar; with a batch of 1 only."""
        return bool(self.shape) and self.shape[0] in (None, batch_size)

    def decode(self, values: Array) -> Array:
        """What the model gives -> real values."""
        return values if self.scale is None else (values.astype(np.float32) - self.zero_point) * np.float32(self.scale)


def check_batch(inputs: Sequence[Tensor], batch_size: int) -> None:
    """Refuse a batch that a model is not made for.

    Args:
        inputs: As the model declares them.
        batch_size: What the case asks for.

    Raises:
        EngineError: With a batch of 1 some input must be able to take it (others may be states or scalars), with a larger one all.
    """
    unfit = [tensor for tensor in inputs if not tensor.batched(batch_size)]
    if unfit and (batch_size > 1 or (len(unfit) == len(inputs) and any(tensor.shape for tensor in unfit))):
        raise EngineError(
            f"input {unfit[0].name!r} has the fixed shape {unfit[0].shape}, the case asks for a batch of {batch_size}",
            "export the model with an open batch, or leave this batch size out",
            refused=True,
        )


def share_threads(load: Load) -> int:
    """Threads inside an operator, so that with `options.inter_op` operators at once no more run than the case has.

    Raises:
        EngineError: More operators at once than threads.
    """
    inter_op = load.options.inter_op
    if inter_op > load.threads:
        raise EngineError(
            f"inter_op: {inter_op} would use more cores than the {load.threads} of the case",
            "set `threads` of the matrix to at least inter_op",
            refused=True,
        )
    return int(load.threads - inter_op + 1)


class Session(ABC):
    """A loaded model, ready for queries of one batch size."""

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    concurrent: bool = False
    """Whether `run` may be called from several threads at once."""

    @abstractmethod
    def run(self, inputs: Sequence[Array]) -> Sequence[Array]:
        """Answer one query.

        Args:
            inputs: One array for each of `self.inputs`, encoded, batch first.

        Returns:
            One array for each of `self.outputs`, not decoded; complete on return.
        """

    def synchronize(self) -> None:
        """Wait for the device; nothing to do where `run` has already waited."""

    def precision(self) -> str | None:
        """The precision that the engine computes in, as far as it tells."""
        return None

    def facts(self) -> dict[str, Any]:
        """What else the engine says of what it really loaded: provider, delegate, threads."""
        return {}

    def head(self, output: int) -> Head | None:
        """What an output's numbers are, by the operators before it; None where the file does not say.

        Args:
            output: Its place among `self.outputs`.
        """
        return None

    def profile(self, queries: Sequence[Sequence[Array]], seconds: float) -> Sequence[Kernel]:
        """The kernels that a query really runs, with their shares; asked once, after everything has been measured.

        Args:
            queries: Each as for `run`; the first is there to warm up.
            seconds: About how long it may take; the first two are answered however long they take (`in_time`).

        Returns:
            Largest share first (`kernels_of` makes them); empty where the engine does not tell. Never an estimate of times.
        """
        return ()

    def close(self) -> None:
        """Free the model."""


Profiled = tuple[str, str | None, str | None, float]
"""(operator, kernel, precision, time or multiply-accumulates) of one call."""


def in_time(queries: Sequence[Sequence[Array]], seconds: float) -> Iterator[Sequence[Array]]:
    """Queries as long as there is time, but at least two: one to warm up and one to look at."""
    until_s = time.monotonic() + seconds
    for number, query in enumerate(queries):
        if number > 1 and time.monotonic() > until_s:
            return
        yield query


def undisturbed(queries: Sequence[Sequence[Profiled]]) -> list[Profiled]:
    """The calls of the faster half of the queries: one that was interrupted would stand for the kernel it was in (seen: 5 % for 96 %)."""
    ordered = sorted(queries, key=lambda calls: sum(amount for *_, amount in calls))
    return [call for calls in ordered[: (len(ordered) + 1) // 2] for call in calls]


def kernels_of(calls: Iterable[Profiled], basis: Literal["time", "macs"] = "time") -> tuple[Kernel, ...]:
    """Calls of the same kernel as one, with its share of the whole.

    Args:
        calls: What was profiled.
        basis: What the last of each is.
    """
    spent: defaultdict[tuple[str, str | None, str | None], float] = defaultdict(float)
    for op, kernel, precision, amount in calls:
        spent[op, kernel, precision] += amount
    whole = sum(spent.values())
    largest_first = sorted(spent.items(), key=lambda item: (-item[1], str(item[0])))
    return tuple(
        Kernel(op=op, kernel=kernel, precision=precision, share=amount / whole, basis=basis)
        for (op, kernel, precision), amount in largest_first
        if amount
    )


@dataclass(frozen=True)
class Load:
    """How a case wants its artifact opened.

    Attributes:
        path: The artifact: a file or a folder.
        format: Its format.
        device: `cpu`, `gpu`, ...
        batch_size: Samples a query.
        threads: The most cores it may use.
        options: A value of the spec's `parameters`; null where it has none.
        trusted: Whether the model may run code of its own.
    """

    path: Path
    format: str
    device: str
    batch_size: int
    threads: int
    options: Any = None
    trusted: bool = False


class Engine(ABC):
    """One file, one class, one light spec. The library is imported in `open`, never at the top."""

    spec: ClassVar[EngineSpec]

    @classmethod
    def environment(cls, load: Load) -> dict[str, str]:
        """Variables that must be set before the library is imported, such as its number of threads."""
        return {}

    @abstractmethod
    def open(self, load: Load) -> Session:
        """Load the artifact.

        Raises:
            EngineError: It cannot be loaded so; `refused` where it never can be on this machine.
        """
