"""Selection as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness.analysis.interval import Interval
from harness.analysis.mission import hours
from harness.decide.limits import AT_MOST, OF_TEXT, PERCENTILES
from harness.decide.select import COLUMNS, Selection
from harness.frame.rows import Row
from harness.frame.settings import is_text, timing_of
from harness.report.cells import case_text
from harness.report.limits import LATENCIES, miss_text, name_of
from harness.report.words import words_of
from harness.text import Scale, counted, number, with_interval

KINDS = {
    "modelled": "MODELLED: computed from a model of the machine, not measured",
    "simulated": "SIMULATED: from a test double, not valid for any real machine",
}
MAX_LISTED = 12
"""Maximum number of cases printed in a list."""


def selection_lines(
    selection: Selection, battery_wh: float | None = None, drawn_w: Interval | None = None, missed: tuple[Interval, int] | None = None
) -> list[str]:
    """Request, choice, runner-up, lead, sensitivity to the weight and rejected cases; then battery and deadlines.

    Args:
        selection: The selection.
        battery_wh: Energy of a battery in watt-hours; None: no battery.
        drawn_w: Mean power of the choice in watts at the requested rate, without one at its throughput; None if unknown.
        missed: Share of deadlines that the choice missed, and the number of queries.
    """
    text = [
        *_request(selection),
        *(_answer(selection) if selection.best else _no_answer(selection)),
        *_rejected(selection),
        *_excluded(selection),
    ]
    if selection.best and battery_wh is not None:
        text.append(f"battery    {_battery(selection.best, battery_wh, selection.limits.rate_per_s, drawn_w)}")
    if selection.best and selection.limits.rate_per_s and (missed or is_text(selection.best)):
        text.append(f"deadlines  {_deadlines(selection.best, selection.limits.rate_per_s, missed)}")
    return text


def _name(row: Row) -> str:
    tail = "" if row["scenario"] == "single_stream" or is_text(row) else f" · {row['scenario']}"
    return f"{case_text(row)} · {counted(row['threads'], 'thread')}{tail}"


def _request(selection: Selection) -> Iterator[str]:
    first = (selection.rows or selection.out)[0]
    timing = timing_of(first)
    yield f"{first['model']} on {first['host'] or 'an unknown machine'}" + (f", {timing}" if timing else "")
    if selection.rows and (kind := KINDS.get(first["energy_kind"])):
        yield f"energy is {kind}"
    n = "MACs" if selection.compute == "macs" else f"{_compute(selection, first)} p50"
    yield (
        f"minimise {selection.weights.share:.2g} * {n} + {1 - selection.weights.share:.2g} * energy"
        + (f", both relative to {_name(selection.dense)}," if selection.dense else "")
        + " among cases that satisfy all constraints at 95 % confidence"
    )
    yield f"subject to {_limits(selection, first)}"
    if lower := [
        f"{LATENCIES[OF_TEXT[name]]} {p}"
        for name, p in selection.percentiles.items()
        if p != PERCENTILES[0] and getattr(selection.limits, name)
    ]:
        yield f"{', '.join(lower)}: the highest percentile that every case has (p99 needs 368 requests in each launch, p90 36); use a longer profile"


def _limits(selection: Selection, first: Row) -> str:
    limits, direction = selection.limits, first["quality_direction"]
    parts = ["quality non-inferior to dense within the suite's margin, on the same samples (one-sided 95 %)"]
    if limits.quality is not None:
        side, sign = ("upper", "<=") if direction == "lower" else ("lower", ">=")
        parts = [f"quality ({side} 95 % bound) {sign} {limits.quality:g}"]
    for field in AT_MOST:
        if (value := getattr(limits, field)) is not None:
            name, unit = name_of(field, first)
            scale = Scale([value], unit)
            parts.append(f"{name}{'' if unit == 'B' else ' (upper 95 % bound)'} <= {number(scale(value))} {scale.unit}")
    for field, percentile in selection.percentiles.items():
        if (value := getattr(limits, field)) is not None:
            scale = Scale([value], "s")
            parts.append(f"{LATENCIES[OF_TEXT[field]]} {percentile} (upper 95 % bound) <= {number(scale(value))} {scale.unit}")
    unit = " output tokens/s" if is_text(first) else "/s"
    return ", ".join([*parts, *([f"throughput (lower 95 % bound) >= {number(limits.rate_per_s)}{unit}"] if limits.rate_per_s else [])])


def _answer(selection: Selection) -> Iterator[str]:
    choice = selection.choice
    assert choice and choice.best is not None
    yield f"choice     {_scored(selection, choice.best)}"
    yield f"           {_figures(selection.rows[choice.best])}"
    if choice.runner_up is None:
        yield "runner-up  none: no other case satisfies all constraints"
        return
    yield f"runner-up  {_scored(selection, choice.runner_up)}"
    yield f"           {_figures(selection.rows[choice.runner_up])}"
    lead = selection.leads[choice.runner_up]
    ratio = f"{number(lead.value)}" + ("" if np.isnan(lead.low) else f" [{number(lead.low)}, {number(lead.high)}]")
    rest = selection.unseparated
    if not rest and not np.isnan(lead.low):
        yield f"lead       {ratio}: separated from every other case that satisfies the constraints"
    else:
        names = "; ".join(_name(selection.rows[i]) for i in rest[:MAX_LISTED]) + (
            f" and {len(rest) - MAX_LISTED} more" if len(rest) > MAX_LISTED else ""
        )
        yield f"lead       {ratio}: NOT SEPARATED from {names or 'the others: the spread of a single launch is unknown'}"
    yield f"changes    {_changes(selection)}"


def _scored(selection: Selection, i: int) -> str:
    assert selection.choice and selection.dense
    row, column = selection.rows[i], COLUMNS[selection.compute]
    n = "?" if row[column] is None else number(row[column] / selection.dense[column])
    return f"{_name(row)}: score {number(selection.choice.scores[i])} ({_compute(selection, row)} {n}, energy {number(row['energy_j'] / selection.dense['energy_j'])} of dense)"


def _compute(selection: Selection, row: Row) -> str:
    """Name of the cost: latency, TPOT, TTFT, end to end or macs."""
    return words_of(row).latency if selection.compute == "latency" else LATENCIES.get(selection.compute, selection.compute)


def _figures(row: Row) -> str:
    energy, time = Scale([row["energy_j"]], "J"), Scale([row["latency_p50_s"], row["latency_p99_s"]], "s")
    quality = (
        f"{row['quality_metric']} {with_interval(row['quality'], row['quality_low'], row['quality_high'])}"
        if row["quality"] is not None
        else "quality not measured"
    )
    latency = time.text(row["latency_p50_s"], row["latency_p50_low_s"], row["latency_p50_high_s"])
    per = " per output token" if is_text(row) else ""
    parts = [
        f"energy {energy.text(row['energy_j'], row['energy_low_j'], row['energy_high_j'])} {energy.unit}{per}, {row['energy_kind']} ({row['energy_scope']})",
        quality,
        f"{words_of(row).latency} p50 {latency}, p99 {number(time(row['latency_p99_s']))} {time.unit}",
        *(_of_text(row) if is_text(row) else ()),
        f"peak memory {_bytes(row['peak_memory_bytes'])}",
    ]
    return "; ".join(parts + ([f"peak device memory {_bytes(row['peak_device_memory_bytes'])}"] if row["peak_device_memory_bytes"] else []))


def _of_text(row: Row) -> Iterator[str]:
    """Lengths and concurrency, without which an energy per token means nothing, the other latencies and the rate of requests."""
    yield f"{number(row['input_tokens'])} input and {number(row['output_tokens'])} output tokens a request, concurrency {number(row['concurrency'])}"
    for stem, name in (("ttft", "TTFT"), ("e2e", "end to end")):
        time = Scale([row[f"{stem}_p50_s"]], "s")
        yield f"{name} p50 {time.text(*(row[f'{stem}_p50{end}_s'] for end in ('', '_low', '_high')))} {time.unit}"
    goodput = f", goodput {number(row['goodput_per_s'])}/s" if row["goodput_per_s"] is not None else ""
    yield f"{number(row['requests_per_s'])} requests/s{goodput}"
    if row["cost_only"]:
        yield f"cost only: {row['cost_only']}"


def _bytes(count: int | None) -> str:
    scale = Scale([count], "B")
    return f"{number(scale(count))} {scale.unit}"


def _changes(selection: Selection) -> str:
    assert selection.choice
    n = "MACs" if selection.compute == "macs" else _compute(selection, selection.rows[0])
    parts = [
        f"if the weight of {n} is {word} {change.share:.2g}: {_name(selection.rows[change.index])}"
        for word, change in (("below", selection.choice.below), ("above", selection.choice.above))
        if change
    ]
    return "; ".join(parts) or "none: the choice is the best at every weight"


def _no_answer(selection: Selection) -> Iterator[str]:
    if not selection.rows:
        yield "choice     none: no case has a valid energy"
    elif selection.dense is None:
        yield f"choice     none: no dense case has both its energy and its {_compute(selection, selection.rows[0])}: scores need it as reference"
    else:
        yield "choice     none: no case satisfies all constraints at 95 % confidence"
    if selection.nearest is not None and selection.missed[selection.nearest]:
        row = selection.rows[selection.nearest]
        yield f"nearest    {_name(row)}: {_misses(selection, selection.nearest)}"
        yield f"           {_figures(row)}"


def _rejected(selection: Selection) -> Iterator[str]:
    rejected = selection.choice.refused if selection.choice else ()
    if rejected:
        yield "rejected, with a better score:" if selection.best else "rejected, best score first:"
    for i in rejected[:MAX_LISTED]:
        assert selection.choice
        yield f"  {number(selection.choice.scores[i])}  {_name(selection.rows[i])}: {_misses(selection, i)}"
    yield from _more(rejected)


def _excluded(selection: Selection) -> Iterator[str]:
    if selection.out:
        yield "excluded:"
    for row in selection.out[:MAX_LISTED]:
        yield f"  {_name(row)}: {_cause(row)}"
    yield from _more(selection.out)


def _more(listed: Sequence[object]) -> list[str]:
    return [f"  and {len(listed) - MAX_LISTED} more"] if len(listed) > MAX_LISTED else []


def _misses(selection: Selection, i: int) -> str:
    """Constraints that a row does not satisfy."""
    return "; ".join(miss_text(selection.rows[i], miss) for miss in selection.missed[i])


def _cause(row: Row) -> str:
    if row["status"] != "ok":
        return f"{row['status']}: {row['reason'] or 'no reason was recorded'}"
    return f"invalid: {(row['invalid_reasons'] or 'reason not recorded').replace(';', ', ')}" if not row["valid"] else "no energy"


def _battery(row: Row, battery_wh: float, rate_per_s: float | None, drawn_w: Interval | None) -> str:
    if drawn_w is None:
        return "its throughput is unknown"
    watts, low_w, high_w = (None if np.isnan(w) else w for w in drawn_w)
    span, shortest, longest = (None if w is None else hours(battery_wh, w) for w in (watts, high_w, low_w))
    kind = f", {row['energy_kind']}" if row["energy_kind"] in KINDS else ""
    rate, unit = number(rate_per_s or row["throughput_per_s"]), words_of(row).many
    if row["idle_w"] is None and rate_per_s:  # the idle power adds to it
        most = number(longest or span)
        return f"at most {most} h of {battery_wh:g} Wh at {rate} {unit}/s: idle power not measured{kind}"
    return (
        f"{with_interval(span, shortest, longest)} h of {battery_wh:g} Wh at {rate} {unit}/s: {with_interval(watts, low_w, high_w)} W of {row['energy_scope']} only{kind}"
        + ("" if row["energy_abs_low_j"] is not None or shortest is None else "; the interval covers repeatability only")
    )


def _deadlines(row: Row, rate_per_s: float, missed: tuple[Interval, int] | None) -> str:
    if missed is None:
        return "not computed for generated text: limit its latencies with --max-ttft, --max-tpot and --max-e2e"
    share, queries = missed
    deadline_s = row["batch_size"] / rate_per_s
    scale = Scale([deadline_s], "s")
    every = f"{number(scale(deadline_s))} {scale.unit}"
    if not queries:
        return f"the completion times of its queries were not stored: the share above {every} is unknown"
    if share.value == 0:
        return f"none of {queries:,} queries took longer than {every}: less than {number(100 * share.high, 2)} % do (95 % confidence, independent queries)"
    value, low, high = (f"{number(100 * each, 2)} %" for each in share)
    bounds = "" if np.isnan(share.low) else f" [{low}, {high}] over launches"
    return f"{value}{bounds} of {queries:,} queries took longer than {every}; measured in a closed loop, without queueing"
