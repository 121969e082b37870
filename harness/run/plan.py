"""Next block of tasks, from suite, profile and the records so far: a pure function with a seed.

A first run, `--resume` and the stopping rule all ask for the next block until there is none.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from harness.analysis.stopping import OPEN_PAIRS_CAP, HalfWidth, OpenPairs
from harness.energy.scope import case_energy
from harness.schema import Build, Case, Catalogue, Profile, Record, Suite, Task, evidence

GIVE_UP_AFTER = 2
"""Failures after which a case that never succeeded is not run again in this session."""
MARGIN = math.log1p(0.01)
"""Increase of energy or time that still counts as equal, as a difference of logarithms."""
START_S = 0.7
"""Typical start time of a child, in seconds."""
TEXT_S = 12.0
"""Typical time of warm-up, drain and greedy answers of text generation, in seconds."""
BUILD_S = 9.0
"""Typical duration of a build, in seconds."""


def next_block(suite: Suite, profile: Profile, records: Sequence[Record], *, cached: Collection[str] = (), attempt: int = 1) -> list[Task]:
    """The next tasks of a run.

    Args:
        suite: The resolved suite.
        profile: Numbers of repetitions.
        records: All records so far.
        cached: Ids of the builds whose artifact is in the cache.
        attempt: 1 in the first session of a run, one more with each resume, which tries failed tasks once more.

    Returns:
        Missing builds in order; otherwise each open case once, in seeded random order; empty at the end.
    """
    builds = _missing_builds(suite, records, cached, attempt)
    if builds:
        return [Task(build=build, attempt=attempt) for build in builds]
    by_case: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.case_id:
            by_case[record.case_id].append(record)
    for repetition in range(_cap(suite, profile)):
        order = sorted(_open_cases(suite, profile, by_case, repetition), key=lambda case: case.case_id)
        random.Random(f"{suite.seed}/{repetition}").shuffle(order)  # noqa: S311  a design, not a secret
        block = [case for case in order if not _settled(by_case[case.case_id], repetition, attempt)]
        if block:
            return [
                Task(
                    case=case,
                    block=repetition,
                    repetition=repetition,
                    attempt=attempt,
                    profiled=not any(r.status == "ok" and r.repetition < repetition for r in by_case[case.case_id]),
                )
                for case in block
            ]
    return []


def expected_s(suite: Suite, profile: Profile, catalogue: Catalogue) -> tuple[float, float]:
    """Seconds that the fewest and the most repetitions take, without builds."""
    warmup_s = min(profile.warmup_s, max(3.0, profile.slope_s * 1.5)) if profile.warmup_s else 0.0
    fixed_s = START_S + 2 * profile.idle_s
    query_s, text_s = warmup_s + 1.0 + profile.window_s, TEXT_S + profile.token_window_s
    round_s = sum(fixed_s + (text_s if case.load else query_s) + _load_s(case, catalogue) for case in suite.cases)
    return round_s * profile.first, round_s * _cap(suite, profile)


def build_s(build: Build, catalogue: Catalogue) -> float:
    """Typical duration of a build in seconds."""
    engine = catalogue.engines.get(build.target.engine) if build.target else None
    return engine.prepares.build_s if engine and engine.prepares else BUILD_S


def _load_s(case: Case, catalogue: Catalogue) -> float:
    """Typical time until a case is loaded, with the variants that its engine applies, in seconds."""
    engine = catalogue.engines[case.engine].at(case.device)
    return engine.load_s + sum(catalogue.variants[step.recipe].load_s for step in case.steps if step.recipe in engine.by_options)


def needed_builds(suite: Suite, cached: Collection[str]) -> list[Build]:
    """Builds that the cases need and the cache lacks, parents first."""
    by_id = {build.build_id: build for build in suite.builds}
    needed: set[str] = set()

    def need(build_id: str | None) -> None:
        if build_id and build_id not in needed:
            needed.add(build_id)
            if build_id not in cached or by_id[build_id].target:  # what was prepared of a model is used with the model
                need(by_id[build_id].parent)
                need(by_id[build_id].data_id)

    for case in suite.cases:
        need(case.build_id)
        need(case.dataset_id)
    return [build for build in suite.builds if build.build_id in needed]


def _missing_builds(suite: Suite, records: Iterable[Record], cached: Collection[str], attempt: int) -> list[Build]:
    """Needed builds without a record, or whose artifact is no longer in the cache."""
    builds = [r for r in records if r.task == "build"]
    done = {r.build_id for r in builds if (r.status == "ok" and r.build_id in cached) or (r.status != "ok" and r.attempt >= attempt)}
    return [build for build in needed_builds(suite, cached) if build.build_id not in done]


def _by_pairs(suite: Suite, profile: Profile) -> bool:
    """Whether the Pareto front decides; no rule does in a profile without a target."""
    return suite.stopping == "open_pairs" and profile.half_width is not None


def _cap(suite: Suite, profile: Profile) -> int:
    return OPEN_PAIRS_CAP if _by_pairs(suite, profile) else profile.cap


def _open_cases(suite: Suite, profile: Profile, by_case: Mapping[str, Sequence[Record]], repetition: int) -> list[Case]:
    """Cases that need this repetition."""
    if _by_pairs(suite, profile) and repetition >= profile.first:
        return _in_open_pairs(suite, profile, by_case, repetition)
    return _too_wide(suite, profile, by_case, repetition)


def _in_open_pairs(suite: Suite, profile: Profile, by_case: Mapping[str, Sequence[Record]], repetition: int) -> list[Case]:
    """Cases for which it is undecided whether they are on the front of energy, latency and quality.

    A case without energy or latency is on no front. As in the tables, a front has cases of one model and metric that are
    timed in one way, all measured or all modelled.
    """
    rules: dict[object, OpenPairs] = defaultdict(lambda: OpenPairs(profile.first, (MARGIN, MARGIN, suite.quality_margin)))
    for case in suite.cases:
        records = by_case.get(case.case_id, ())
        for peers, values in [] if _hopeless(records, repetition) else _places(suite, case, records, repetition):
            rules[peers].add(case.case_id, values)
    open_ = {case_id for rule in rules.values() for case_id in rule.open}
    return [case for case in suite.cases if case.case_id in open_]


def _places(suite: Suite, case: Case, records: Sequence[Record], before: int) -> Iterator[tuple[object, tuple[float, float, float]]]:
    """(Key of the front, place on it) of each earlier repetition that has one.

    Quality is that of the given test samples, of which more launches make no more: only its scatter between launches counts.
    """
    for record in _usable(records, before):
        each = case_energy(record.measurements, case.device, suite.domains)
        if each.energy_j and each.energy_j > 0 and record.latency and record.latency.p50_s > 0:
            quality = record.quality
            loss = 0.0 if quality is None else quality.value * (-1 if quality.direction == "higher" else 1)
            metric = quality.metric if quality else None
            yield (case.model, metric, evidence(each.kind), case.timing), (math.log(each.energy_j), math.log(record.latency.p50_s), loss)


def _too_wide(suite: Suite, profile: Profile, by_case: Mapping[str, Sequence[Record]], repetition: int) -> list[Case]:
    """Cases whose interval is not narrow enough, and the baselines of those."""
    open_ = {case.case_id for case in suite.cases if _is_open(suite, case, profile, by_case.get(case.case_id, ()), repetition)}
    baselines = {case.baseline_case_id for case in suite.cases if case.case_id in open_ and repetition >= profile.first}
    return [
        case
        for case in suite.cases
        if case.case_id in open_ or (case.case_id in baselines and not _hopeless(by_case.get(case.case_id, ()), repetition))
    ]


def _is_open(suite: Suite, case: Case, profile: Profile, records: Sequence[Record], repetition: int) -> bool:
    """Whether a case needs this repetition, given the earlier ones."""
    if _hopeless(records, repetition):
        return False
    if repetition < profile.first:
        return True
    energies_j = [case_energy(record.measurements, case.device, suite.domains).energy_j for record in _usable(records, repetition)]
    rule = HalfWidth(profile.first, profile.cap, profile.half_width)
    for energy_j in energies_j:
        if energy_j is not None:
            rule.add(energy_j)
    return any(energy_j is not None for energy_j in energies_j) and not rule.finished


def _usable(records: Iterable[Record], before: int) -> list[Record]:
    """Earlier repetitions that are ok and whose energy is valid, in order."""
    ok = {r.repetition: r for r in records if r.status == "ok" and r.repetition < before}
    return [record for _, record in sorted(ok.items()) if not any(f.invalid for f in record.warnings)]


def _hopeless(records: Iterable[Record], repetition: int) -> bool:
    """Whether a case was refused, or failed too often and never succeeded."""
    earlier = [r for r in records if r.repetition < repetition]
    newest = {r.repetition: r.status for r in earlier}
    return "refused" in newest.values() or (len(newest) >= GIVE_UP_AFTER and "ok" not in newest.values())


def _settled(records: Iterable[Record], repetition: int, attempt: int) -> bool:
    """Whether this session has finished a repetition."""
    return any(r.repetition == repetition and (r.status in ("ok", "refused") or r.attempt >= attempt) for r in records)
