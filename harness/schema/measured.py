"""What is measured: domains, traces, measurements, findings, quality, latency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from harness.schema.base import Floats, FrozenModel, Kind


class Domain(FrozenModel):
    """One quantity that a sensor reads, and where it stands among the others."""

    name: str
    """`package`, `dram`, `gpu:0`, `system`, `wall`; `package:1` where there are several."""
    sensor: str
    quantity: Literal["energy", "power", "mean_power", "temperature", "clock", "load", "memory", "flags", "count", "duration"]
    """energy: a counter in J. power: a gauge in W. mean_power: W, each reading the mean since the one before it. The rest are conditions;
    duration: a counter of the time in s that something has lasted."""
    unit: Literal["J", "W", "degC", "Hz", "1", "bytes", "s"]
    kind: Kind | None = None
    """Of energy and power; null for conditions."""
    device: str = "cpu"
    """cpu, gpu, or what a plug-in calls its own."""
    parent: str | None = None
    """The domain that already contains this one: a parent is never added to its children."""
    wrap_j: float | None = None
    """Where a counter starts again at 0; null: never."""
    update_period_s: float | None = None
    """How often the value changes, as probed; null: not known."""
    counter: str | None = None
    """For power: the energy domain of the same rail, if there is one."""
    part_time: bool = False
    """True for a power reading that may see only a part of each update period: a load that beats with it is misread."""
    average_s: float | None = None
    """Over how long each power reading is the mean; null: not known, or its own update period."""
    poll_period_s: float | None = None
    """How often it is worth reading; null: as often as the sampler reads the sensor."""
    limit_w: float | None = None
    gain: float | None = None
    """Relative standard uncertainty of the sensor's gain; null for a model, which has no honest one."""
    detail: dict[str, Any] = {}
    """Device name, uuid, path: what `describe` said."""


class Phase(FrozenModel):
    """A named stretch of time on CLOCK_MONOTONIC."""

    name: Literal["load", "idle", "warmup", "steady", "quality", "build"]
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


class WindowTimes(FrozenModel):
    """When a phase was asked to begin and end, and when every sensor had been read for it, CLOCK_MONOTONIC."""

    phase: Literal["load", "idle", "warmup", "steady", "quality", "build"]
    begin_s: float
    """From here on the counters were polled quickly for the first edge."""
    open_s: float
    """By now each had ticked, and the rest had been read."""
    end_s: float
    """From here on they were polled quickly for the last edge."""
    close_s: float
    """By now each had ticked again, and the rest had been read."""
    edges: bool = True
    """False where nobody polled for ticks (load, warm-up, quality): a counter is then interpolated at the edges."""

    @classmethod
    def loose(cls, phase: Any, start_s: float, end_s: float) -> WindowTimes:
        """A phase whose edges nobody aligned."""
        return cls(phase=phase, begin_s=start_s, open_s=start_s, end_s=end_s, close_s=end_s, edges=False)


@dataclass(frozen=True)
class Sample:
    """Readings of one domain in time order, arrays of one length.

    Attributes:
        start_s: When each read began, CLOCK_MONOTONIC.
        end_s: When it had returned.
        value: In the domain's unit; NaN where the read failed (missing, never 0).
    """

    start_s: Floats
    end_s: Floats
    value: Floats

    @property
    def t_s(self) -> Floats:
        """The middle of each read."""
        return (self.start_s + self.end_s) / 2

    def finite(self) -> Sample:
        """Without the reads that failed."""
        good = np.isfinite(self.value)
        return Sample(self.start_s[good], self.end_s[good], self.value[good])


@dataclass(frozen=True)
class Trace:
    """Everything the sensors said during one task: samples by domain name, and the failures by domain name."""

    domains: Mapping[str, Domain]
    samples: Mapping[str, Sample]
    failures: Mapping[str, str] = field(default_factory=dict)


class Measurement(FrozenModel):
    """The energy of one domain over one phase, between its own edges."""

    domain: str
    sensor: str
    kind: Kind
    phase: str
    start_s: float
    end_s: float
    inferences: float | None
    """Completed between the edges, fractions by interpolation; null outside `steady`."""
    gross_j: float | None
    """null: could not be measured."""
    idle_w: float | None = None
    """Mean power of the idle phases; null: not measured."""
    net_j: float | None = None
    """gross - idle x time; null where either is."""
    integrated_j: float | None = None
    """Of a counter: the same window from its power reading; null where there is none."""
    lag_s: float | None = None
    """Of a counter: how late it shows what happened; its edges were shifted back by it. Null: not known."""
    edge_j: float | None = None
    """Standard uncertainty from the edges, of `gauge` from its sampling; null for a domain without ticks."""
    poll_gap_s: float | None = None
    """Width of the wider of the two brackets around the edges, s: from the start of the poll before a tick to the end of the one that shows it."""
    device: str = "cpu"
    parent: str | None = None
    counter: str | None = None
    """The energy domain of the same rail, of which this power reading is the second witness: never summed beside it."""
    gain: float | None = None
    gauge: str | None = None
    """Of a counter that showed no tick at an edge: the power reading whose integral stands in for it; null: the counter's own difference."""


class Finding(FrozenModel):
    """A remark on a record: a code from a closed set, a sentence, and the remedy."""

    code: str
    sentence: str
    remedy: str = ""
    invalid: bool = False
    """True where the energy must not be used."""
    values: dict[str, Any] = {}
    """What the sentence was made of, by name."""


class Quality(FrozenModel):
    """How good the outputs were, on the test data, in the same process."""

    metric: str
    direction: Literal["higher", "lower"]
    value: float
    samples: int
    low: float | None = None
    """95 % interval; null where the metric has none."""
    high: float | None = None
    threshold: float | None = None
    """Above which a single output was taken as class 1; None where the metric has none."""
    threshold_from: Literal["suite", "probability", "logit"] | None = None
    """Why: the suite names it, or the model's last operator gives a probability (0.5) or a score around 0 (0)."""
    rival: float | None = None
    """Of a score around 0: what the quality would be at 0.5; None for any other head."""
    ties: int | None = None
    """Decisions between classes with exactly the same score, which the first class gets; None where the metric decides nothing."""


class Kernel(FrozenModel):
    """One kind of kernel that an engine really ran, all its calls together."""

    op: str
    """The operator, as the engine calls it: Conv, FullyConnected."""
    kernel: str | None = None
    """What computed it: `jit_avx2_I8`, `CPUExecutionProvider`, `XNNPACK`; null where the engine does not tell."""
    precision: str | None = None
    """What it computed in: `float32`, `bfloat16`, `int8` (signed or not); null where the engine does not tell."""
    share: float
    """Of the whole query, 0 to 1; the shares of a query's kernels add up to 1."""
    basis: Literal["time", "macs"] = "time"
    """What it is a share of: measured time, with the profiler's own cost in it; or multiply-accumulates, where the engine tells no times."""


class Latency(FrozenModel):
    """Per query, of this launch, inside `steady`; a percentile is null where n is too small to bound it (36 / 72 / 368 for p90 / p95 / p99)."""

    queries: int
    mean_s: float
    p50_s: float
    p90_s: float | None
    p95_s: float | None
    p99_s: float | None
