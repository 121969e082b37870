"""Tables for papers, of one run and of two."""

from __future__ import annotations

from dataclasses import replace

from harness import frame
from harness.frame.rows import rows_of
from harness.report import paper
from tests.factories import COUNTERS, digits


def on(host: str, run_id: str):
    run = digits(COUNTERS)
    box = run.header.environments[0].model_copy(update={"host": host})
    records = tuple(record.model_copy(update={"run_id": run_id}) for record in run.records)
    return replace(run, header=run.header.model_copy(update={"run_id": run_id, "environments": (box,)}), records=records)


def tex(runs, name="cases", columns=(), units=()) -> str:
    return both(runs, name, columns, units)[0]


def both(runs, name="cases", columns=(), units=()) -> tuple[str, str]:
    """The table and the text on method."""
    tables = {**frame.tables(runs), "history": frame.history(runs, runs[0].records[0].case_id)}
    table, method = paper(runs, name, tables[name], rows_of(tables["cases"]), columns, units)
    return table.decode(), method.decode()


ONE = [digits(COUNTERS)]


TWO = [on(f"gpu-server-{k}.example.org", f"2026-11-25T0426{k}8Z-digits-standard") for k in (1, 2)]
