"""A run and its tables -> one self-contained page: table, figure, machine, method. No script, no request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.analysis.uncertainty import EDGES_DOMINATE
from harness.report import plots, tables
from harness.report.sentences import sentences
from harness.report.text import NONE, Scale, number, plain
from harness.schema import OBJECTIVES, Finding, Header, Objective, Record, StoredRun

if TYPE_CHECKING:
    import pandas as pd


def render(run: StoredRun, frames: Mapping[str, pd.DataFrame], svg: str, objectives: Sequence[Objective] = OBJECTIVES) -> str:
    """The page as HTML.

    Args:
        run: The run.
        frames: Its public tables, by name.
        svg: The figure.
        objectives: What the fronts are of.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    rows = tables.rows_of(frames["cases"])
    headings, cells = tables.readable(rows)
    environment = Environment(
        loader=PackageLoader("harness.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.finalize = lambda value: plain(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
    return environment.get_template("page.html.j2").render(
        header=run.header,
        headings=headings,
        lines=[(row, line) for row, line in zip(rows, cells, strict=True)],
        numeric=[heading not in tables.LEFT for heading in headings],
        caption=tables.caption(rows),
        svg=_inline(svg),
        alt=plots.alt_text(frames["cases"], objectives),
        facts=machine(run.header),
        method=method(run.header, rows, objectives),
        failures=[row for row in rows if row["status"] != "ok"],
        findings=findings(run.records, rows),
        sentences=sentences(rows),
        builds=builds(tables.rows_of(frames["builds"])),
        paybacks=paybacks(rows),
        problems=run.problems,
        source=run.header.suite_source.splitlines(),
    )


def machine(header: Header) -> list[tuple[str, str]]:
    """What the figures were taken on, as (name, value)."""
    facts: list[tuple[str, str]] = []
    for box in header.environments:
        cores = f"{box.cpu_count} CPUs" + (f" on {box.cpu_count_physical} cores" if box.cpu_count_physical else "")
        facts += [
            ("host", box.host),
            ("processor", f"{box.cpu}, {cores}, {box.memory_bytes / 2**30:.1f} GiB"),
            ("system", ", ".join(filter(None, [box.os, box.kernel, f"virtual: {box.virtual}" if box.virtual else None]))),
            ("governor, turbo", f"{box.governor or 'not told'}, {'not told' if box.turbo is None else 'on' if box.turbo else 'off'}"),
            ("versions", ", ".join([f"Python {box.python}", *(f"{name} {version}" for name, version in sorted(box.versions.items()))])),
        ]
    facts.append(("harness", f"{header.harness_version}, commit {header.harness_commit or 'unknown'}"))
    facts += [(d.name, _domain(d.sensor, d.kind, d.update_period_s, d.gain)) for d in header.domains if d.kind]
    facts += [("cost of measuring", _cost(header.probe["sampler"]))] if header.probe.get("sampler") else []
    return facts + [(f"{sensor} (not read)", "; ".join(reason.splitlines())) for sensor, reason in header.unavailable.items()]


def _domain(sensor: str, kind: str | None, period_s: float | None, gain: float | None) -> str:
    period = f", changes every {Scale([period_s], 's').text(period_s)} {Scale([period_s], 's').unit}" if period_s else ""
    return f"{kind}, read by {sensor}{period}" + (f", gain known to {gain:.1%}" if gain is not None else ", gain not known")


def _cost(shares: Mapping[str, float | None]) -> str:
    """What the harness itself took of the machine, before the first case."""
    told = [
        ("slow_share", "between the edges of a window"),
        ("edge_share", "at an edge"),
        ("window_share", "in a whole window of the null engine"),
    ]
    parts = [f"{share:.2%} {where}" for name, where in told if (share := shares.get(name)) is not None]
    return f"the sampler's share of one core: {', '.join(parts)}"


def method(header: Header, rows: Sequence[dict[str, Any]], objectives: Sequence[Objective] = OBJECTIVES) -> list[str]:
    """How the figures were taken and what the intervals are, one sentence each."""
    profile, grid = header.profile, header.grid
    counts = sorted({row["repetitions"] for row in rows if row["repetitions"]})
    launches = "none that ended well" if not counts else str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if not profile.half_width:
        target = "a fixed number"
    elif header.suite.stopping == "open_pairs":
        target = "repeated while their place on the front was open"
    else:
        target = f"until the half-width of the interval is {profile.half_width:.0%}, at most {profile.cap}"
    quantile = "t(.9825), since a stopping rule ended them" if profile.half_width else "t(.975)"
    said = [
        f"Profile {profile.name}: independent launches of a process per case ({target}; here {launches}), in blocks of random order, seed {header.seed}.",
        f"Each window is at least {profile.window_s:g} s, from tick to tick of every counter, the load running through both edges; nothing is subtracted.",
        "Energy is gross, per inference, summed over the domains named as scope. Latency is per query (a batch is one query), closed loop.",
        f"± is the half-width of the 95 % repeatability interval over launches, {quantile}: it compares cases on this sensor. One wider than half "
        "of its figure is in log form and told by its bounds. "
        "energy_abs_low_j and energy_abs_high_j in table.csv also hold the sensor's gain, for comparing with other machines; a model has none.",
        "The interval of a quality is over test samples. vs dense is the ratio to the dense case of the same engine, device, batch, threads and scenario "
        f"(log-Welch). front: on the front of {', '.join(each.name for each in objectives)} in 95 % of redraws of the launches and the test samples; a percentage where that is not sure.",
    ]
    said += _about_quality(header, rows)
    kinds = {row["energy_kind"] for row in rows}
    if "modelled" in kinds:
        said.append(
            "Modelled energy is computed from a model of the machine's power, not measured: outside tests found errors of up to 40 %."
        )
    said += [
        f"The energy of {domain.name} is corrected by a calibration against a meter (reading = {c['gain']:.4g} P {c['offset_w']:+.3g} W, "
        f"from {c['pairs']} phases of {c['source']}); what the sensor said lies in the traces as it was."
        for domain in header.domains
        if (c := domain.detail.get("calibration"))
    ]
    if "simulated" in kinds:
        said.append("Simulated energy comes from a test double: it says nothing of any real machine.")
    if grid:
        said.append(f"Carbon: {grid.g_per_kwh:g} g CO2e per kWh, {grid.country}, {grid.year or 'year not told'}, from {grid.source}.")
    return said


def _about_quality(header: Header, rows: Sequence[dict[str, Any]]) -> list[str]:
    """What agreement and the verdict on quality are, where the table has them."""
    said = []
    if any(row["quality_verdict"] for row in rows):
        said.append(
            f"Quality is compared with dense on the same samples: non-inferior within {header.suite.quality_margin:g} of the metric, one-sided 5 % "
            "(Tango's score interval for right and wrong, else a paired bootstrap)."
        )
    agreed = {row["model"] for row in rows if row["quality_metric"] == "agreement"}
    if agreed:
        said.append(
            "Agreement is the share of samples on which a case gives dense's top-1 class; of outputs without classes, those within 1 % of dense's range."
        )
    noise = ", ".join(model.name for model in header.suite.models if model.name in agreed and not model.test and not model.workload)
    return [*said, f"No test inputs were given for {noise}: its agreement is on seeded noise."] if noise else said


def findings(records: Sequence[Record], rows: Sequence[dict[str, Any]]) -> list[tuple[Finding, str]]:
    """Each code with its first sentence and remedy, and how many repetitions or cases it concerns."""
    found: dict[str, tuple[Finding, int]] = {}
    for record in records:
        for finding in record.warnings:
            first, n = found.get(finding.code, (finding, 0))
            found[finding.code] = (first, n + 1)
    told = [(first, f"{n} repetition{'s' if n > 1 else ''}, the first") for first, n in found.values()]
    edges = sum(EDGES_DOMINATE.code in (row["warnings"] or "").split(";") for row in rows)
    told += [(EDGES_DOMINATE, f"{edges} case{'s' if edges > 1 else ''}")] if edges else []
    return sorted(told, key=lambda pair: (not pair[0].invalid, pair[0].code))


def paybacks(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(case, energy of its own build steps with its kind, after how many inferences it is saved) of each case that has such steps."""
    return [
        (row["case_id"], f"{number(row['build_j'])} J, {tables.kind_of(row)}", payback(row)) for row in rows if row["build_j"] is not None
    ]


def payback(row: dict[str, Any]) -> str:
    """In words: never a number that is not known."""
    if row["payback_verdict"] == "never":
        return "never: it saves nothing"
    if row["payback_verdict"] == "not_separated":
        return f"at least {number(row['payback_low'], 2)}, no upper bound: the saving is not separated from 0"
    if row["payback_inferences"] is None:
        return "nothing is saved, in too few repetitions for an interval"
    if row["payback_verdict"] is None:
        return f"{number(row['payback_inferences'])}, in too few repetitions for an interval"
    return f"{number(row['payback_inferences'])} [{number(row['payback_low'], 2)} {number(row['payback_high'], 2)}]"


def builds(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """(name, status, duration, energy with its kind) of each build."""
    return [
        (
            f"{row['model'] or row['build_id']} > {row['lineage'] or ''}".rstrip(" >"),
            (row["status"] if row["status"] == "ok" else f"{row['status']}: {row['reason']}")
            + (", from the cache" if row["cached"] else ""),
            f"{number(row['seconds'])} s" if row["seconds"] is not None else NONE,
            f"{number(row['energy_j'])} J, {tables.kind_of(row)}" if row["energy_j"] is not None else NONE,
        )
        for row in rows
    ]


def _inline(svg: str) -> Any:
    """The figure as a part of the page: without prologue, as wide as its place."""
    from markupsafe import Markup

    body = svg[svg.index("<svg") :]
    # Markup: matplotlib has escaped every text in it.
    return Markup(re.sub(r'(<svg[^>]*?) width="[^"]*"| height="[^"]*pt"', lambda m: m.group(1) or "", body, count=2))  # noqa: S704
