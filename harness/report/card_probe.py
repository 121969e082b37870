"""Text of the probe of a card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.sensors.card_probe import CardProbe, LoadLevel, Square

NAMES = {"counter": "energy counter", "instant": "power, instantaneous", "average": "power, mean of 1 s"}


def probe_lines(probe: CardProbe) -> list[str]:
    """Lines of a probe: verdicts, call times, loads, and what is not available."""
    sections = {
        f"{probe.name}, {probe.uuid}": list(_facts(probe)),
        "Readings": _table(_reading_rows(probe)),
        "Call times (median / 99th percentile)": _table(_call_rows(probe)),
        "Load levels": _table([{"on": f"{row.share:.0%}", **_level_row(row)} for row in probe.levels]),
        "Periodic loads, on for half of the time": _table(
            [{"period": f"{row.period_s * 1e3:.0f} ms", "phase": f"{row.shift_s * 1e3:.0f} ms", **_level_row(row)} for row in probe.squares]
        ),
        "Not available": [line for what, why in probe.unavailable.items() for line in _unavailable(what, why)],
    }
    return [line for title, lines in sections.items() if lines for line in (title, *(f"  {line}" for line in lines), "")]


def verdict(seen: bool | None) -> str:
    """Whether a reading covers all of a periodic load, as a word."""
    return "unknown" if seen is None else "yes" if seen else "no"


def _facts(probe: CardProbe) -> Iterator[str]:
    yield f"driver {probe.driver}, probed {probe.probed_utc}, load: {probe.engine or 'none'}"
    idle = [f"{_watts(watts)} {state.replace('_', ' ')}" for state, watts in probe.idle_w.items()]
    yield f"power of the idle card: {', '.join(idle)}"
    pids = {
        "visible": "ids of this system",
        "hidden": "ids of the host, which do not exist here (container)",
        "not listed": "the loaded process is not listed",
    }
    yield f"processes on the card: {pids.get(probe.pids or '', 'unknown')}"
    for name, seen in probe.sees_all.items():
        if seen is False:
            effect = "later runs shift the phase of the load" if name == "counter" else "it does not replace the counter"
            yield f"the {NAMES[name]} misses part of a periodic load (up to {probe.spreads[name]:.0%}): {effect}"


def _reading_rows(probe: CardProbe) -> list[dict[str, Any]]:
    periods = {"counter": probe.tick_period_s, **probe.update_periods_s}
    return [
        {
            "reading": label,
            "update period": _ms(periods.get(name)),
            "sees all of a periodic load": verdict(probe.sees_all.get(name)),
            "spread": None if probe.spreads.get(name) is None else f"{probe.spreads[name]:.1%}",
        }
        for name, label in NAMES.items()
    ]


def _call_rows(probe: CardProbe) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for times in probe.calls.values() for name in times)
    rows = []
    for name in names:
        row: dict[str, Any] = {"call": name}
        for state, times in probe.calls.items():
            spent = times.get(name)
            row[state] = f"{_ms(spent.p50_s)} / {_ms(spent.p99_s)}" if spent else "not supported"
        rows.append(row)
    return rows


def _level_row(row: LoadLevel | Square) -> dict[str, Any]:
    return {
        "counter": _watts(row.counter_w),
        "instantaneous": _watts(row.instant_w),
        "mean of 1 s": _watts(row.average_w),
    }


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    from tabulate import tabulate

    return str(tabulate(rows, headers="keys", missingval="-", disable_numparse=True)).splitlines() if rows else []


def _unavailable(what: str, why: str) -> Iterator[str]:
    reason, _, step = why.partition("\n")
    yield f"{what}: {reason}"
    yield from (f"  -> {line}" for line in step.splitlines())


def _ms(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds * 1e3:.3g} ms"


def _watts(watts: float | None) -> str:
    return "-" if watts is None else f"{watts:.4g} W"
