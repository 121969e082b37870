"""Greedy generation for a batch, one token a sequence and step, by the forward pass of a transformers model and its caches.

prompts, padded on the left   [ . . a b c ]   start: one forward pass over them, the first token of each
                              [ d e f g h ]   step: one forward pass over the last tokens, the next token of each
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

from harness.errors import EngineError

SAME = 0.3
"""Relative difference of logits up to which a compiled step gives those of an eager one: rounding gives up to 0.03, wrong code more than 1."""
ROUNDED_TO = 32
"""Static caches have a length that is a multiple of this, in tokens."""


class Decoder(Protocol):
    """Generation for one batch after the other; each call returns when the device is done."""

    def start(self, rows: Sequence[Sequence[int]], new_tokens: int) -> None:
        """Process the prompts of a batch, and choose the first token of each.

        Args:
            rows: Tokens of each prompt.
            new_tokens: Largest number of tokens to generate, the first one included.
        """

    def step(self) -> None:
        """Choose the next token of each sequence."""

    def chosen(self) -> tuple[list[int], list[float]]:
        """The last token of each sequence, and the natural logarithm of its probability."""


class TransformersDecoder:
    """A `Decoder` of a model of transformers.

    Args:
        torch: The package.
        transformers: The package.
        model: A causal language model on its device.
        length: Length of the static cache for the expected load, in tokens; None for a cache that grows.
        compiled: Whether the forward pass of `step` is compiled.

    Attributes:
        longest: Longest static cache so far, in tokens; None if the cache grows.
    """

    def __init__(self, torch: Any, transformers: Any, model: Any, length: int | None, *, compiled: bool = False) -> None:
        self._torch, self._transformers, self._model, self._length = torch, transformers, model, length
        parameters = inspect.signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"  # the older name
        self._positioned = "position_ids" in parameters
        self._arguments = {"use_cache": True, **({"logits_to_keep": 1} if "logits_to_keep" in parameters else {})}
        self._forward = self._compiled() if compiled else model.__call__
        eos = model.generation_config.eos_token_id
        ends = [] if eos is None else eos if isinstance(eos, list) else [eos]
        self._eos = torch.tensor(ends, dtype=torch.long, device=model.device)
        self._static: tuple[int, int, Any] | None = None
        self.longest = length
        self._cache: Any = None
        self._tokens: Any = None
        self._logits: Any = None
        self._mask: Any = None
        self._positions: Any = None
        self._width = 0

    def _compiled(self) -> Any:
        """The model's own compiled call (CUDA graphs on a card), with static shapes: a further shape gets a further graph.

        Beyond a number of graphs TorchDynamo would go on without compiling; this is made an error.
        """
        self._torch._dynamo.config.fail_on_recompile_limit_hit = True
        utils = self._torch._dynamo.utils
        utils.counters.clear()
        utils.clear_compilation_metrics()
        return self._model.get_compiled_call(self._transformers.CompileConfig(dynamic=False))

    @property
    def cache(self) -> str:
        """Class of the cache."""
        return type(self._cache).__name__

    @property
    def capacity(self) -> int | None:
        """Length of the static cache in tokens; None if the cache grows."""
        return self._static[1] if self._static else self._length

    @property
    def planned(self) -> int | None:
        """Length of the static cache for the expected load, in tokens; None if the cache grows."""
        return self._length

    def start(self, rows: Sequence[Sequence[int]], new_tokens: int) -> None:
        """Process the prompts of a batch, and choose the first token of each."""
        torch, width = self._torch, max(map(len, rows))
        ids, mask = torch.zeros(len(rows), width, dtype=torch.long), torch.ones(len(rows), width + new_tokens, dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, width - len(row) :] = torch.tensor(row, dtype=torch.long)
            mask[index, : width - len(row)] = 0
        positions = (mask[:, :width].cumsum(-1) - 1).clamp(min=0)
        self._width, self._mask = width, mask.to(self._model.device)
        self._positions = positions[:, -1:].to(self._model.device)
        with torch.no_grad():
            self._cache = self._new_cache(len(rows), width + new_tokens)
            self._advance(self._model.__call__, ids.to(self._model.device), positions.to(self._model.device), is_first_iteration=True)

    def step(self) -> None:
        """Choose the next token of each sequence."""
        self._step(self._forward)

    def _step(self, forward: Any) -> None:
        with self._torch.no_grad():
            self._width, self._positions = self._width + 1, self._positions + 1
            self._advance(forward, self._tokens, self._positions, next_sequence_length=1)

    def check_compiled(self, slots: int) -> float:
        """Compile the step for a batch, and check that it gives the logits of the eager one.

        torchao's int8_dynamic gives others for a single sequence on a CPU (torch 2.11, torchao 0.18).

        Args:
            slots: Number of sequences.

        Returns:
            Their difference, relative to the norm of the eager ones.

        Raises:
            EngineError: They differ by more than rounding.
        """
        size = self._model.get_input_embeddings().num_embeddings
        rows = [[(3 + 7 * slot + 5 * position) % size for position in range(8)] for slot in range(slots)]
        logits = []
        for forward in (self._forward, self._forward, self._forward, self._model.__call__):  # CUDA graphs are replayed from the third on
            self.start(rows, 2)
            self._step(forward)
            logits.append(self._logits)
        *_, compiled, eager = logits
        difference = float((compiled - eager).norm() / eager.norm())
        if not difference <= SAME:
            raise EngineError(
                f"the compiled decoding step gives other logits than the eager one (relative difference {difference:.2f})",
                "use `mode: eager`, another type, or another `concurrency`: this is an error of the compiler or of torchao",
                refused=True,
            )
        return difference

    def chosen(self) -> tuple[list[int], list[float]]:
        """The last token of each sequence, and the natural logarithm of its probability."""
        logprobs = self._torch.log_softmax(self._logits, dim=-1).gather(1, self._tokens)
        return self._tokens[:, 0].tolist(), logprobs[:, 0].tolist()

    def _advance(self, forward: Any, ids: Any, positions: Any, **iteration: Any) -> None:
        """One forward pass; the most probable token of each sequence that does not end its text."""
        inputs = self._model.prepare_inputs_for_generation(
            ids,
            attention_mask=self._mask[:, : self._width],
            **{self._cache_name: self._cache},
            **({"position_ids": positions} if self._positioned else {}),
            **self._arguments,
            **iteration,
        )
        logits = forward(**inputs, return_dict=True).logits[:, -1]
        self._logits = logits.to(copy=True, dtype=self._torch.float32)  # a CUDA graph reuses the memory of its results
        self._tokens = self._logits.index_fill(1, self._eos, float("-inf")).argmax(-1, keepdim=True)
        if self._tokens.is_cuda:
            self._torch.cuda.synchronize()

    def _new_cache(self, batch: int, tokens: int) -> Any:
        """An empty cache for a batch; the static one is kept, so that a compiled step finds its tensors where they were."""
        if self._length is None:
            return self._transformers.DynamicCache(config=self._model.config)
        capacity = self._length
        while capacity < tokens:
            capacity *= 2
        self.longest = max(capacity, self.longest or 0)
        if self._static and self._static[:2] == (batch, capacity):
            self._static[2].reset()
        else:
            self._static = (batch, capacity, self._transformers.StaticCache(config=self._model.config, max_cache_len=capacity))
        return self._static[2]

    def compilation(self) -> dict[str, int]:
        """Graph breaks, and compilations after the first of a function, as TorchDynamo counts them since the decoder was made."""
        utils = self._torch._dynamo.utils
        compilations = utils.get_compilation_metrics()
        return {
            "graphs": int(utils.counters["stats"]["unique_graphs"]),
            "graph_breaks": sum(utils.counters["graph_break"].values()),
            "recompilations": sum(bool(each.recompile_reason) for each in compilations),
        }


def rounded(tokens: float) -> int:
    """Length of a static cache for this many tokens."""
    return -(-int(tokens) // ROUNDED_TO) * ROUNDED_TO
