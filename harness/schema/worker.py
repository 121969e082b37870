"""What crosses the border between the parent and a child: the task that a child is started with, and every message, each a type.

    child                                    parent
    Hello                             ->
    Mark load                         ->
    Ready                             ->      samples idle, model loaded
                                      <-      More            a round of warm-up, not recorded
    Mark warmup                       ->      (before the first query of all)
    Done                              ->
                                      <-      Go              queries run from here on, each completion kept
    Mark go                           ->      (after the first of them) waits for the lead-in, then for a tick, the window, a tick
                                      <-      Close           the only word inside a window is the one that ends it; one completion is later
    Done                              ->
    Mark quality, Mark quality_end    ->
    Result                            ->      samples idle again, model still loaded
                                      <-      AskKernels         in the first repetition alone, when all has been measured
    Kernels                           ->
                                      <-      Close           or end of file: the child exits

A build sends Hello, Mark and Result alone. Times are CLOCK_MONOTONIC, which both processes share. Messages are JSON lines.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator

from harness.schema.base import FrozenModel, Status
from harness.schema.measured import Kernel
from harness.schema.run import Artifact, ArtifactFacts
from harness.schema.suite import Build, DataSource, Model

GROUP_S = 0.25
"""Length of a group of queries where the phase of the load is shifted, s."""

# --- tasks ------------------------------------------------------------------------------------------------------------


class ArrayFile(FrozenModel):
    """One array in an `.npz` file."""

    path: str
    key: str
    name: str | None = None
    """The input of the model that it feeds; None: by position."""


class ModelFile(FrozenModel):
    """A model on disk."""

    path: str
    format: str


class SourceFile(ModelFile):
    """The artifact that goes into a build step."""

    facts: ArtifactFacts = ArtifactFacts()


class InputKey(FrozenModel):
    """An input inside a split's file."""

    key: str
    name: str | None = None


class SplitFile(FrozenModel):
    """What is in the `.npz` file of one split of a built data set."""

    inputs: tuple[InputKey, ...] = (InputKey(key="inputs"),)
    labels: bool = True
    samples: int | None = None


class Dataset(FrozenModel):
    """A built data set: a folder with a file for each split."""

    path: str
    splits: dict[str, SplitFile] = {}


class MeasureTask(FrozenModel):
    """One repetition of a case, as its child is given it."""

    engine: str
    engine_options: dict[str, JsonValue] = {}
    device: str
    batch_size: int
    threads: int
    scenario: str
    artifact: ModelFile
    inputs: tuple[ArrayFile, ...] = ()
    labels: ArrayFile | None = None
    metric: str | None = None
    """None: nothing is scored."""
    metric_direction: Literal["higher", "lower"] = "higher"
    metric_threshold: float | None = None
    metric_ignore: int | None = None
    input_shapes: dict[str, tuple[int, ...]] | None = None
    """Sizes of dynamic inputs, without the batch; None: the file or the data have them."""
    trusted: bool = False
    code_folder: str | None = None
    """Where functions of the user's are imported from."""
    memory_bytes: int | None = None
    """Ceiling of the child's private memory; None: none."""
    completions_path: str = ""
    """Where the completion times are left: int64 of shape (3, n), start and end in ns, and the number of queries."""
    per_sample_path: str = ""
    """Where the score of each test sample is left."""
    outputs_path: str | None = None
    """Where the scored output is left; None: it is not wanted."""
    answer_s: float = 0.0
    """How long inputs without labels may be answered for, s."""


class BuildTask(FrozenModel):
    """One step of making a model, as its child is given it."""

    model: Model
    """Without its test data, which never enter a build."""
    build: Build
    source: SourceFile | None = None
    """What goes in; None for the first step of a chain."""
    dataset: Dataset | None = None
    """The training data that a build wrote; None where the suite names arrays, or none."""
    data: DataSource | None = None
    """For a build of data: its source; None for any other."""
    folder: str
    """Where to write; empty."""
    seed: int = 0
    memory_bytes: int | None = None

    @field_validator("model")
    @classmethod
    def _without_test_data(cls, model: Model) -> Model:
        return model.model_copy(update={"test": None})


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
    """The model is loaded and has answered its first query."""

    kind: Literal["ready"] = "ready"
    first_query_s: float
    precision: str | None = None
    """As the engine reports it; None: not reported."""
    facts: dict[str, JsonValue] = {}
    """What the engine reports of itself."""


class Done(FrozenModel):
    """A round of queries has ended."""

    kind: Literal["done"] = "done"
    n: int


class Scores(FrozenModel):
    """How the test samples were scored; their scores are in the file of the task."""

    metric: str
    direction: Literal["higher", "lower"]
    threshold: float | None = None
    threshold_from: Literal["suite", "probability", "logit"] | None = None
    rival: float | None = None
    ties: int | None = None


class Result(FrozenModel):
    """How the work went: the fields that a repetition has, or a build, or the reason of its failure."""

    kind: Literal["result"] = "result"
    status: Status
    reason: str | None = None
    quality: Scores | None = None
    peak_memory_bytes: int | None = None
    resident_bytes: int | None = None
    artifact: Artifact | None = None


class Kernels(FrozenModel):
    """The kernels that ran, and the types of the numbers that the artifact stores."""

    kind: Literal["kernels"] = "kernels"
    kernels: tuple[Kernel, ...] = ()
    reason: str | None = None
    """Why they are not known."""
    stored: tuple[str, ...] | None = None


FromChild = Annotated[Hello | Mark | Ready | Done | Result | Kernels, Field(discriminator="kind")]

# --- messages of the parent -----------------------------------------------------------------------------------------------


class More(FrozenModel):
    """Run one more round of warm-up."""

    kind: Literal["more"] = "more"
    seconds: float


class Go(FrozenModel):
    """Run queries and keep each completion until `Close`."""

    kind: Literal["go"] = "go"
    shift_s: float | None = None
    """Update period of a sensor by which the phase of the load is shifted; None: it runs through."""
    group: int = 0
    """Number of the first group of queries, counted through all repetitions."""


class Close(FrozenModel):
    """End what is under way."""

    kind: Literal["close"] = "close"
    until_s: float = 0.0
    """One completion must be later than this, CLOCK_MONOTONIC."""


class AskKernels(FrozenModel):
    """Report the kernels that run."""

    kind: Literal["profile"] = "profile"


ToChild = Annotated[More | Go | Close | AskKernels, Field(discriminator="kind")]


def as_line(message: FrozenModel) -> bytes:
    """A message as a line of JSON."""
    return message.model_dump_json().encode() + b"\n"
