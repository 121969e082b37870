"""Runs and assertions that the tests of several commands share."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from harness.schema import StoredRun
from harness.store import Store
from tests.factories import COUNTERS, case, record, stored

HARNESS = [sys.executable, "-c", "from harness.cli import main; main()"]
CELLS = (case("dense"), case("int8"))


def assert_error(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """No traceback, nothing on stdout, the words, the exit code."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def keep(run: StoredRun, results: Path, run_id: str, host: str = "box-1") -> StoredRun:
    """The run in the results folder under that name, measured on that host."""
    (box,) = run.header.environments
    changes = {"run_id": run_id, "environments": (box.model_copy(update={"host": host}),)}
    store = Store.create(results, run.header.model_copy(update=changes))
    records = [record.model_copy(update={"run_id": run_id}) for record in run.records]
    (store.folder / "records.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in records))
    return replace(run, folder=str(store.folder), header=run.header.model_copy(update=changes))


def measured(cells=CELLS, joules=1e-3, latency_s=25e-6, factor=None, domains=COUNTERS[:1], launches=5, **changes) -> StoredRun:
    """Launches of each cell with a spread of half a per cent; `factor` multiplies the energy of a case."""
    records = [
        record(
            c, {d.name: joules * (factor or {}).get(c.case_id, 1.0) * (1 + 0.005 * (k - launches // 2)) for d in domains},
            latency_s * (1 + 0.005 * (k % 2)), 0.97, k, domains, **changes,
        )
        for c in cells for k in range(launches)
    ]  # fmt: skip
    return stored(cells, records, domains)
