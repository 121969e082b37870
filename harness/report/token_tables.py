"""Cells of the tables of generated text: energy next to lengths and concurrency, and latencies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from harness.frame.rows import Row
from harness.frame.settings import concurrency_text, lengths_text
from harness.frame.token_columns import LATENCIES
from harness.report.cells import kind_of, quality_text, ratio_text, remarks, short_remark
from harness.report.units import scale
from harness.text import NONE, Scale, engine_text, number

IDENTITY = ("run", "host", "model", "variant", "engine", "device", "load", "threads")
ENERGY = (
    "quality",
    "energy",
    "vs dense",
    "kind",
    "per 1,000",
    "input",
    "output",
    "concurrency",
    "tokens/s",
    "requests/s",
    "goodput/s",
    "remarks",
)
BRIEF = (
    "model",
    "variant",
    "engine",
    "load",
    "threads",
    "quality",
    "TTFT",
    "TPOT",
    "tokens/s",
    "energy",
    "vs dense",
    "kind",
    "in/out",
    "conc.",
    "remarks",
)
"""Columns of a narrow table; mean lengths and concurrency are never left out, since an energy per token means nothing without them."""
SHARED = ("run", "host", "model", "device", "threads")
"""Columns that are left out if all cases have one value."""
NAMES = {"ttft": "TTFT", "tpot": "TPOT", "itl": "inter-token", "e2e": "end to end"}
"""Short names of the latencies."""
Cells = tuple[list[str], list[list[str]]]


def energy_cells(rows: Sequence[Row], *, marks: bool = False, units: Collection[str] = ()) -> Cells:
    """Headings and cells of the energy of each case with lengths, concurrency, rates and quality.

    Args:
        rows: Rows of `cases` of generated text.
        marks: One word as remarks, no column for a single kind of energy, and short loads.
        units: Names out of `UNITS`.
    """
    energy = scale((row["energy_j"] for row in rows), "J", units, "output_token")
    kinds = {row["energy_kind"] for row in rows if row["energy_j"] is not None}
    cells = [
        _identity(row) | _figures(row, energy) | {"kind": kind_of(row), "remarks": (short_remark if marks else remarks)(row)}
        for row in rows
    ]
    if marks:
        cells = _short_loads(rows, cells)
    left_out = _same(cells) | ({"kind"} if marks and len(kinds) == 1 else set()) | _empty(cells, ("goodput/s", "input"))
    headings = {
        "quality": _quality_heading(rows),
        "energy": _per_token(energy),
        "vs dense": "energy vs dense",
        "per 1,000": "Wh / 1,000 requests",
        "input": "input tokens",
        "output": "output tokens",
    }
    return _chosen((*IDENTITY, *ENERGY), cells, left_out, headings)


def latency_cells(rows: Sequence[Row], units: Collection[str] = ()) -> Cells:
    """Headings and cells of the latencies of each case; without percentiles that no case has.

    Args:
        rows: Rows of `cases` of generated text.
        units: Names out of `UNITS`.
    """
    cells, headings = list(map(_identity, rows)), {}
    for stem, name in NAMES.items():
        time = scale((row[f"{stem}_p50_s"] for row in rows), "s", units)
        for p in ("p50", "p90", "p99"):
            column = f"{stem} {p}"
            headings[column] = f"{name} {p}, {time.unit}"
            for row, cell in zip(rows, cells, strict=True):
                cell[column] = time.text(*(row[f"{stem}_{p}{end}_s"] for end in ("", "_low", "_high")))
    return _chosen((*IDENTITY, *headings), cells, _same(cells) | _empty(cells, headings), headings)


def brief_cells(rows: Sequence[Row], without: Collection[str] = ()) -> Cells:
    """Headings and cells of a table for a terminal.

    Args:
        rows: Rows of `cases` of generated text.
        without: Columns to leave out.
    """
    energy = Scale((row["energy_j"] for row in rows), "J")
    times = {stem: Scale((row[f"{stem}_p50_s"] for row in rows), "s") for stem in LATENCIES}
    kinds = {row["energy_kind"] for row in rows if row["energy_j"] is not None}
    cells = []
    for row in rows:
        cell = _identity(row) | _figures(row, energy)
        cell |= {NAMES[stem]: time.text(*(row[f"{stem}_p50{end}_s"] for end in ("", "_low", "_high"))) for stem, time in times.items()}
        cell |= {"in/out": f"{cell['input']}/{cell['output']}", "conc.": cell["concurrency"], "vs dense": ratio_text(row, 3)}
        cells.append(cell | {"kind": kind_of(row), "remarks": short_remark(row)})
    cells = _short_loads(rows, cells)
    if len({cell["device"] for cell in cells}) > 1:
        cells = [cell | {"engine": f"{cell['engine']} {cell['device']}".removesuffix(" cpu")} for cell in cells]
    kind = f"{next(iter(kinds))}\n" if len(kinds) == 1 else ""
    headings = {
        "quality": _quality_heading(rows).replace(" (", "\n("),
        "energy": f"{kind}{energy.unit}/tok.",
        "vs dense": "vs\ndense",
        **{NAMES[stem]: f"{NAMES[stem]}\np50, {time.unit}" for stem, time in times.items()},
    }
    left_out = {*without, *_same(cells), *({"kind"} if len(kinds) == 1 else ())}
    left_out |= {"engine"} if len({cell["engine"] for cell in cells}) == 1 else set()  # in the caption
    return _chosen(BRIEF, cells, left_out, headings)


def _short_loads(rows: Sequence[Row], cells: list[dict[str, str]]) -> list[dict[str, str]]:
    """Cells with `c4` instead of `c4/in16/out48` if all cases have the same lengths."""
    if len({lengths_text(row) for row in rows}) > 1:
        return cells
    return [cell | {"load": concurrency_text(row)} for row, cell in zip(rows, cells, strict=True)]


def _chosen(names: Sequence[str], cells: Sequence[Mapping[str, str]], left_out: Collection[str], headings: Mapping[str, str]) -> Cells:
    kept = [name for name in names if name not in left_out]
    return [headings.get(name, name) for name in kept], [[cell[name] for name in kept] for cell in cells]


def _same(cells: Sequence[Mapping[str, str]]) -> set[str]:
    return {name for name in SHARED if len({cell[name] for cell in cells}) <= 1}


def _empty(cells: Sequence[Mapping[str, str]], names: Collection[str]) -> set[str]:
    return {name for name in names if all(cell[name] == NONE for cell in cells)}


def _identity(row: Row) -> dict[str, str]:
    return {
        "run": row["run_id"],
        "host": row["host"] or NONE,
        "engine": engine_text(row),
        **{name: str(row[name]) for name in ("model", "variant", "device", "load", "threads")},
    }


def _figures(row: Row, energy: Scale) -> dict[str, str]:
    return {
        "quality": _quality(row),
        "energy": energy.text(row["energy_j"], row["energy_low_j"], row["energy_high_j"]),
        "vs dense": ratio_text(row),
        "per 1,000": number(row["energy_wh_per_1000_requests"]),
        "input": number(row["input_tokens"]),
        "output": number(row["output_tokens"]),
        "concurrency": number(row["concurrency"]),
        "tokens/s": number(row["throughput_per_s"]),
        "requests/s": number(row["requests_per_s"]),
        "goodput/s": number(row["goodput_per_s"]),
    }


def _quality(row: Row) -> str:
    """`0.750 (0.980)`: agreement with dense, in parentheses the noise floor, which is the agreement of dense with itself."""
    floor = row["agreement_noise_floor"] if row["quality_metric"] == "agreement" else None
    text = f"{row['quality']:.3f}" if row["quality"] is not None and row["quality_low"] is None else quality_text(row)
    return text + (f" ({floor:.3f})" if floor is not None and row["quality"] is not None else "")


def _quality_heading(rows: Sequence[Row]) -> str:
    metrics = {row["quality_metric"] for row in rows if row["quality_metric"]}
    name = next(iter(metrics)) if len(metrics) == 1 else "quality"
    return f"{name} (noise floor)" if any(row["agreement_noise_floor"] is not None for row in rows) else name


def _per_token(energy: Scale) -> str:
    return f"energy, {energy.unit}" if "/" in energy.unit else f"{energy.unit} / output token"
