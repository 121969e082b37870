"""Method notes of a table: how its figures were measured, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.frame.quality import FLOAT32_TOLERANCE, LEAST_AGREEMENT
from harness.frame.settings import by_unit
from harness.report.cells import remarks
from harness.report.tables import caption
from harness.report.token_notes import of_text
from harness.schema import OBJECTIVES, Header, Objective, Profile, StoredRun
from harness.text import Scale, estimate_text, number

MODELLED = "Modelled energy is computed from a model of the machine's power, not measured: independent tests found errors of up to 40 %."
SIMULATED = "Simulated energy comes from a test double: it is not valid for any real machine."


def notes(stored: Sequence[StoredRun], rows: Sequence[dict[str, Any]]) -> list[str]:
    """Method notes of a table: n, scope, interval, sensors, caps, versions, and modelled, simulated or calibrated energies.

    Returns:
        The sentences shared by all runs once, then those of single runs with the name of the run.
    """
    texts = {run.header.run_id: _of_run(run, [row for row in rows if row["run_id"] == run.header.run_id]) for run in stored}
    shared = [text for text in dict.fromkeys(s for each in texts.values() for s in each) if all(text in each for each in texts.values())]
    named = {name: [text for text in each if text not in shared] for name, each in texts.items()}
    own = [text if text.startswith(f"Run {name},") else f"{name}: {text}" for name, each in named.items() for text in each]
    return [caption(rows), *shared, *own]


def short_notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Notes for below a table in a paper, at most six lines across two columns; the remaining text is in `notes`."""
    counts = sorted({row["repetitions"] for row in rows if row["repetitions"]})
    launches = f", {'-'.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} launches each" if counts else ""
    kinds = {row["energy_kind"] for row in rows}
    return [
        caption(rows),
        f"n = {len(rows)} cases{launches}.",
        *([MODELLED] if "modelled" in kinds else []),
        *([SIMULATED] if "simulated" in kinds else []),
    ]


MARKS = "front: Pareto-optimal in at least 95 % of bootstrap resamples; front?: in 5 to 95 %; !: with warnings."
"""Explanation of the remarks in a table for a paper."""


def remarked(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Failures, reasons and warnings of the cases, one sentence per case."""
    several = len({row["run_id"] for row in rows}) > 1
    texts = [(row, remarks(row)) for row in rows]
    return [f"{row['run_id'] + ': ' if several else ''}{row['case_id']}: {text}." for row, text in texts if text not in ("", "front")]


def _of_run(run: StoredRun, rows: Sequence[dict[str, Any]]) -> list[str]:
    header = run.header
    failed = sum(row["status"] != "ok" for row in rows)
    invalid = sum(row["valid"] is False for row in rows)
    missing = [f"{failed} did not complete"] if failed else []
    missing += [f"{invalid} have no valid energy"] if invalid else []
    return [
        f"Run {header.run_id}, started {header.started_utc}, suite {header.suite.name} ({header.suite.sha256[:12]}), n = {len(rows)} cases"
        + (f", of which {' and '.join(missing)}" if missing else "")
        + ".",
        *method(header, rows),
        *(f"{name}: {value}." for name, value in machine(header)),
        *(f"Not included: {problem}." for problem in run.problems),
    ]


def machine(header: Header) -> list[tuple[str, str]]:
    """Machine, sensors and software of the run, as (name, value)."""
    facts: list[tuple[str, str]] = []
    for box in header.environments:
        cores = f"{box.cpu_count} CPUs" + (f" on {box.cpu_count_physical} cores" if box.cpu_count_physical else "")
        cores += f", of which {box.cpu_limit:g} are available" if box.cpu_limit else ""
        facts += [
            ("host", box.host),
            ("processor", f"{box.cpu}, {cores}, {box.memory_bytes / 2**30:.1f} GiB"),
            ("system", ", ".join(filter(None, [box.os, box.kernel, f"virtual: {box.virtual}" if box.virtual else None]))),
            ("governor, turbo", f"{box.governor or 'unknown'}, {'unknown' if box.turbo is None else 'on' if box.turbo else 'off'}"),
            ("versions", ", ".join([f"Python {box.python}", *(f"{name} {version}" for name, version in sorted(box.versions.items()))])),
        ]
    facts.append(("harness", f"{header.harness_version}, commit {header.commit or 'unknown'}"))
    facts += [(d.name, _domain(d.sensor, d.kind, d.update_period_s, d.limit_w, d.gain)) for d in header.domains if d.kind]
    facts += [("measuring overhead", _cost(header.probe["sampler"]))] if header.probe.get("sampler") else []
    return facts + [(f"{sensor} (not read)", reason.partition("\n")[0]) for sensor, reason in header.unavailable.items()]


def _domain(sensor: str, kind: str | None, period_s: float | None, limit_w: float | None, gain: float | None) -> str:
    cap = f", capped at {number(limit_w)} W" if limit_w else ""
    period = f", updated every {Scale([period_s], 's').text(period_s)} {Scale([period_s], 's').unit}" if period_s else ""
    return f"{kind}, read by {sensor}{period}{cap}" + (f", gain uncertainty {gain:.1%}" if gain is not None else ", gain unknown")


def _cost(shares: Mapping[str, float | None]) -> str:
    """CPU time used by the sampler itself, as measured before the first case."""
    places = [
        ("slow_share", "between the edges of a window"),
        ("edge_share", "at an edge"),
        ("window_share", "in a whole window of the null engine"),
    ]
    parts = [f"{share:.2%} {where}" for name, where in places if (share := shares.get(name)) is not None]
    return f"the sampler's share of one core: {', '.join(parts)}"


def method(header: Header, rows: Sequence[dict[str, Any]], objectives: Sequence[Objective] = OBJECTIVES) -> list[str]:
    """How the figures were measured and what the intervals mean, one sentence each."""
    profile, grid = header.profile, header.grid
    counts = sorted({row["repetitions"] for row in rows if row["repetitions"]})
    launches = "none completed" if not counts else str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if not profile.half_width:
        target = "a fixed number"
    elif header.suite.stopping == "open_pairs":
        target = "repeated until it was decided whether they are on the front"
    else:
        target = f"until the half-width of the interval is {profile.half_width:.0%}, at most {profile.cap}"
    quantile = "t(.9825), since a stopping rule was used" if profile.half_width else "t(.975)"
    queries, text = by_unit(rows)
    sentences = [
        f"Profile {profile.name}: launches (independent processes) per case ({target}; here {launches}), in blocks of random order, seed {header.seed}.",
        *(_of_queries(profile) if queries or not text else []),
        *(of_text(header, text) if text else []),
        f"± is the half-width of the 95 % repeatability interval over launches, {quantile}: it compares cases on this sensor. An interval wider than half "
        "of its value is computed on the log scale and given by its bounds. "
        "energy_abs_low_j and energy_abs_high_j in the data include the gain uncertainty of the sensor, for comparison with other machines; modelled energies have none.",
        'The interval of a quality is over test samples. "vs dense" is the ratio to the dense case of the same engine, device, batch, threads, scenario, copies and queries in flight'
        f"{'; of generated text, of the same load' if text else ''} "
        f'(log-Welch). "front": on the front of {", ".join(each.name for each in objectives)} in 95 % of bootstrap resamples of launches and test samples; otherwise the percentage.',
    ]
    sentences += _about_timing(queries)
    sentences += _about_quality(header, rows)
    kinds = {row["energy_kind"] for row in rows}
    if "modelled" in kinds:
        sentences.append(MODELLED)
        sentences += [
            f"The power of {domain.name} is modelled, {estimate}; its energy scales with it."
            for domain in header.domains
            if domain.kind == "modelled" and (estimate := estimate_text(domain.detail))
        ]
    sentences += [
        f"The energy of {domain.name} is corrected by a calibration against a meter (reading = {c['gain']:.4g} P {c['offset_w']:+.3g} W, "
        f"from {c['pairs']} phases of {c['source']}); the traces hold the uncorrected readings."
        for domain in header.domains
        if (c := domain.detail.get("calibration"))
    ]
    if "simulated" in kinds:
        sentences.append(SIMULATED)
    if grid:
        sentences.append(f"Carbon: {grid.g_per_kwh:g} g CO2e per kWh, {grid.country}, {grid.year or 'year unknown'}, from {grid.source}.")
    return sentences


def _of_queries(profile: Profile) -> list[str]:
    """Windows and energies of cases that answer queries."""
    return [
        f"Each window is at least {profile.window_s:g} s, from tick to tick of every counter, with the load running across both edges; idle energy is not subtracted.",
        "Energy is gross, per inference, summed over the domains named as scope. Latency is per query (a batch is one query), closed loop.",
    ]


def _about_timing(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What a latency includes, where a device copies or several queries are in flight."""
    inside, outside = (sorted({row["device"] for row in rows if row["copies"] == copies}) for copies in ("inside", "outside"))
    sentences = []
    if inside or set(outside) - {"cpu"}:
        parts = [f"copies inside ({', '.join(inside)}) is from host arrays to host arrays"] if inside else []
        parts += (
            [f"copies outside ({', '.join(outside)}) is the computation alone, inputs staged before, answers not fetched"]
            if outside
            else []
        )
        sentences.append(f"Timed part of a query: {'; '.join(parts)}.")
    if any(row["in_flight"] > 1 for row in rows):
        sentences.append("With several queries in flight a latency is from submission to completion, so it includes the wait in the queue.")
    return sentences


def _about_quality(header: Header, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Definitions of agreement and of the verdict on quality, if the table has them."""
    sentences = []
    if any(row["quality_verdict"] for row in rows):
        sentences.append(
            f"Quality is compared with dense on the same samples: non-inferior within {header.suite.quality_margin:g} of the metric, one-sided 5 % "
            "(Tango's score interval for correct and incorrect predictions, otherwise a paired bootstrap)."
        )
    agreed = {row["model"] for row in by_unit(rows)[0] if row["quality_metric"] == "agreement"}
    if agreed:
        sentences.append(
            "Agreement is the share of samples with the same top-1 class as dense; for outputs without classes, the share within 1 % of the output range of dense."
        )
    if any(row["reference_agreement"] is not None for row in rows):
        sentences.append(
            "The reference of the outputs is the dense case of the same model whose route has the fewest exports; a dense case that agrees with it on "
            f"less than {LEAST_AGREEMENT:.0%} of the samples, or that differs by more than {FLOAT32_TOLERANCE:g} of its largest output although both "
            "ran in float32, has the finding differs_from_reference."
        )
    noise = ", ".join(model.name for model in header.suite.models if model.name in agreed and not model.test and not model.brings)
    return [*sentences, f"No test inputs were given for {noise}: agreement is measured on seeded noise."] if noise else sentences
