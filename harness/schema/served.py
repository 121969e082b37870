"""Requests of generated text: the load that a case asks for, and the table of the requests that were sent."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from harness.schema.base import FrozenModel

Unit = Literal["inference", "output_token"]
"""What energy, throughput and carbon are counted per: one sample, or one generated token with its share of the prompt's."""

TOKEN_SCENARIOS = ("closed", "poisson")
"""Load patterns of text generation: a fixed number of requests in progress, or arrivals at random at a mean rate."""

REQUEST_COLUMNS = (
    "due_ns", "sent_ns", "first_ns", "end_ns", "asked_tokens", "prompt_tokens", "output_tokens", "cached_tokens", "prefill_ns", "status",
)  # fmt: skip
"""Columns of the table of requests, int64. Times are CLOCK_MONOTONIC in ns: `due_ns` is when a request should have been sent, `first_ns` when its first
text arrived, `end_ns` its end; `prefill_ns` is the duration of its prompt's processing as the server reports it; -1: unknown or not reached."""
COMPLETED, SHORT, FAILED, CUT = 0, 1, 2, 3
"""Values of `status`: complete with the length that was asked, ended with fewer tokens, failed, cut off by us after the window."""


class PromptFile(FrozenModel):
    """A JSONL file of prompts."""

    path: str
    """Absolute path: one JSON object with `prompt` (or ShareGPT's `conversations`) a line."""
    sha256: str


class TokenLoad(FrozenModel):
    """The requests of a case that generates text; exactly one of `concurrency` and `rate_per_s` is set."""

    concurrency: int | None = None
    """Requests in progress at any time, for `closed`; None for `poisson`."""
    rate_per_s: float | None = None
    """Mean rate of arrivals, for `poisson`; None for `closed`."""
    input_tokens: int
    """Mean length of a prompt, in tokens of the model."""
    output_tokens: int
    """Mean number of tokens to generate for a prompt."""
    spread: float = 0.5
    """Half the width of the uniform distribution of both lengths relative to the mean, 0 to 1; 0: fixed lengths."""
    prompts: PromptFile | None = None
    """Prompts of the user's, cut to the length that was drawn; None: synthetic text."""

    @property
    def text(self) -> str:
        """Part of the case's id: `c4/in16/out48`."""
        return (f"c{self.concurrency}/" if self.concurrency is not None else f"r{self.rate_per_s:g}/") + self.lengths

    @property
    def lengths(self) -> str:
        """Lengths and prompts alone, `in16/out48`; requests of other lengths are another work, and are not compared."""
        spread = "" if self.spread == 0.5 else f"/spread_{self.spread:g}"
        prompts = f"/prompts_{self.prompts.sha256[:8]}" if self.prompts else ""
        return f"in{self.input_tokens}/out{self.output_tokens}{spread}{prompts}"


class Slo(FrozenModel):
    """Objectives of a request, of which those that are set must all be met; at least one is set."""

    model_config = ConfigDict(strict=True)

    max_ttft_s: float | None = Field(None, gt=0, le=86_400, description="time from the due time of a request to its first text, s")
    max_tpot_s: float | None = Field(None, gt=0, le=86_400, description="time per output token after the first, s")
    max_e2e_s: float | None = Field(None, gt=0, le=86_400, description="duration of a request from its due time, s")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if (self.max_ttft_s, self.max_tpot_s, self.max_e2e_s) == (None, None, None):
            raise ValueError("must have at least one of max_ttft_s, max_tpot_s and max_e2e_s")
        return self


class Percentiles(FrozenModel):
    """Percentiles over the requests of one launch, s; None for p90 and p99 of fewer than 36 and 368 values."""

    p50_s: float
    p90_s: float | None
    p99_s: float | None


class TokenFigures(FrozenModel):
    """Figures of one launch of a case that generates text, over its window."""

    requests: int
    """Requests that ended in the window without a failure."""
    failed: int
    """Requests that failed in the window; their energy stays in it, their tokens do not."""
    short: int
    """Of `requests`, those that ended with fewer tokens than asked."""
    requests_per_s: float
    """Requests that ended without a failure, per second."""
    input_tokens: float | None
    """Mean length of their prompts in tokens, as the server reports it; None: not reported."""
    output_tokens: float
    """Mean number of tokens generated for them."""
    concurrency: float
    """Requests in progress, mean over the window."""
    batch: float | None = None
    """Requests that the model was working on, mean over the window; None: unknown."""
    batch_source: Literal["metrics", "prefill", "log", "bound"] | None = None
    """How `batch` is known: the server's metrics, the prefill durations that it reports, a log in which nothing waits in a queue; or only an upper bound
    from the times of the requests."""
    batch_u: float = 0.0
    """Standard uncertainty of `batch` where it is a mean of readings."""
    offered: float | None = None
    """Requests completed over requests due in the window, of `poisson`; None for `closed`."""
    cached_share: float | None = None
    """Share of the prompts' tokens that came from a cache, 0 to 1; None: not reported."""
    ttft: Percentiles | None = None
    """Time from a request's due time to its first text; None without a request."""
    tpot: Percentiles | None = None
    """Time per output token after the first of each request, (end - first) / (tokens - 1); None if answers have a single token."""
    itl: Percentiles | None = None
    """Time between two tokens of a request; None if several arrived in one read, or tokens were estimated."""
    e2e: Percentiles | None = None
    """Duration of a request from its due time; None without a request."""
    goodput_per_s: float | None = None
    """Requests per second that were complete and met all objectives of the suite; None: it has none."""
    estimated: bool = False
    """Whether tokens were known for each request in total only, and were spread over its chunks of text."""
    client_cores: float | None = None
    """CPU cores used by the load generator; None: not measured, or the model is in the same process."""
    client_s_per_token: float | None = None
    """CPU time of the load generator per token, s; None as `client_cores`."""
    server_ratio: float | None = None
    """Tokens by the server's own metrics over tokens counted, from the start of the load to its end; None: not reported."""
