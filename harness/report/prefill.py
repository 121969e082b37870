"""Energy of prefill and of decode in sentences, from separate cases: answers of a single token, and long answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.frame.rows import Row
from harness.frame.settings import concurrency_text, is_text
from harness.text import Scale, counted, engine_text, number

LONG = 8
"""Output tokens per input token from which the energy of a case is mostly that of decode."""
HEADING = (
    "Prefill is from cases whose answers have a single token, so it includes that token's step; decode is from cases with at least "
    f"{LONG} output tokens per input token, so it includes their short prompts. Each has its own interval over launches; neither is computed from the other."
)


def prefill_lines(rows: Sequence[Row]) -> list[str]:
    """One sentence for each variant, place and load with an energy of prefill, or with both; empty without a case of prefill."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if is_text(row) and row["energy_j"] is not None:
            key = (
                row["environment_id"],
                row["model"],
                row["variant"],
                engine_text(row),
                row["device"],
                row["threads"],
                concurrency_text(row),
            )
            groups.setdefault(key, []).append(row)
    several = len({row["model"] for row in rows}) > 1
    return [_sentence(own, several) for own in groups.values() if any(row["prefill_j_per_input_token"] is not None for row in own)]


def _sentence(rows: Sequence[Row], several: bool) -> str:
    first = rows[0]
    model = f"{first['model']}: " if several else ""
    place = f"{first['device']}, {concurrency_text(first)}, {counted(first['threads'], 'thread')}"
    name = f"{model}{first['variant']} on {engine_text(first)} ({place})"
    prefill = [_prefill(row) for row in rows if row["prefill_j_per_input_token"] is not None]
    decode = [_decode(row) for row in rows if _answers_are_long(row)]
    return f"{name}: {'; '.join([*prefill, *(decode or ['decode: no case with long answers'])])}"


def _answers_are_long(row: Row) -> bool:
    return row["input_tokens"] is not None and row["output_tokens"] >= LONG * row["input_tokens"]


def _prefill(row: Row) -> str:
    columns = [row[f"prefill{end}_j_per_input_token"] for end in ("", "_low", "_high")]
    scale = Scale(columns[:1], "J")
    return f"prefill {scale.text(*columns)} {scale.unit} per input token, {row['energy_kind']} ({number(row['input_tokens'])} input tokens a request)"


def _decode(row: Row) -> str:
    scale = Scale([row["energy_j"]], "J")
    energy = scale.text(row["energy_j"], row["energy_low_j"], row["energy_high_j"])
    lengths = f"{number(row['input_tokens'])} input and {number(row['output_tokens'])} output tokens a request"
    return f"decode {energy} {scale.unit} per output token, {row['energy_kind']} ({lengths})"
