"""Messages between the parent and a child: the task that a child is started with, and every message.

    child                                    parent
    Hello                             ->
    Mark load                         ->
    Ready                             ->      samples idle, model loaded
                                      <-      More            a round of warm-up, not recorded
    Mark warmup                       ->      (before the very first query)
    Done                              ->
                                      <-      Go              run queries and record each completion
    Warmed                            ->      text generation, which gets no More: the load is steady
    Mark go                           ->      (after the first query) waits for the lead-in, then for a tick, the window, a tick
                                      <-      Close           the only message inside a window ends it, after one more completion
    Done                              ->      (text generation: after the requests in progress have ended)
    Mark quality, Mark quality_end    ->
    Result                            ->      samples idle again, model still loaded
                                      <-      AskKernels      in the first repetition, after everything is measured
    Kernels                           ->
                                      <-      Close           or end of file: the child exits

A build sends only Hello, Mark and Result. Times are CLOCK_MONOTONIC, which both processes share. Messages are lines of JSON.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator

from harness.schema.base import FrozenModel, Status
from harness.schema.builds import Build
from harness.schema.measured import Evaluated, Kernel
from harness.schema.run import Artifact, ArtifactFacts
from harness.schema.served import TokenLoad
from harness.schema.suite import DataSource, LmEval, Model, Timed

GROUP_S = 0.25
"""Length of a group of queries when the phase of the load is shifted, s."""

# --- tasks ------------------------------------------------------------------------------------------------------------


class ArrayFile(FrozenModel):
    """One array in an `.npz` file."""

    path: str
    key: str
    name: str | None = None
    """Model input that it feeds; None: by position."""


class ModelFile(FrozenModel):
    """A model on disk."""

    path: str
    format: str


class SourceFile(ModelFile):
    """The input artifact of a build step."""

    facts: ArtifactFacts = ArtifactFacts()


class InputKey(FrozenModel):
    """An input array in the file of a split."""

    key: str
    name: str | None = None


class SplitFile(FrozenModel):
    """Contents of the `.npz` file of one split of a built data set."""

    inputs: tuple[InputKey, ...] = (InputKey(key="inputs"),)
    labels: bool = True
    samples: int | None = None


class Dataset(FrozenModel):
    """A built data set: a folder with one file per split."""

    path: str
    splits: dict[str, SplitFile] = {}


class SampleShape(FrozenModel):
    """Shape of one sample of a test input."""

    shape: tuple[int, ...]
    name: str | None = None
    """Model input that it feeds; None: by position."""


class MeasureTask(Timed):
    """One repetition of a case."""

    engine: str
    engine_options: dict[str, JsonValue] = {}
    batch_size: int
    threads: int
    scenario: str
    artifact: ModelFile
    prepared: str | None = None
    """Folder that a build filled for the device of the case; None: the engine needs none."""
    inputs: tuple[ArrayFile, ...] = ()
    labels: ArrayFile | None = None
    metric: str | None = None
    """Metric; None: nothing is scored."""
    metric_direction: Literal["higher", "lower"] = "higher"
    metric_threshold: float | None = None
    metric_ignore: int | None = None
    input_shapes: dict[str, tuple[int, ...]] | None = None
    """Shapes of dynamic inputs without the batch; None: those of the file or the data."""
    trusted: bool = False
    code_folder: str | None = None
    """Folder that the user's functions are imported from."""
    memory_bytes: int | None = None
    """Limit of the child's private memory; None: no limit."""
    completions_path: str = ""
    """Output file of the completions: int64 of shape (3, n), submission and completion in ns and number of queries."""
    per_sample_path: str = ""
    """Output file of the score of each test sample."""
    outputs_path: str | None = None
    """Output file of the scored outputs; None: they are not kept."""
    answer_s: float = 0.0
    """Time limit for inputs without labels, s."""


class Evaluation(LmEval):
    """An evaluation of a served model with lm_eval."""

    python: str | None = None
    """Interpreter of the virtual environment of lm_eval; None: there is none."""
    missing: str = ""
    """Why there is none."""
    remedy: str = ""
    """How to get it."""
    timeout_s: float
    """Time limit, s."""


class ServeTask(FrozenModel):
    """One repetition of a case that generates text."""

    engine: str
    engine_options: dict[str, JsonValue] = {}
    device: str
    threads: int
    scenario: str
    load: TokenLoad
    artifact: ModelFile
    trusted: bool = False
    code_folder: str | None = None
    """Folder that the user's functions are imported from."""
    memory_bytes: int | None = None
    """Limit of the private memory of a model in the child itself; None: no limit."""
    seed: int = 0
    """Seed of prompts, lengths and arrivals, another one in each repetition."""
    warm_s: float = 120.0
    """Time limit of the warm-up, s: then the window begins although the rate is not steady."""
    drain_s: float = 60.0
    """Time limit for the requests in progress after the window, s."""
    completions_path: str = ""
    """Output file of the tokens as completions: int64 of shape (3, n), start and arrival in ns and number of tokens."""
    requests_path: str = ""
    """Output file of the table of requests: int64 of shape (columns, n), in the order of `REQUEST_COLUMNS`."""
    outputs_path: str | None = None
    """Output file of the greedy answers; None: they are not kept."""
    evaluation: Evaluation | None = None
    """Evaluation of the model after the window; None: there is none, or an earlier launch has made it."""
    per_sample_path: str = ""
    """Output file of the score of each sample of the evaluation."""
    evaluation_path: str = ""
    """Output file of the results as lm_eval wrote them."""


class BuildTask(FrozenModel):
    """One build step."""

    model: Model
    """Model without its test data, which never enter a build."""
    build: Build
    source: SourceFile | None = None
    """Input artifact; None for the first step of a chain."""
    dataset: Dataset | None = None
    """Training data that a build wrote; None: the suite names arrays, or none."""
    data: DataSource | None = None
    """Source of a build of data; None for any other build."""
    shapes: tuple[SampleShape, ...] = ()
    """Shapes of the test inputs of a build with a target, which never gets the data themselves; empty: there are none."""
    folder: str
    """Empty output folder."""
    seed: int = 0
    memory_bytes: int | None = None

    @field_validator("model")
    @classmethod
    def _without_test_data(cls, model: Model) -> Model:
        return model.model_copy(update={"test": None})


class LoadTask(FrozenModel):
    """Load on one card for a probe: after `Hello` and `Ready`, each `Burst` is answered by `Edges`."""

    engine: str
    device: str = "gpu"


# --- messages of the child -----------------------------------------------------------------------------------------------


class Hello(FrozenModel):
    """The child has started."""

    kind: Literal["hello"] = "hello"
    pid: int


class Mark(FrozenModel):
    """A phase begins."""

    kind: Literal["mark"] = "mark"
    name: str
    t_s: float


class Ready(FrozenModel):
    """The model is loaded and has completed its first query."""

    kind: Literal["ready"] = "ready"
    first_query_s: float
    precision: str | None = None
    """Compute precision that the engine reports; None: not reported."""
    facts: dict[str, JsonValue] = {}
    """Facts that the engine reports of itself."""


class Warmed(FrozenModel):
    """The load of a case that generates text is steady: sent before the mark `go`."""

    kind: Literal["warmed"] = "warmed"
    request_s: float
    """Mean duration of the requests so far, s."""
    steady: bool
    """Whether the token rates of the last two half windows agree."""


class Done(FrozenModel):
    """A round of queries has ended."""

    kind: Literal["done"] = "done"
    n: int


class Scores(FrozenModel):
    """How the test samples were scored; fields as in `Quality`, the scores are in `per_sample_path`."""

    metric: str
    direction: Literal["higher", "lower"]
    threshold: float | None = None
    threshold_from: Literal["suite", "probability", "logit"] | None = None
    rival: float | None = None
    ties: int | None = None
    evaluated: Evaluated | None = None


class Result(FrozenModel):
    """Outcome of a repetition or a build."""

    kind: Literal["result"] = "result"
    status: Status
    reason: str | None = None
    quality: Scores | None = None
    peak_memory_bytes: int | None = None
    resident_bytes: int | None = None
    artifact: Artifact | None = None
    facts: dict[str, JsonValue] = {}
    """Facts that are known at the end only, added to those of `Ready`."""


class Kernels(FrozenModel):
    """Kernels that ran, and the number types that the artifact stores."""

    kind: Literal["kernels"] = "kernels"
    kernels: tuple[Kernel, ...] = ()
    reason: str | None = None
    """Why they are unknown."""
    stored: tuple[str, ...] | None = None
    facts: dict[str, JsonValue] = {}
    """Facts about the end of a server."""


class Edges(FrozenModel):
    """When a load was really switched on and off, s on CLOCK_MONOTONIC."""

    kind: Literal["edges"] = "edges"
    on_s: tuple[float, ...]
    off_s: tuple[float, ...]
    calls: tuple[int, ...] = ()
    """Number of times that the engine's `work` was called in each burst."""


FromChild = Annotated[Hello | Mark | Ready | Warmed | Done | Result | Kernels | Edges, Field(discriminator="kind")]

# --- messages of the parent -----------------------------------------------------------------------------------------------


class More(FrozenModel):
    """Run one more round of warm-up."""

    kind: Literal["more"] = "more"
    seconds: float


class Go(FrozenModel):
    """Run queries and record each completion until `Close`."""

    kind: Literal["go"] = "go"
    shift_s: float | None = None
    """Update period of a sensor by which the phase of the load is shifted, s; None: it is not shifted."""
    group: int = 0
    """Number of the first group of queries, counted over all repetitions."""


class Close(FrozenModel):
    """Stop the current work."""

    kind: Literal["close"] = "close"
    until_s: float = 0.0
    """Time after which one more completion is needed, s on CLOCK_MONOTONIC."""


class AskKernels(FrozenModel):
    """Report the kernels."""

    kind: Literal["profile"] = "profile"


class Burst(FrozenModel):
    """Switch the load of a probe on at the start of each period."""

    kind: Literal["burst"] = "burst"
    start_s: float
    """Start of the first period, s on CLOCK_MONOTONIC."""
    period_s: float
    share: float
    """Share of each period in which the load is on."""
    count: int
    """Number of periods."""


ToChild = Annotated[More | Go | Close | AskKernels | Burst, Field(discriminator="kind")]


def as_line(message: FrozenModel) -> bytes:
    """A message as one line of JSON."""
    return message.model_dump_json().encode() + b"\n"
