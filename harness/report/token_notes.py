"""Method notes of generated text: what an energy per output token is, and who counted the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.schema import Header

DEFINITION = (
    "Energy per output token is the gross energy of the window, idle power included, over the output tokens whose arrival is in the window; the "
    "processing of prompts is included, and so are the joules of failed requests, whose tokens do not count. It depends on the lengths and on the "
    "concurrency, which are given next to it as measured; requests of different lengths are never compared with each other."
)
WINDOW = (
    "Each window of generated text is at least {window_s:g} s and {requests} mean request durations, from tick to tick of every counter, with the load "
    "running through both edges; its ramp and drain are outside (ramp_energy_j, drain_energy_j). Up to one step of each request in progress is open at an "
    "edge; this uncertainty of the count is part of the interval."
)
TIMES = (
    "TTFT is the time from the due time of a request to its first text, TPOT (end - first text) / (output tokens - 1) of a request, inter-token "
    "the time between two tokens, where each arrives by itself; end to end is from the due time. Percentiles are over the requests that ended in the "
    "window, p90 of at least 36 and p99 of at least 368, and then means over launches. Where a table of both units has a column latency, of text it is TPOT."
)
OTHERS = (
    "The load generator runs on the same machine and on the same meter; {client}. Host energy (package, dram) is added to that of an accelerator wherever a "
    "sensor reads it: the scope names the domains."
)
AGREEMENT = (
    "Agreement of text is the share of an answer's tokens before the first that differs from dense, on fixed prompts, greedy; in parentheses the noise "
    "floor: dense against a second round of itself at the same concurrency. A lower agreement is another text, not a score of a task."
)
OVER_BOTH = (
    "energy_j_per_total_token divides the same joules by input and output tokens together. It falls as prompts grow although nothing became cheaper: use "
    "it only to compare with others who divide by both."
)


def of_text(header: Header, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Sentences on cases that generate text.

    Args:
        header: Header of the run.
        rows: Rows of `cases` of generated text.
    """
    profile = header.profile
    sentences = [
        DEFINITION,
        WINDOW.format(window_s=profile.token_window_s, requests=profile.token_window_requests),
        TIMES,
        _counted(rows),
        OTHERS.format(client=_client(rows)),
    ]
    if any(row["quality_metric"] == "agreement" for row in rows):
        sentences.append(AGREEMENT)
    if reasons := dict.fromkeys(row["cost_only"] for row in rows if row["cost_only"]):
        sentences.append(
            f"Cost only ({'; '.join(reasons)}): energy and speed are real, but quality and agreement have no meaning for the variant."
        )
    if slo := header.suite.slo:
        limits = (("TTFT", slo.max_ttft_s), ("TPOT", slo.max_tpot_s), ("end to end", slo.max_e2e_s))
        met = ", ".join(f"{name} at most {limit:g} s" for name, limit in limits if limit is not None)
        sentences.append(f"Goodput counts the requests per second that were complete and met every objective: {met}.")
    return sentences


def _counted(rows: Sequence[dict[str, Any]]) -> str:
    """Who counted the tokens, and whether prompts came from a cache."""
    estimated = sum(bool(row["tokens_estimated"]) for row in rows)
    own = "" if estimated == len(rows) else "Tokens are counted as the server or the library reports them while an answer is generated"
    spread = f"the tokens of {estimated} of {len(rows)} cases are known for whole requests only and were spread over their chunks of text (estimated)"
    parts = [own, spread[0].upper() + spread[1:] if estimated and not own else spread if estimated else ""]
    shares = [row["cached_share"] for row in rows]
    cache = (
        "whether prompts came from a cache is not reported in every case"
        if None in shares
        else f"no prompt is sent twice, and at most {max(shares):.1%} of the prompts' tokens came from a cache"
    )
    return f"{'; '.join(filter(None, parts))}; {cache}."


def _client(rows: Sequence[dict[str, Any]]) -> str:
    """CPU of the load generator, at most over the cases."""
    known = [(row["client_cores"], row["client_s_per_token"]) for row in rows if row["client_cores"] is not None]
    if not known:
        return "its CPU time was not measured, or the model ran in the same process"
    cores, seconds = max(known)
    return f"it used at most {cores:.2g} cores" + (f", {seconds * 1e6:.0f} us of CPU a token" if seconds is not None else "")
