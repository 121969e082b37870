"""History of a case over runs."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from harness import frame
from harness.frame.history import case_ids
from harness.report import published_columns
from harness.schema import StoredRun
from tests.factories import (
    COUNTERS,
    MODELLED,
    record,
    stored,
)
from tests.frame.helpers import DENSE, INT8, on_a_card


@pytest.mark.parametrize(("found", "compared"), [(COUNTERS[:1], True), (COUNTERS[:2], False), (MODELLED[:1], False)])
def test_a_run_is_compared_with_the_previous_one_if_the_same_was_measured(found, compared):
    """Energies of other domains or another kind are not compared; latencies are."""

    def of(domains, started_utc: str) -> StoredRun:
        launches = [record(DENSE, {d.name: 1.0 + 0.01 * k for d in domains}, repetition=k, found=domains) for k in range(3)]
        run = stored([DENSE], launches, domains)
        return replace(run, header=run.header.model_copy(update={"started_utc": started_utc}))

    last = frame.history([of(found, "2026-02-01"), of(COUNTERS[:1], "2026-01-01")], DENSE.case_id).iloc[1]
    assert last.started_utc == "2026-02-01"
    assert pd.notna(last.energy_vs_previous) == compared
    assert last.latency_vs_previous == pytest.approx(1)


def test_case_ids_are_those_that_ran_in_any_run():
    """Each once; a case without a record is not one of them."""
    runs = [stored([DENSE], [record(DENSE)]), stored([DENSE, INT8], [record(INT8), record(DENSE)])]
    assert case_ids(runs) == [DENSE.case_id, INT8.case_id]
    assert case_ids([stored([DENSE], [])]) == []


def test_changed_lists_what_differs_from_the_previous_run():
    """Name and both values, `unknown` for a missing one; empty for the first run and if nothing differs."""
    run = stored([DENSE], [record(DENSE)])

    def at(day: int, **changes) -> StoredRun:
        box = run.header.environments[0].model_copy(update=changes)
        return replace(run, header=run.header.model_copy(update={"started_utc": f"2026-01-{day:02}", "environments": (box,)}))

    changed = frame.history([at(1), at(2), at(3, governor="powersave", turbo=None)], DENSE.case_id).changed
    before = run.header.environments[0]
    assert pd.isna(changed[0]) and pd.isna(changed[1])
    assert f"governor {'unknown' if before.governor is None else before.governor} -> powersave" in changed[2]


def test_runs_under_several_power_limits_show_energy_and_latency_by_limit():
    """A limit that the user has set is a column, and what changed between the runs."""
    runs = []
    for day, limit_w in enumerate((450.0, 350.0, 250.0), 1):
        run = on_a_card((limit_w / 50, limit_w / 49, limit_w / 51), limits_w=(limit_w, 450.0))
        runs.append(replace(run, header=run.header.model_copy(update={"run_id": f"run-{day}", "started_utc": f"2026-01-0{day}"})))
    table = frame.history(runs, runs[0].records[0].case_id)
    assert table.power_limit_w.tolist() == [450, 350, 250] and table.power_limit_share.tolist() == pytest.approx([1, 350 / 450, 250 / 450])
    assert table.energy_j.is_monotonic_decreasing and "power_limit_w 450.0 -> 350.0" in table.changed[1]
    columns, _ = published_columns("history", table)
    assert "power_limit_w" in columns and "energy_j" in columns and "latency_p50_s" in columns
    on_cpu = frame.history([stored([DENSE], [record(DENSE)])], DENSE.case_id)
    assert "power_limit_w" not in published_columns("history", on_cpu)[0]
