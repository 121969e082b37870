"""The next tasks are a pure function of the suite and the records so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.analysis.stopping import OPEN_PAIRS_CAP
from harness.run import plan
from harness.schema import PROFILES, Finding, Latency, Measurement, Profile, Quality, Record, Suite, Task
from harness.suite import load_suite
from tests.catalogue import CATALOGUE

QUICK, STANDARD = PROFILES["quick"], PROFILES["standard"]


def suite_of(folder, variants: str = "[dense, float16]") -> Suite:
    """A suite of as many cases as variants."""
    path = folder / "suite.yaml"
    path.write_text(f"name: x\nmodels: [digits-cnn]\nmatrices:\n  - {{engines: [litert], variants: {variants}}}\n")
    return load_suite(path, CATALOGUE)


def record_of(task: Task, status: str = "ok", energy_j: float = 1.0) -> Record:
    """The record of a task with this status."""
    measurement = Measurement(
        domain="package", sensor="s", kind="counter", phase="steady", start_s=0, end_s=1, inferences=1, gross_j=energy_j, gain=0.05
    )
    return Record(
        run_id="r",
        task="case" if task.case else "build",
        case_id=task.case.case_id if task.case else None,
        build_id=task.build.build_id if task.build else None,
        block=task.block,
        repetition=task.repetition,
        attempt=task.attempt,
        status=status,
        environment_id="e",
        boot_id=None,
        started_utc="2026-01-01T00:00:00+00:00",
        utc_minus_monotonic_s=0,
        measurements=(measurement,) if task.case and status == "ok" else (),
    )


def play(
    suite: Suite, profile: Profile, answer=lambda task: "ok", energy=lambda task: 1.0, records: Sequence[Record] = (), attempt: int = 1
) -> list[Record]:
    """Follow the plan to its end; built artifacts are in the cache from then on."""
    records = list(records)
    for _ in range(1000):
        cached = {r.build_id for r in records if r.task == "build" and r.status == "ok"}
        block = plan.next_block(suite, profile, records, cached=cached, attempt=attempt)
        if not block:
            return records
        records += [record_of(task, answer(task), energy(task)) for task in block]
    raise AssertionError("the plan has no end")


def repetitions(records: Sequence[Record]) -> dict[str, list[int]]:
    """The ok repetitions of each case."""
    repetitions_: dict[str, list[int]] = {}
    for record in records:
        if record.case_id and record.status == "ok":
            repetitions_.setdefault(record.case_id, []).append(record.repetition)
    return repetitions_


def test_builds_come_first_and_once(tmp_path):
    """Every needed build is asked for before any case, and never again."""
    records = play(suite_of(tmp_path), QUICK)
    kinds = [r.task for r in records]
    assert kinds == sorted(kinds)
    builds = [r.build_id for r in records if r.task == "build"]
    assert len(builds) == len(set(builds)) == 4  # dataset, train, tflite, float16


def test_an_artifact_in_the_cache_needs_none_of_its_ancestors(tmp_path):
    """The model is not trained if nothing has to be made from it."""
    suite = suite_of(tmp_path, "[float16]")
    case = suite.cases[0]
    block = plan.next_block(suite, QUICK, [], cached={case.build_id, case.dataset_id})
    assert {task.build.step.recipe for task in block} == {"float16", "dataset"}


def test_each_block_holds_every_case_once_in_an_order_that_is_seeded(tmp_path):
    """The same suite gives the same order; blocks differ; another seed gives another."""
    suite = suite_of(tmp_path, "[dense, float16, int8, prune, [prune, int8]]")
    records = [r for r in play(suite, QUICK) if r.case_id]
    blocks = [[r.case_id for r in records if r.block == b] for b in range(3)]
    assert all(sorted(block) == sorted(c.case_id for c in suite.cases) for block in blocks)
    assert len({tuple(block) for block in blocks}) > 1
    assert [r.case_id for r in play(suite, QUICK) if r.case_id] == [r.case_id for r in records]
    other = suite.model_copy(update={"seed": 1})
    assert [r.case_id for r in play(other, QUICK) if r.case_id] != [r.case_id for r in records]


def test_resume_asks_for_exactly_what_is_missing(tmp_path):
    """After any number of records, each missing task is run once, and no other."""
    suite = suite_of(tmp_path)
    complete = play(suite, QUICK)
    for stopped in range(len(complete)):
        resumed = play(suite, QUICK, records=complete[:stopped], attempt=2)
        assert repetitions(resumed) == {case.case_id: [0, 1, 2] for case in suite.cases}


def test_a_failed_task_is_tried_once_more_on_resume(tmp_path):
    """Not in its own session, but in the next."""
    suite = suite_of(tmp_path)
    bad = suite.cases[0].case_id
    first = play(suite, QUICK, answer=lambda t: "failed" if t.case and t.case.case_id == bad and t.repetition == 1 else "ok")
    assert repetitions(first)[bad] == [0, 2]
    assert sorted(repetitions(play(suite, QUICK, records=first, attempt=2))[bad]) == [0, 1, 2]


def test_kernels_are_requested_once_in_the_first_launch_that_completes(tmp_path):
    """A case whose first launch failed would otherwise have energies without a check of what ran."""
    suite = suite_of(tmp_path)
    bad, good = (case.case_id for case in suite.cases)
    asked = []

    def answer(task):
        asked.extend([(task.case.case_id, task.repetition)] if task.case and task.profiled else [])
        return "failed" if task.case and (task.case.case_id, task.repetition) == (bad, 0) else "ok"

    play(suite, QUICK, answer=answer)
    assert sorted(asked) == sorted([(bad, 0), (bad, 1), (good, 0)])


def test_a_refused_case_and_one_that_always_fails_are_not_repeated(tmp_path):
    """After one refusal, or two failures without any success; other cases continue."""
    suite = suite_of(tmp_path)
    bad, good = (case.case_id for case in suite.cases)
    for status, times in (("refused", 1), ("failed", plan.GIVE_UP_AFTER), ("timeout", plan.GIVE_UP_AFTER)):
        records = play(suite, QUICK, answer=lambda t, s=status: s if t.case and t.case.case_id == bad else "ok")
        assert sum(r.case_id == bad for r in records) == times
        assert repetitions(records)[good] == [0, 1, 2]


def test_a_steady_case_stops_at_the_first_repetitions_and_a_noisy_one_at_the_cap(tmp_path):
    """The half-width of the profile decides, case by case."""
    suite = suite_of(tmp_path)
    calm, noisy = (case.case_id for case in suite.cases)
    noise = {calm: 0.0, noisy: 0.3}
    records = play(suite, STANDARD, energy=lambda t: 1 + noise[t.case.case_id] * (t.repetition % 2) if t.case else 1)
    done = repetitions(records)
    assert len(done[noisy]) == STANDARD.cap
    # The calm one is the baseline of the noisy one: it stays as long as the comparison is open.
    assert len(done[calm]) == STANDARD.cap
    noise = {calm: 0.3, noisy: 0.0}
    done = repetitions(play(suite, STANDARD, energy=lambda t: 1 + noise[t.case.case_id] * (t.repetition % 2) if t.case else 1))
    assert (len(done[calm]), len(done[noisy])) == (STANDARD.cap, STANDARD.first)


def test_a_failed_build_is_not_repeated_in_its_session(tmp_path):
    """Its cases are run, so that each gets a record with the reason; on resume it is built again."""
    suite = suite_of(tmp_path)
    records = play(suite, QUICK, answer=lambda t: "failed" if t.build and t.build.step.recipe == "float16" else "ok")
    assert sum(r.task == "build" and r.status == "failed" for r in records) == 1
    assert (
        len([r for r in play(suite, QUICK, records=records, attempt=2) if r.task == "build"])
        == len([r for r in records if r.task == "build"]) + 1
    )


def test_an_artifact_that_was_lost_is_built_again(tmp_path):
    """A record without its artifact does not suffice."""
    suite = suite_of(tmp_path, "[dense]")
    records = play(suite, QUICK)
    assert {t.build.step.recipe for t in plan.next_block(suite, QUICK, records, cached=(), attempt=2)} == {"dataset", "train", "tflite"}


def test_a_repetition_with_an_invalid_energy_is_run_again(tmp_path):
    """As if it had none, up to the cap."""
    suite = suite_of(tmp_path, "[dense]")
    stuck = Finding(code="sensor_stuck", sentence="stuck", invalid=True)
    steady = play(suite, STANDARD)
    assert len(repetitions(steady)[suite.cases[0].case_id]) == STANDARD.first
    invalid = [r.model_copy(update={"warnings": (stuck,)}) if r.case_id and r.repetition == 0 else r for r in steady]
    assert repetitions(play(suite, STANDARD, records=invalid))[suite.cases[0].case_id] == list(range(STANDARD.first + 1))


# --- open pairs ---


def placed(task: Task, scatter: float, energy_j: float, latency_s: float, quality: float | None = 0.97, kind: str = "counter") -> Record:
    """A repetition at this place, with energy and latency slightly above and below it in turn."""
    factor = 1 + scatter * (-1) ** task.repetition
    record = record_of(task, energy_j=energy_j * factor)
    seconds = latency_s * factor
    return record.model_copy(
        update={
            "measurements": tuple(m.model_copy(update={"kind": kind}) for m in record.measurements),
            "latency": Latency(queries=1, mean_s=seconds, p50_s=seconds, p90_s=None, p95_s=None, p99_s=None),
            "quality": None if quality is None else Quality(metric="accuracy", direction="higher", value=quality, samples=360),
        }
    )


def follow(suite: Suite, places: dict[str, tuple], profile: Profile = STANDARD, scatter: float = 0.01) -> dict[str, list[int]]:
    """The repetitions of each variant, given its place."""
    suite = suite.model_copy(update={"stopping": "open_pairs"})
    cached, records = {build.build_id for build in suite.builds}, []
    while block := plan.next_block(suite, profile, records, cached=cached):
        records += [placed(task, scatter, *places[task.case.variant]) if task.case else record_of(task) for task in block]
    return {case.variant: repetitions(records)[case.case_id] for case in suite.cases}


def test_only_cases_whose_place_on_the_front_is_open_are_repeated(tmp_path):
    """One far ahead and one far behind are done after the first blocks; two that nearly agree are repeated until they are separated or equal."""
    done = follow(suite_of(tmp_path, "[dense, float16, int8, prune]"), {
        "dense": (1.0, 1.0), "float16": (1.008, 1.0), "int8": (5.0, 0.1), "prune(final_sparsity=0.9)": (9.0, 9.0),
    })  # fmt: skip
    assert done["int8"] == done["prune(final_sparsity=0.9)"] == list(range(STANDARD.first))
    assert done["dense"] == done["float16"]
    assert STANDARD.cap < len(done["dense"]) <= OPEN_PAIRS_CAP


def test_quality_separates_cases_beyond_the_margin(tmp_path):
    """Equal in energy and time and worse by 3 points is dominated; half a point is within the margin, and such a case cannot dominate."""
    suite = suite_of(tmp_path)
    assert len(follow(suite, {"dense": (1.0, 1.0, 0.97), "float16": (1.0, 1.0, 0.94)})["dense"]) < OPEN_PAIRS_CAP
    assert len(follow(suite, {"dense": (1.0, 1.0, 0.97), "float16": (2.0, 2.0, 0.965)})["dense"]) == STANDARD.first


def test_a_case_without_a_quality_is_on_another_front(tmp_path):
    """There is nothing to compare: both are done after the first blocks."""
    assert set(map(len, follow(suite_of(tmp_path), {"dense": (1.0, 1.0), "float16": (1.0, 1.0, None)}).values())) == {STANDARD.first}


def test_a_measured_case_is_not_compared_with_a_modelled_one(tmp_path):
    """As in the tables: two that nearly agree are not an open pair if the energy of one is modelled."""
    done = follow(suite_of(tmp_path), {"dense": (1.0, 1.0), "float16": (1.005, 1.0, 0.97, "modelled")})
    assert set(map(len, done.values())) == {STANDARD.first}
    done = follow(suite_of(tmp_path), {"dense": (1.0, 1.0), "float16": (1.005, 1.0, 0.97, "sampled")})
    assert min(map(len, done.values())) > STANDARD.first


def test_the_duration_of_a_run_is_estimated(tmp_path):
    """For the fewest and the most repetitions; each case idles twice, loads and is measured."""
    suite = suite_of(tmp_path)
    first_s, cap_s = plan.expected_s(suite, STANDARD, CATALOGUE)
    assert cap_s / first_s == pytest.approx(STANDARD.cap / STANDARD.first)
    least_s = len(suite.cases) * STANDARD.first * (2 * STANDARD.idle_s + STANDARD.window_s + CATALOGUE.engines["litert"].load_s)
    assert least_s < first_s < 3 * least_s
    assert plan.expected_s(suite.model_copy(update={"stopping": "open_pairs"}), STANDARD, CATALOGUE)[1] > cap_s


def test_a_variant_that_the_engine_applies_may_take_time_to_load(tmp_path):
    """As compilation does; one that is built takes none."""
    suite = suite_of(tmp_path)
    slow = {name: spec.model_copy(update={"load_s": 10.0}) for name, spec in CATALOGUE.variants.items()}
    applied = {name: spec.model_copy(update={"by_options": {"float16": {}}}) for name, spec in CATALOGUE.engines.items()}
    plain_s, built_s = (plan.expected_s(suite, STANDARD, replace(CATALOGUE, variants=v))[0] for v in (CATALOGUE.variants, slow))
    count = sum(case.variant == "float16" for case in suite.cases)
    assert built_s == plain_s and count
    longer_s = plan.expected_s(suite, STANDARD, replace(CATALOGUE, variants=slow, engines=applied))[0]
    assert longer_s - plain_s == pytest.approx(10.0 * count * STANDARD.first)


def test_an_open_pair_ends_at_the_cap(tmp_path):
    """With a scatter of 20 %, two that differ by 1 % are neither separated nor equal."""
    done = follow(suite_of(tmp_path), {"dense": (1.0, 1.0), "float16": (1.01, 1.0)}, scatter=0.2)
    assert set(map(len, done.values())) == {OPEN_PAIRS_CAP}


def test_the_quick_profile_repeats_nothing_by_any_rule(tmp_path):
    """It has no target."""
    done = follow(suite_of(tmp_path), {"dense": (1.0, 1.0), "float16": (1.01, 1.0)}, QUICK)
    assert set(map(len, done.values())) == {QUICK.first}


def test_a_failed_case_is_in_no_pair(tmp_path):
    """The others are repeated as before."""
    suite = suite_of(tmp_path).model_copy(update={"stopping": "open_pairs"})
    bad = suite.cases[0].case_id
    records = play(suite, STANDARD, answer=lambda t: "failed" if t.case and t.case.case_id == bad else "ok")
    assert len(repetitions(records)[suite.cases[1].case_id]) == STANDARD.first
