"""The folder of a run: header, records, raw data, imported meters, manifest, and the journal of the task in flight."""

from __future__ import annotations

from harness.store.arrays import files_of, read_completions, read_per_sample, read_requests, read_trace, stem_of, with_outputs
from harness.store.files import migrate, read_objectives, write_atomically, write_output
from harness.store.meters import read_meter_sample, read_meters, task_key, with_meters, write_meter
from harness.store.runs import Store, find_run, new_run_id, read_run

__all__ = [
    "Store",
    "files_of",
    "find_run",
    "migrate",
    "new_run_id",
    "read_completions",
    "read_meter_sample",
    "read_meters",
    "read_objectives",
    "read_per_sample",
    "read_requests",
    "read_run",
    "read_trace",
    "stem_of",
    "task_key",
    "with_meters",
    "with_outputs",
    "write_atomically",
    "write_meter",
    "write_output",
]
