"""Cells of a case in the tables that people read: quality, ratio to dense, kind of energy and remarks."""

from __future__ import annotations

from harness.frame.rows import Row
from harness.frame.settings import is_text, setting_text, timing_of
from harness.text import NONE, engine_text, number, with_interval

SURE = 0.95
"""Share of resamples from which a case is on the front; below 1 - SURE it is not."""


def quality_text(row: Row) -> str:
    """`0.972 [0.950 0.985]`: both bounds, since Wilson's interval is not symmetric."""
    if row["quality"] is None:
        return NONE
    if row["quality_low"] is None or row["quality_high"] is None:
        return number(row["quality"], 4)
    return f"{row['quality']:.3f} [{row['quality_low']:.3f} {row['quality_high']:.3f}]"


def ratio_text(row: Row, most: int | None = None) -> str:
    """Ratio of the energy to dense with its interval, `1` for dense itself; at most `most` decimals."""
    if row["case_id"] == row["baseline_case_id"] and row["energy_j"] is not None:
        return "1"
    return with_interval(row["energy_vs_baseline"], row["energy_vs_baseline_low"], row["energy_vs_baseline_high"], most)


def case_text(row: Row) -> str:
    """`int8 · litert cpu · batch 32`, and how it was timed where that is not the default; of generated text `q8_0 · openai-server cpu · c4/in16/out48`."""
    timing = "" if is_text(row) else timing_of(row)
    return f"{row['variant']} · {engine_text(row)} {row['device']} · {setting_text(row)}" + (f" · {timing}" if timing else "")


def kind_of(row: Row) -> str:
    """Kind of the energy: `counter`, or `counter, calibrated`."""
    return f"{row['energy_kind']}, calibrated" if row["calibrated"] else str(row["energy_kind"])


def remarks(row: Row) -> str:
    """Failure of a case, or reasons for an invalid energy, whether it is on the front, and its warnings."""
    if row["status"] != "ok":
        return f"{row['status']}: {'; '.join(row['reason'].splitlines())}" if row["reason"] else str(row["status"])
    parts = [failed_launches(row)] if row["failed_repetitions"] else []
    parts += [f"invalid: {row['invalid_reasons'].replace(';', ', ')}"] if row["valid"] is False else []
    if row["p_front"] is not None and row["p_front"] > 1 - SURE:
        parts.append("front" if row["p_front"] >= SURE else f"front {row['p_front']:.0%}")
    if row["warnings"]:
        parts.append(row["warnings"].replace(";", ", "))
    return "; ".join(parts)


def short_remark(row: Row) -> str:
    """One word for the remarks: `invalid`, `front`, `front?`, with `!` for warnings and failed launches."""
    if row["status"] != "ok" or row["valid"] is False:
        return str(row["status"]) if row["status"] != "ok" else "invalid"
    front = "" if row["p_front"] is None or row["p_front"] <= 1 - SURE else "front" if row["p_front"] >= SURE else "front?"
    return f"{front} !".strip() if row["warnings"] or row["failed_repetitions"] else front


def failed_launches(row: Row) -> str:
    """`1 of 3 launches failed`, of a case that completed in the others."""
    return f"{row['failed_repetitions']} of {row['repetitions'] + row['failed_repetitions']} launches failed"
