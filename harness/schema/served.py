"""Requests of generated text: the load that a case asks for, and the table of the requests that were sent."""

from __future__ import annotations

from typing import Literal

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
        load = f"c{self.concurrency}" if self.concurrency is not None else f"r{self.rate_per_s:g}"
        spread = "" if self.spread == 0.5 else f"/spread_{self.spread:g}"
        prompts = f"/prompts_{self.prompts.sha256[:8]}" if self.prompts else ""
        return f"{load}/in{self.input_tokens}/out{self.output_tokens}{spread}{prompts}"
