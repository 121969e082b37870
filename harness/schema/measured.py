"""What is measured: domains, traces, measurements, findings, quality and latency."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from harness.schema.base import Floats, FrozenModel, Kind

PhaseName = Literal["load", "idle", "warmup", "steady", "drain", "quality", "build"]


class Domain(FrozenModel):
    """One quantity that a sensor reads, and its relation to other domains."""

    name: str
    """Unique name: `package`, `dram`, `gpu:0`, `system`, `wall`; numbered if there are several (`package:1`)."""
    sensor: str
    """Name of the sensor plug-in."""
    quantity: Literal["energy", "power", "mean_power", "temperature", "clock", "load", "memory", "flags", "count", "duration"]
    """energy: a counter in J. power: a gauge in W. mean_power: W, each reading the mean since the previous one. The rest are conditions;
    duration: a counter in s of how long a state has lasted."""
    unit: Literal["J", "W", "degC", "Hz", "1", "bytes", "s"]
    """Unit of the readings."""
    kind: Kind | None = None
    """Evidence of an energy or power; None for conditions."""
    device: str = "cpu"
    """Device it belongs to: `cpu`, `gpu`, `gpu:1`, or the name that a plug-in gives."""
    parent: str | None = None
    """Domain that already contains this one, so that the two are never added; None: no such domain."""
    wrap_j: float | None = None
    """Value in J at which the counter wraps to 0; None: it does not wrap."""
    update_period_s: float | None = None
    """Probed update period of the value, s; None: unknown."""
    counter: str | None = None
    """For a power: the energy domain of the same rail; None: there is none."""
    part_time: bool = False
    """Whether a power reading may cover only part of each update period, so that a load in step with it is misread."""
    average_s: float | None = None
    """Averaging time of each power reading, s; None: unknown, or the update period."""
    poll_period_s: float | None = None
    """Shortest useful polling period, s; None: that of the sampler."""
    limit_w: float | None = None
    """Highest plausible power, W, such as the power limit; None: unknown."""
    gain: float | None = None
    """Relative standard uncertainty of the sensor's gain; None for a model, whose uncertainty is unknown."""
    detail: dict[str, Any] = {}
    """Facts that the sensor reports of the device: name, UUID, driver, path."""


class Phase(FrozenModel):
    """A named time span of a task on CLOCK_MONOTONIC."""

    name: PhaseName
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


class WindowTimes(FrozenModel):
    """When a phase was requested to begin and end, and when all sensors had been read for it, s on CLOCK_MONOTONIC."""

    phase: PhaseName
    begin_s: float
    """Start of fast polling for the first edge."""
    open_s: float
    """Time by which each counter had ticked and each other sensor had been read."""
    end_s: float
    """Start of fast polling for the last edge."""
    close_s: float
    """Time by which each counter had ticked again and each other sensor had been read."""
    edges: bool = True
    """Whether counters were polled for ticks at the edges; if not (load, warm-up, quality), they are interpolated there."""

    @classmethod
    def loose(cls, phase: Any, start_s: float, end_s: float, **fields: Any) -> Self:
        """A window whose edges were not aligned with ticks."""
        return cls(phase=phase, begin_s=start_s, open_s=start_s, end_s=end_s, close_s=end_s, edges=False, **fields)


@dataclass(frozen=True)
class Sample:
    """Readings of one domain in time order, as arrays of equal length.

    Attributes:
        start_s: Start of each read, s on CLOCK_MONOTONIC.
        end_s: End of each read.
        value: Readings in the domain's unit; NaN for a failed read.
    """

    start_s: Floats
    end_s: Floats
    value: Floats

    @property
    def t_s(self) -> Floats:
        """Middle of each read."""
        return (self.start_s + self.end_s) / 2

    def finite(self) -> Sample:
        """The successful reads."""
        return self._where(np.isfinite(self.value))

    def between(self, start_s: float, end_s: float) -> Sample:
        """The reads whose middle is in a closed interval."""
        t_s = self.t_s
        return self._where((t_s >= start_s) & (t_s <= end_s))

    def _where(self, keep: Any) -> Sample:
        return Sample(self.start_s[keep], self.end_s[keep], self.value[keep])


@dataclass(frozen=True)
class Trace:
    """All readings of one task.

    Attributes:
        domains: Domains by name.
        samples: Readings by domain name.
        failures: Error messages of failed sensors by domain name.
    """

    domains: Mapping[str, Domain]
    samples: Mapping[str, Sample]
    failures: Mapping[str, str] = field(default_factory=dict)

    def readings(self, domain: str, start_s: float = -math.inf, end_s: float = math.inf) -> Floats:
        """Successful readings of a domain in a closed interval; empty if it was not sampled."""
        sample = self.samples.get(domain)
        return np.zeros(0) if sample is None else sample.finite().between(start_s, end_s).value


class Measurement(FrozenModel):
    """The energy of one domain over one phase, between the domain's own edges."""

    domain: str
    """Name of the domain."""
    sensor: str
    """Name of the sensor plug-in."""
    kind: Kind
    """Evidence of the energy; `absent` without one."""
    phase: str
    """Name of the phase."""
    start_s: float
    """First edge, s on CLOCK_MONOTONIC."""
    end_s: float
    """Last edge, s on CLOCK_MONOTONIC."""
    inferences: float | None
    """Inferences completed between the edges, with interpolated fractions; None outside `steady`."""
    gross_j: float | None
    """Energy between the edges, J; None: not measured."""
    idle_w: float | None = None
    """Mean power of the idle phases, W; None: not measured, or outside `steady`."""
    net_j: float | None = None
    """Energy without idle power, gross - idle x time, J; None if either is."""
    integrated_j: float | None = None
    """For a counter: integral of its power reading over the same window, J; None: there is none."""
    lag_s: float | None = None
    """For a counter: delay of its values, s, by which its edges were shifted back; None: unknown."""
    edge_j: float | None = None
    """Standard uncertainty from the edges, J (with `gauge`: from sampling), with that of the tokens in progress at them; None for a domain
    without ticks whose case generates no text."""
    poll_gap_s: float | None = None
    """Width of the wider bracket around the two edges, s: from the start of the poll before a tick to the end of the poll that shows it.
    None for a domain without ticks."""
    device: str = "cpu"
    """Device of the domain."""
    parent: str | None = None
    """Domain that contains this one; None: no such domain."""
    counter: str | None = None
    """For a power: the energy domain of the same rail, with which it is compared and never added; None: there is none."""
    gain: float | None = None
    """Relative standard uncertainty of the sensor's gain; None for a model."""
    gauge: str | None = None
    """For a counter without a tick at an edge: the power domain whose integral is used instead; None: the counter itself is used."""


class Finding(FrozenModel):
    """A remark on a record."""

    code: str
    """Reason code, a key of `harness.energy.codes.CODES`."""
    sentence: str
    """What is wrong."""
    remedy: str = ""
    """What to do about it."""
    invalid: bool = False
    """Whether the energy must not be used."""
    values: dict[str, Any] = {}
    """Values in the sentence, by name; empty in records of schema 2 and before."""


class Evaluated(FrozenModel):
    """A metric as the program that evaluated the model reports it."""

    value: float
    """Value over all samples."""
    stderr: float | None
    """Standard error of the value; None: not reported."""
    samples: int
    """Number of samples."""


class Quality(FrozenModel):
    """Quality of the outputs on the test data, scored in the measured process or by a program that asks its server."""

    metric: str
    """Name of the metric."""
    direction: Literal["higher", "lower"]
    """Direction in which the metric improves."""
    value: float
    """Mean of the metric over the samples."""
    samples: int
    """Number of test samples."""
    low: float | None = None
    """Lower bound of the 95 % interval; None for a metric without one."""
    high: float | None = None
    """Upper bound of the 95 % interval; None for a metric without one."""
    threshold: float | None = None
    """Value above which a single output is class 1; None for a metric without a threshold."""
    threshold_from: Literal["suite", "probability", "logit"] | None = None
    """Origin of the threshold: the suite, or a last operator that gives a probability (0.5) or a logit (0); None as `threshold`."""
    rival: float | None = None
    """For a logit: the quality at a threshold of 0.5; None for any other output."""
    ties: int | None = None
    """Samples whose top classes have exactly equal scores, so that the first one is taken; None for a metric without classes."""
    evaluated: Evaluated | None = None
    """What the program that evaluated the model reports; None: it was scored in the measured process."""


class Kernel(FrozenModel):
    """One kind of kernel that an engine ran, all its calls together."""

    op: str
    """Operator as the engine names it: `Conv`, `FullyConnected`."""
    kernel: str | None = None
    """Implementation: `jit_avx2_I8`, `CPUExecutionProvider`, `XNNPACK`; None: not reported."""
    precision: str | None = None
    """Compute precision: `float32`, `bfloat16`, `int8` (signed or not); None: not reported."""
    share: float
    """Share of the whole query, 0 to 1; the shares of a query add up to 1."""
    basis: Literal["time", "macs", "operators"] = "time"
    """Basis of the share: measured time including the profiler's overhead; multiply-accumulates, or else the number of operators, if the engine
    reports no times."""


class Latency(FrozenModel):
    """Latency per query of one launch inside `steady`, s; None for a percentile of fewer than 36 (p90), 72 (p95) or 368 (p99) queries."""

    queries: int
    """Number of queries."""
    mean_s: float
    p50_s: float
    p90_s: float | None
    p95_s: float | None
    p99_s: float | None
