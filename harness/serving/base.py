"""The interface of a model that generates text, in a server or in this process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.schema import Kernel
from harness.schema.served import TokenLoad
from harness.serving.log import TokenLog


@dataclass(frozen=True)
class Prompt:
    """A prompt and the length of its answer.

    Attributes:
        text: The prompt.
        output_tokens: Number of tokens to generate.
    """

    text: str
    output_tokens: int


@dataclass(frozen=True)
class Reply:
    """A greedy answer to a prompt of the quality check.

    Attributes:
        tokens: The generated tokens as text; as characters if the server does not report tokens.
        logprobs: Natural logarithm of the probability of each token; empty if not reported.
        prompt_tokens: Length of the prompt in tokens; None if not reported.
    """

    tokens: tuple[str, ...]
    logprobs: tuple[float, ...] = ()
    prompt_tokens: int | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where another client can reach a server.

    Attributes:
        url: Address with the path of its API.
        model: Name of the model in requests.
        chat: Whether it is the API of chats.
    """

    url: str
    model: str
    chat: bool


@dataclass(frozen=True)
class ServerTotals:
    """Cumulative counts of a server by its own metrics, at one time.

    Attributes:
        t_ns: Time of the reading, ns on CLOCK_MONOTONIC.
        output_tokens: Tokens generated since its start; None if not reported.
        running: Requests being processed now, without those in a queue; None if not reported.
    """

    t_ns: int
    output_tokens: int | None = None
    running: float | None = None


@dataclass
class Load:
    """What `TokenSession.run` generates, and when it stops.

    Attributes:
        requests: Concurrency or rate, and lengths.
        prompts: Endless prompts, none of them twice.
        log: Log of requests and tokens.
        stop: Called often (at least every 50 ms, in this process after each step), also while nothing is generated: True ends the load; no
            request is sent afterwards.
        drain_s: Time limit for the requests in progress after the stop; those that take longer are cut off.
        seed: Seed of the arrivals of `poisson`.
        totals: Readings of the server's own counts during the load, appended about once a second.
        cpu: Readings of (time, CPU time of this process so far), both in ns, at the begin, the end, and about ten times a second (`harness.serving.cpu`).
    """

    requests: TokenLoad
    prompts: Iterator[Prompt]
    log: TokenLog
    stop: Callable[[], bool]
    drain_s: float
    seed: int = 0
    totals: list[ServerTotals] = field(default_factory=list)
    cpu: list[tuple[int, int]] = field(default_factory=list)


class TokenSession(ABC):
    """A loaded model that generates text; it is closed by the caller."""

    @abstractmethod
    def run(self, load: Load) -> None:
        """Generate text under a load until its `stop` is true, and log every token; the requests in progress have ended afterwards.

        Raises:
            EngineError: The server has died, or refuses every request.
        """

    @abstractmethod
    def answer(self, prompts: Sequence[Prompt], concurrency: int) -> list[Reply]:
        """Greedy answers to some prompts.

        Raises:
            EngineError: It does not answer.
        """

    def endpoint(self) -> Endpoint | None:
        """Where another client can reach the server; None for a model in this process."""
        return None

    def totals(self) -> ServerTotals | None:
        """The server's own counts; None if it reports none."""
        return None

    def facts(self) -> dict[str, Any]:
        """What is known of the server or the library and of the loaded model, read after the first answer."""
        return {}

    def precision(self) -> str | None:
        """Precision of the arithmetic as the server or the library reports it; None if it does not."""
        return None

    def profile(self, seconds: float) -> Sequence[Kernel]:
        """Kernels of a step that generates a token, with their shares; called once, after all measurements; empty without a profiler.

        Args:
            seconds: Approximate time limit, s.
        """
        return ()

    def close(self) -> dict[str, Any]:
        """End the server or free the model; facts about its end, such as files left in /dev/shm."""
        return {}
